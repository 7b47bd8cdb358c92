// Which of several questions or answers in the same place this is, and the way to the others.

import { button, element } from "./dom.js";

export class Siblings {
  constructor(words, label, onSelect) {
    this.words = words;
    this.ids = [];
    this.at = -1;
    const go = (step) => () => onSelect(this.ids[this.at + step]);
    this.before = button(words.previousVersion, { icon: "chevron-left", bare: true, class: "muted", onclick: go(-1) });
    this.after = button(words.nextVersion, { icon: "chevron-right", bare: true, class: "muted", onclick: go(1) });
    this.place = element("span", { class: "small" });
    this.element = element("div", { class: "siblings", role: "group", "aria-label": label, hidden: true }, this.before, this.place, this.after);
  }

  draw(ids, id) {
    this.ids = ids;
    this.at = ids.indexOf(id);
    this.element.hidden = this.at < 0;
    this.place.textContent = this.at < 0 ? "" : this.words.versionOf(this.at + 1, ids.length);
    this.before.disabled = this.at <= 0;
    this.after.disabled = this.at >= ids.length - 1;
  }
}
