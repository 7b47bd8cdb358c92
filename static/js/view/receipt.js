// How an answer came about, in a line under it: model, time, speed, and how sure it is, with the reasons on demand.

import { sayReasons } from "../state/wording.js";
import { button, element, icon } from "./dom.js";

const SIGNS = { high: "circle-check", medium: "info", low: "info" };

export class Receipt {
  constructor(words, onSources) {
    this.words = words;
    this.line = element("span", {});
    this.word = element("span", {});
    this.badge = element("button", { type: "button", class: "confidence", "aria-expanded": "false", onclick: () => this.#toggle() }, icon(SIGNS.low), this.word, icon("chevron-down"));
    this.sources = button("", { icon: "text-quote", class: "muted sources", onclick: onSources });
    this.reasons = element("ul", { class: "reasons", hidden: true });
    this.element = element("div", { class: "receipt", hidden: true }, this.line, this.badge, this.sources, this.reasons);
  }

  draw({ metadata, sources }, said) {
    const { words } = this;
    const passages = metadata?.sources ?? sources ?? [];
    this.line.textContent = said;
    const confidence = metadata?.confidence ?? null;
    this.badge.hidden = confidence === null;
    if (confidence !== null) {
      if (this.badge.dataset.level !== confidence.level) this.badge.firstElementChild.replaceWith(icon(SIGNS[confidence.level]));
      this.badge.dataset.level = confidence.level;
      this.word.textContent = words.confidence[confidence.level];
      this.reasons.replaceChildren(...sayReasons(confidence, words).map((reason) => element("li", {}, reason)));
    }
    this.sources.hidden = passages.length === 0;
    this.sources.lastElementChild.textContent = words.passages(passages.length);
    this.element.hidden = said === "" && confidence === null && passages.length === 0;
  }

  #toggle() {
    this.reasons.hidden = !this.reasons.hidden;
    this.badge.setAttribute("aria-expanded", String(!this.reasons.hidden));
  }
}
