// A modal dialog with a title and a way out: Esc, the close button, a click beside it. The focus goes back where it was.

import { button, element } from "./dom.js";

let count = 0;

export class Dialog {
  constructor(title, words, { class: kind = "" } = {}) {
    const id = `dialog-${++count}`;
    this.heading = element("h2", { id }, title);
    this.content = element("div", { class: "dialog-content" });
    const close = button(words.dismiss, { icon: "x", bare: true, onclick: () => this.close() });
    const frame = element("div", { class: "dialog-frame" }, element("header", { class: "dialog-head" }, this.heading, close), this.content);
    this.element = element("dialog", { class: `dialog ${kind}`.trim(), "aria-labelledby": id }, frame);
    this.element.addEventListener("click", (event) => event.target === this.element && this.close());
    document.body.append(this.element);
  }

  get isOpen() {
    return this.element.open;
  }

  open() {
    if (!this.isOpen) this.element.showModal();
  }

  close() {
    this.element.close();
  }
}
