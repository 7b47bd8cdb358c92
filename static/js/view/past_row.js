// A line of the list: a link to a conversation, what else can be done with it, and its name being changed.

import { button, element } from "./dom.js";
import { Menu } from "./menu.js";

const LONGEST_NAME = 200; // the server takes no longer one

export class PastRow {
  /** `intents`: onChoose(id, messageId, event), onRename(id, title | null), onPin(id, pinned), onDelete(id). */
  constructor(words, intents) {
    this.words = words;
    this.intents = intents;
    this.name = element("span", { class: "past-name", dir: "auto" });
    this.link = element("a", { class: "past-link", onclick: (event) => intents.onChoose(this.entry.id, null, event) }, this.name);
    this.more = button("", { icon: "ellipsis", bare: true, class: "muted past-more" });
    this.line = element("div", { class: "past-line" }, this.link, this.more);
    this.element = element("li", { class: "past-row" }, this.line);
    this.menu = new Menu(this.more, words.actions, () => this.#items());
    this.form = null;
    this.entry = null;
  }

  /** Whether somebody is at it: then it stays, also where it is far from the screen. */
  get isUsed() {
    return this.form !== null || this.menu.isOpen || this.element.contains(document.activeElement);
  }

  draw(entry, current) {
    const before = this.entry;
    this.entry = entry;
    if (entry.id !== before?.id) {
      this.element.dataset.id = entry.id;
      this.link.href = `#/c/${encodeURIComponent(entry.id)}`;
    }
    if (entry.title !== before?.title) this.#drawTitle(entry.title);
    if (current) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
  }

  #drawTitle(title) {
    const shown = title.trim() || this.words.untitled;
    this.name.textContent = shown;
    this.link.title = shown;
    this.more.setAttribute("aria-label", this.words.more(shown));
    this.more.title = this.words.actions;
  }

  #items() {
    const { id, pinned } = this.entry;
    const file = (format) => `/api/conversations/${encodeURIComponent(id)}/export?format=${format}`;
    return [
      { label: this.words.rename, icon: "pencil", act: () => this.rename() },
      { label: pinned ? this.words.unpin : this.words.pin, icon: pinned ? "pin-off" : "pin", act: () => this.intents.onPin(id, !pinned) },
      null,
      { label: this.words.exportMarkdown, icon: "download", href: file("markdown") },
      { label: this.words.exportLines, icon: "download", href: file("jsonl") },
      null,
      { label: this.words.delete, icon: "trash-2", act: () => this.intents.onDelete(id), danger: true },
    ];
  }

  /** Esc leaves the name as it is; Enter, or going elsewhere, takes what was typed. */
  rename() {
    const { title } = this.entry;
    const field = element("input", { type: "text", class: "past-field", dir: "auto", maxlength: LONGEST_NAME, placeholder: this.words.firstQuestion, "aria-label": this.words.newName, autocomplete: "off" });
    field.value = title.slice(0, LONGEST_NAME);
    const begun = field.value;
    this.form = element("form", { class: "past-line", onsubmit: (event) => (event.preventDefault(), end(true)) }, field);
    const end = (save, back = true) => {
      if (this.form === null) return;
      const typed = field.value.trim();
      const form = this.form;
      this.form = null; // before the field goes: that blurs it
      form.replaceWith(this.line);
      if (back) this.link.focus({ preventScroll: true });
      if (save && typed !== begun.trim()) this.intents.onRename(this.entry.id, typed === "" ? null : typed);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault(); // it would stop an answer, or close the sheet
      end(false);
    });
    field.addEventListener("blur", () => document.hasFocus() && end(true, false));
    this.line.replaceWith(this.form);
    field.focus({ preventScroll: true });
    field.select();
  }
}
