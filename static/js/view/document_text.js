// The text of a document, a few parts of it at a time, with the very words marked. More comes as one scrolls; what is far away goes.

import { cut, MOST_PARTS } from "../state/evidence.js";
import { button, element } from "./dom.js";

const NEAR = "600px 0px";

export class DocumentText {
  /** `onMore("above" | "below")` when more is wanted. */
  constructor(words, { onMore }) {
    this.words = words;
    this.onMore = onMore;
    this.parts = []; // {start, end, element}, in order
    this.place = null;
    this.characters = 0;
    this.waiting = element("p", { class: "small opening" }, words.sources.opening);
    this.above = button(words.sources.above, { icon: "chevron-up", class: "quiet more", onclick: () => this.#want("above") });
    this.below = button(words.sources.below, { icon: "chevron-down", class: "quiet more", onclick: () => this.#want("below") });
    this.element = element("div", { class: "document-text", tabindex: "0", role: "region", hidden: true });
    this.nearness = new IntersectionObserver((entries) => this.#near(entries), { root: this.element, rootMargin: NEAR });
  }

  get first() {
    return this.parts[0];
  }

  get last() {
    return this.parts.at(-1);
  }

  clear() {
    this.nearness.disconnect();
    this.parts = [];
    this.element.replaceChildren();
    this.element.hidden = true;
  }

  wait(name) {
    this.#name(name);
    this.element.setAttribute("aria-busy", "true");
    this.element.replaceChildren(this.waiting);
    this.element.hidden = false;
  }

  /** The first part, scrolled so that the place is in the middle. */
  begin(part, place, characters, name) {
    this.place = place;
    this.characters = characters;
    this.#name(name);
    this.element.removeAttribute("aria-busy");
    this.element.hidden = characters === 0;
    this.above.disabled = this.below.disabled = false;
    this.parts = [drawn(part, place)];
    this.element.replaceChildren(this.above, this.first.element, this.below);
    this.#drawEnds();
    this.#center(this.first.element.querySelector("mark"));
    this.#watch();
  }

  add(side, part) {
    const up = side === "above";
    this[side].disabled = false;
    if (up ? part.end !== this.first.start : part.start !== this.last.end) return; // the other side grew meanwhile, and this one gave way
    const made = drawn(part, this.place);
    this.#keep((up ? this.first : this.last).element, () => {
      if (up) this.above.after(made.element);
      else this.below.before(made.element);
      this.parts = up ? [made, ...this.parts] : [...this.parts, made];
      if (this.parts.length > MOST_PARTS) (up ? this.parts.pop() : this.parts.shift()).element.remove();
      this.#drawEnds();
    });
    this.#watch();
  }

  /** More did not come; the button asks again. */
  missed(side) {
    this[side].disabled = false;
  }

  #drawEnds() {
    this.above.hidden = this.first.start <= 0;
    this.below.hidden = this.last.end >= this.characters;
  }

  #name(name) {
    this.element.setAttribute("aria-label", this.words.sources.textOf(name));
  }

  /** Told anew of buttons that are near already. */
  #watch() {
    this.nearness.disconnect();
    for (const each of [this.above, this.below]) this.nearness.observe(each);
  }

  #near(entries) {
    for (const { isIntersecting, target } of entries) if (isIntersecting) this.#want(target === this.above ? "above" : "below");
  }

  #want(side) {
    if (this[side].disabled || this[side].hidden) return;
    if (this[side] === document.activeElement) this.element.focus({ preventScroll: true });
    this[side].disabled = true;
    this.onMore(side);
  }

  #keep(anchor, change) {
    const top = anchor.getBoundingClientRect().top;
    change();
    this.element.scrollTop += anchor.getBoundingClientRect().top - top;
  }

  #center(mark) {
    this.element.scrollTop = 0;
    if (mark === null) return;
    const { top, height } = mark.getBoundingClientRect();
    const view = this.element.getBoundingClientRect();
    this.element.scrollTop = top - view.top - Math.max(view.height - height, view.height / 4) / 2;
  }
}

function drawn({ start, end, text }, place) {
  const { before, marked, after } = cut({ start, end, text }, place);
  return { start, end, element: element("div", { class: "part" }, before, marked && element("mark", {}, marked), after) };
}
