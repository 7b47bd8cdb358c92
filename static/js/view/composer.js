// Where questions are typed: grows with its text, sends on Enter, and never loses a draft.

export class Composer {
  constructor(form, field, send, { onAsk, onTyped }) {
    this.field = field;
    this.send = send;
    const ask = () => {
      const text = field.value.trim();
      if (text !== "") onAsk(text);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
      this.focus();
    });
    field.addEventListener("keydown", (event) => {
      // While an input method composes, Enter chooses a word; Safari tells so only by keyCode 229.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      ask();
    });
    field.addEventListener("input", () => {
      this.#grow();
      onTyped(field.value);
    });
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
    this.field.parentElement.dataset.text = this.field.value;
  }
}
