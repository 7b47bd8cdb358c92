// How far the documents on their way are, at the link to their room, and above the composer, since answers do not know them yet.

import { element } from "../dom.js";

export class SideCount {
  constructor(link, line, words) {
    this.link = link;
    this.line = line;
    this.words = words.documents;
    this.element = element("span", { class: "side-count", hidden: true });
    link.append(this.element);
  }

  draw(intake, at) {
    const { total, ended } = intake.summary(at);
    const said = intake.isBusy ? this.words.progressShort(ended, total) : "";
    this.element.hidden = said === "";
    if (this.element.textContent !== said) this.element.textContent = said;
    const warning = intake.isBusy ? this.words.stillReading(Math.max(1, total - ended)) : "";
    this.line.hidden = warning === "";
    if (this.line.textContent !== warning) this.line.textContent = warning;
  }

  /** Whether one stands in the room. */
  stand(is) {
    if (is) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
  }
}
