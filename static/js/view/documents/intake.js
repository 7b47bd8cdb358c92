// What is on its way into the library: how far all of it is, and the files that are under way or could not be read.

import { sayEntry, saySummary } from "../../state/documents.js";
import { button, element } from "../dom.js";

const CANCELLABLE = new Set(["waiting", "sending"]);

export class IntakeList {
  constructor(words, { onCancel, onClear }) {
    this.words = words;
    this.onCancel = onCancel;
    this.rows = new Map(); // entry's id -> its row
    this.line = element("p", { class: "intake-line" });
    this.clear = button(words.documents.clear, { onclick: onClear });
    this.bar = element("progress", { class: "intake-bar", max: "1", "aria-label": words.documents.takingIn });
    this.list = element("ul", { class: "intake-list" });
    this.more = element("p", { class: "small intake-more" });
    this.element = element(
      "section",
      { class: "intake", "aria-label": words.documents.takingIn, hidden: true },
      element("div", { class: "intake-head" }, this.line, this.clear),
      this.bar,
      element("div", { class: "intake-window", tabindex: "0", role: "region", "aria-label": words.documents.takingIn }, this.list),
      this.more,
    );
  }

  draw(intake, at) {
    const { words } = this;
    const summary = intake.summary(at);
    const { entries, more } = intake.listed();
    this.element.hidden = intake.entries.size === 0;
    this.element.toggleAttribute("data-busy", intake.isBusy);
    put(this.line, saySummary(summary, intake.isBusy, words.documents));
    this.clear.hidden = intake.isBusy;
    this.bar.hidden = !intake.isBusy;
    this.bar.value = intake.work.total > 0 ? intake.work.done / intake.work.total : 0;
    put(this.more, more > 0 ? words.documents.more(more) : "");
    this.more.hidden = more === 0;
    this.#drawRows(entries, at);
  }

  #drawRows(entries, at) {
    const wanted = new Map(entries.map((entry) => [entry.id, this.rows.get(entry.id) ?? this.#row(entry)]));
    for (const [id, row] of this.rows) if (!wanted.has(id)) row.element.remove();
    let before = null;
    for (const entry of entries) {
      const row = wanted.get(entry.id);
      const place = before === null ? this.list.firstChild : before.nextSibling;
      if (row.element !== place) this.list.insertBefore(row.element, place);
      this.#drawRow(row, entry, at);
      before = row.element;
    }
    this.rows = wanted;
  }

  #row(entry) {
    const { words } = this;
    const name = element("span", { class: "intake-name", dir: "auto", title: entry.name }, entry.name);
    const state = element("span", { class: "intake-state" });
    const cancel = button(words.documents.cancelSending(entry.name), { icon: "x", bare: true, class: "quiet muted", onclick: () => this.onCancel(row.entry) });
    const row = { element: element("li", { class: "intake-row" }, name, state, cancel), state, cancel, entry };
    return row;
  }

  #drawRow(row, entry, at) {
    row.entry = entry;
    row.element.dataset.state = entry.state;
    put(row.state, sayEntry(entry, at, this.words.documents));
    row.cancel.hidden = !CANCELLABLE.has(entry.state);
  }
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
