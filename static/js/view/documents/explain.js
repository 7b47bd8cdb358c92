// "Why was this not found?": what was asked and expected, and where on its way through the search it was lost.

import { shortName } from "../../state/documents.js";
import { MOST_TOLD, stagesOf, verdictOf } from "../../state/explanation.js";
import { Dialog } from "../dialog.js";
import { element } from "../dom.js";

export class Explain {
  /** `ask(query, expect)` promises what the server tells; `sayTrouble(error)` puts a failure into words. */
  constructor(words, { ask, sayTrouble }) {
    Object.assign(this, { words: words.documents, ask, sayTrouble, expected: null });
    this.dialog = new Dialog(this.words.explain, words, { class: "explain" });
    this.query = element("input", { type: "text", id: "explain-query", required: true, autocomplete: "off", dir: "auto", maxlength: "8000" });
    this.expect = element("textarea", { class: "field", id: "explain-expect", rows: "2", required: true, dir: "auto", maxlength: "8000" });
    this.told = element("div", { class: "explanation", "aria-live": "polite" });
    const form = element(
      "form",
      { class: "explain-form" },
      element("label", { for: "explain-query" }, this.words.explainQuery),
      this.query,
      element("label", { for: "explain-expect" }, this.words.explainExpect),
      this.expect,
      element("button", { type: "submit", class: "accent" }, this.words.explainAsk),
    );
    form.addEventListener("submit", (event) => (event.preventDefault(), this.#ask()));
    this.expect.addEventListener("input", () => (this.expected = null));
    this.dialog.content.append(form, this.told);
  }

  /** Perhaps with a question, perhaps with the document that was expected. */
  open(query = "", document = null) {
    this.query.value = query;
    this.expected = document?.document_id ?? null;
    this.expect.value = document?.source_document ?? "";
    this.told.replaceChildren();
    this.dialog.open();
    (query === "" ? this.query : this.expect).focus();
  }

  async #ask() {
    const query = this.query.value.trim();
    const expect = this.expected ?? this.expect.value.trim();
    if (query === "" || expect === "") return;
    const asked = (this.asked = {});
    this.told.replaceChildren(element("p", { class: "small" }, this.words.looking));
    const shown = await this.ask(query, expect).then((told) => this.#drawn(told, expect), (error) => [element("p", {}, this.sayTrouble(error))]);
    if (this.asked === asked) this.told.replaceChildren(...shown);
  }

  #drawn(told, expect) {
    const stages = stagesOf(told, expect);
    return [element("p", { class: "verdict" }, this.#verdict(told)), this.#table(stages), ...stages.filter(({ rows }) => rows.length > 0).map((stage) => this.#rows(stage))];
  }

  #verdict(told) {
    const verdict = verdictOf(told);
    if (verdict === null) return told.expected;
    return this.words.verdict[verdict.lost ?? "found"](verdict);
  }

  #table(stages) {
    const { words } = this;
    const head = element("tr", {}, ...[words.stage, words.kept, words.expectedPassage].map((title) => element("th", { scope: "col" }, title)));
    const rows = stages.map(({ stage, kept, fate, place }) =>
      element("tr", { data: { fate } }, element("th", { scope: "row" }, words.stages[stage]), element("td", {}, words.keptCount(kept, kept < MOST_TOLD)), element("td", {}, words.fate[fate](place))),
    );
    return element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": words.stagesTable }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  #rows({ stage, rows }) {
    const { words } = this;
    const head = element("tr", {}, ...[words.place, words.passage, words.score].map((title) => element("th", { scope: "col" }, title)));
    const body = rows.map(({ place, name, text, score, kept, meant }) =>
      element(
        "tr",
        { data: { fate: meant ? (kept ? "kept" : "lost") : kept ? "other" : "gone" } },
        element("td", {}, words.number(place)),
        element("td", { dir: "auto" }, element("strong", {}, shortName(name)), meant && element("span", { class: "small" }, ` (${words.expected})`), element("span", { class: "small stage-text" }, text.slice(0, 120))),
        element("td", {}, words.scoreOf(score)),
      ),
    );
    return element("details", { class: "stage" }, element("summary", {}, words.stages[stage]), element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  }
}
