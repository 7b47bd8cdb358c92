// Asks for a document's new name.

import { Dialog } from "../dialog.js";
import { button, element } from "../dom.js";

const LONGEST_NAME = 255;

export class Rename {
  constructor(words, { onRenamed }) {
    this.dialog = new Dialog(words.documents.rename, words, { class: "rename" });
    this.field = element("input", { type: "text", id: "document-name", required: true, maxlength: LONGEST_NAME, autocomplete: "off", dir: "auto" });
    const form = element(
      "form",
      { class: "rename-form" },
      element("label", { for: "document-name" }, words.documents.name),
      this.field,
      element("div", { class: "dialog-acts" }, button(words.cancel, { onclick: () => this.dialog.close() }), element("button", { type: "submit", class: "accent" }, words.documents.rename)),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.field.value.trim();
      this.dialog.close();
      if (name !== "" && name !== this.document.source_document) onRenamed(this.document, name);
    });
    this.dialog.content.append(form);
  }

  open(document) {
    this.document = document;
    this.field.value = document.source_document;
    this.dialog.open();
    this.field.focus();
    const start = document.source_document.lastIndexOf("/") + 1;
    const end = document.source_document.lastIndexOf(".");
    this.field.setSelectionRange(start, end > start ? end : document.source_document.length);
  }
}
