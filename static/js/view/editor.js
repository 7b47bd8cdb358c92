// A question being written anew, in its own place.

import { button, element } from "./dom.js";
import { grow, sends } from "./composer.js";
import { LONGEST_QUESTION } from "../state/question.js";

export class QuestionEditor {
  constructor(words, onAsk, onChanged) {
    this.onAsk = onAsk;
    this.onChanged = onChanged;
    this.field = element("textarea", { rows: 1, dir: "auto", "aria-label": words.editQuestion, maxlength: LONGEST_QUESTION });
    this.field.addEventListener("input", () => grow(this.field));
    this.field.addEventListener("keydown", (event) => this.#press(event));
    this.element = element(
      "div",
      { class: "editor composer", hidden: true },
      element("div", { class: "growing" }, this.field),
      element(
        "div",
        { class: "controls" },
        element("p", { class: "hint" }, words.editHint),
        button(words.cancel, { class: "quiet", onclick: () => this.#close() }),
        button(words.send, { class: "accent", onclick: () => this.#ask() }),
      ),
    );
  }

  get isOpen() {
    return !this.element.hidden;
  }

  open(text) {
    this.field.value = text;
    this.element.hidden = false;
    grow(this.field);
    this.field.focus();
  }

  #press(event) {
    if (event.key === "Escape") {
      event.preventDefault(); // it means this editor, and not the answer
      this.#close();
    } else if (sends(event)) {
      event.preventDefault();
      this.#ask();
    }
  }

  #ask() {
    const text = this.field.value.trim();
    if (text === "") return;
    this.#close();
    this.onAsk(text);
  }

  #close() {
    this.element.hidden = true;
    this.onChanged();
  }
}
