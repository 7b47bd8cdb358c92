// Where questions are typed: grows with its text, sends on Enter, and never loses a draft.

import { LONGEST_QUESTION } from "../state/question.js";

export class Composer {
  constructor(form, field, send, { onAsk, onTyped, onTooLong }) {
    this.field = field;
    this.send = send;
    const ask = () => {
      const text = field.value.trim();
      if (text.length > LONGEST_QUESTION) onTooLong(text);
      else if (text !== "") onAsk(text, null);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
      this.focus();
    });
    field.addEventListener("keydown", (event) => {
      if (!sends(event)) return;
      event.preventDefault();
      ask();
    });
    field.addEventListener("input", () => {
      this.#grow();
      onTyped(field.value);
    });
    refuseLongPastes(field, onTooLong);
    if (matchMedia("(hover: hover)").matches) this.focus(); // a phone would open its keyboard over the page
  }

  draw(draft) {
    this.send.disabled = draft.trim() === "";
    if (this.field.value === draft) return;
    this.field.value = draft;
    this.#grow();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  /** As high as its text: see .growing in parts.css. */
  #grow() {
    grow(this.field);
  }
}

/** While an input method composes, Enter chooses a word; Safari tells so only by keyCode 229. */
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

export function grow(field) {
  field.parentElement.dataset.text = field.value;
}

/** A field with millions of characters stops the whole page: what no question can hold never gets into it. */
function refuseLongPastes(field, onTooLong) {
  const refuse = (event, text) => {
    if (text.length + field.value.length <= LONGEST_QUESTION) return;
    event.preventDefault();
    onTooLong(text);
  };
  field.addEventListener("paste", (event) => refuse(event, event.clipboardData?.getData("text/plain") ?? ""));
  field.addEventListener("drop", (event) => refuse(event, event.dataTransfer?.getData("text/plain") ?? ""));
}
