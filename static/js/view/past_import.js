// Conversations coming in from a file: how far it is, and what came of it.

import { button, element } from "./dom.js";

const REASONS = 5; // shown of what was refused

export class PastImport {
  constructor(root, words) {
    this.root = root;
    this.general = words;
    this.words = words.past;
    this.root.setAttribute("role", "status");
  }

  /** `sent` of `total` bytes are there; when all are, the server reads them. `onCancel` gives up. */
  showProgress(name, sent, total, onCancel) {
    const { words } = this;
    const all = sent >= total;
    const line = all ? words.takingIn : words.sending(total === 0 ? 0 : Math.floor((100 * sent) / total));
    if (this.line === undefined) {
      this.line = element("p", {});
      this.bar = element("progress", { max: "1", "aria-label": words.import });
      this.#show([element("p", { class: "past-file", dir: "auto" }, name), this.line, this.bar], button(this.general.cancel, { onclick: onCancel }));
    }
    if (this.line.textContent !== line) this.line.textContent = line;
    if (all) this.bar.removeAttribute("value");
    else this.bar.value = total === 0 ? 0 : sent / total;
  }

  showResult(report) {
    const { words } = this;
    const reasons = report.refusals.slice(0, REASONS).map(({ where, reason }) => element("li", { dir: "auto" }, `${where.slice(0, 200)}: ${reason.slice(0, 500)}`));
    const left = report.refused - reasons.length;
    if (left > 0) reasons.push(element("li", {}, words.andMore(left)));
    this.#end([element("p", {}, words.imported(report)), reasons.length > 0 && element("ul", { class: "past-reasons" }, reasons)]);
  }

  showFailure(sentence) {
    this.#end([element("p", {}, sentence)]);
  }

  close() {
    this.line = undefined;
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  #end(parts) {
    this.line = undefined;
    this.#show(parts, button(this.general.dismiss, { icon: "x", bare: true, class: "muted", onclick: () => this.close() }));
  }

  #show(parts, way) {
    this.root.hidden = false;
    this.root.replaceChildren(element("div", { class: "past-import-words" }, parts.filter(Boolean)), way);
  }
}
