// In settings: everything that is this person's on the server, and an end to it.

import { sayDeleted } from "../state/account.js";
import { button, element } from "./dom.js";

export class YoursSection {
  /** Intents: onDelete(); onEnd(): what was deleted was told, and the page is to begin anew. */
  constructor(words, { onDelete, onEnd }) {
    this.words = words;
    this.onEnd = onEnd;
    const said = words.yours;
    this.open = button(said.delete, { icon: "trash-2", id: "delete-mine", class: "plain", onclick: () => this.#ask(true) });
    this.word = element("input", { type: "text", id: "delete-word", autocomplete: "off", autocapitalize: "none", spellcheck: "false", oninput: () => this.#typed() });
    this.act = element("button", { type: "submit", class: "plain danger", id: "delete-mine-now", disabled: true }, said.deleteNow);
    this.wrong = element("p", { class: "wrong", role: "alert" });
    this.sure = element(
      "form",
      { class: "yours-sure", hidden: true },
      element("p", {}, said.question),
      element("label", { for: "delete-word" }, said.typeWord(said.word)),
      this.word,
      this.wrong,
      element("div", { class: "sure" }, this.act, button(words.cancel, { class: "quiet", onclick: () => (this.#ask(false), this.open.focus()) })),
    );
    this.sure.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#isTyped) return;
      this.act.disabled = true;
      onDelete();
    });
    this.told = element("div", { class: "yours-told", role: "status", tabindex: "-1" });
    this.element = element("section", { class: "settings-section yours", id: "yours" }, element("h3", {}, said.title), element("p", { class: "small" }, said.hint), this.open, this.sure, this.told);
  }

  /** What went, and what still holds copies of it. */
  showDeleted(told) {
    const said = this.words.yours;
    this.sure.hidden = true;
    const { backups, scrubbed } = told;
    const files = backups.map((each) => element("li", { dir: "auto" }, each));
    this.told.replaceChildren(
      element("p", {}, sayDeleted(told, this.words)),
      ...(scrubbed ? [] : [element("p", {}, said.notScrubbed)]),
      ...(files.length > 0 ? [element("p", {}, said.inBackups(files.length)), element("ul", { class: "small" }, ...files)] : []),
      element("p", { class: "small" }, said.elsewhere),
      button(said.goOn, { class: "plain", onclick: () => this.onEnd() }),
    );
    this.element.closest("dialog").addEventListener("close", () => this.onEnd(), { once: true });
    this.told.focus();
  }

  sayWrong(sentence) {
    this.wrong.textContent = sentence;
    this.act.disabled = !this.#isTyped;
  }

  get #isTyped() {
    return this.word.value.trim().toLocaleLowerCase() === this.words.yours.word;
  }

  #typed() {
    this.act.disabled = !this.#isTyped;
    this.wrong.textContent = "";
  }

  #ask(asking) {
    this.open.hidden = asking;
    this.sure.hidden = !asking;
    this.word.value = "";
    this.#typed();
    if (asking) this.word.focus();
  }
}
