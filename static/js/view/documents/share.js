// Asks whom a document is shared with.

import { AUDIENCES, audienceOf, namesOf, readAudience } from "../../state/sharing.js";
import { shortName } from "../../state/documents.js";
import { Dialog } from "../dialog.js";
import { button, element } from "../dom.js";

export class Share {
  /** `share(document, sharedWith)` promises that the server took it; `sayTrouble(error)` puts a failure into words. */
  constructor(words, { share, sayTrouble }) {
    Object.assign(this, { words: words.documents, share, sayTrouble });
    this.dialog = new Dialog(this.words.share, words, { class: "share" });
    this.name = element("p", { class: "share-name", dir: "auto" });
    this.choices = AUDIENCES.map((audience) => this.#choice(audience));
    this.field = element("input", { type: "text", id: "share-names", autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto", maxlength: "4000", "aria-describedby": "share-hint share-wrong", oninput: () => this.#typed() });
    this.wrong = element("p", { id: "share-wrong", class: "wrong", role: "alert" });
    this.names = element("div", { class: "share-names" }, element("label", { for: "share-names" }, this.words.shareNames), this.field, element("p", { id: "share-hint", class: "small" }, this.words.shareHint));
    const form = element(
      "form",
      { class: "share-form" },
      this.name,
      element("fieldset", { class: "audiences" }, element("legend", { class: "unseen" }, this.words.share), ...this.choices),
      this.names,
      this.wrong,
      element("div", { class: "dialog-acts" }, button(words.cancel, { onclick: () => this.dialog.close() }), element("button", { type: "submit", class: "accent" }, this.words.shareNow)),
    );
    form.addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
    this.dialog.content.append(form);
  }

  #choice(audience) {
    const choice = element("input", { type: "radio", name: "audience", value: audience, onchange: () => this.#choose(audience) });
    const [title, hint] = this.words.audiences[audience];
    return element("label", { class: "audience" }, choice, element("span", {}, title, element("span", { class: "small" }, hint)));
  }

  open(document) {
    const sharedWith = document.shared_with ?? [];
    this.document = document;
    this.name.textContent = shortName(document.source_document);
    this.field.value = namesOf(sharedWith).join(", ");
    this.#choose(audienceOf(sharedWith));
    this.dialog.open();
    this.#radio.focus();
  }

  get #radio() {
    return this.choices.map((label) => label.firstChild).find(({ value }) => value === this.audience);
  }

  #choose(audience) {
    this.audience = audience;
    this.#radio.checked = true;
    this.names.hidden = audience !== "some";
    this.#sayWrong("");
  }

  #typed() {
    this.#sayWrong("");
  }

  async #send() {
    const { sharedWith, wrong } = readAudience(this.audience, this.field.value);
    if (sharedWith === undefined) return this.#sayWrong(wrong === null ? this.words.shareNobodyNamed : this.words.shareNoName(wrong));
    try {
      await this.share(this.document, sharedWith);
      this.dialog.close();
    } catch (error) {
      this.#sayWrong(this.sayTrouble(error));
    }
  }

  #sayWrong(sentence) {
    this.wrong.textContent = sentence;
    this.field.setAttribute("aria-invalid", String(sentence !== "" && this.audience === "some"));
    if (sentence !== "" && this.audience === "some") this.field.focus();
  }
}
