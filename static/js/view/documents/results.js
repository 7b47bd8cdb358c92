// What was found in the contents of the documents.

import { shortName } from "../../state/documents.js";
import { snippetOf } from "../../state/snippet.js";
import { button, element } from "../dom.js";

export class Results {
  constructor(words, { onResult, onExplainSearch }) {
    this.words = words.documents;
    this.onResult = onResult;
    this.onExplainSearch = onExplainSearch;
    this.drawn = null;
    this.element = element("section", { class: "results", "aria-label": this.words.found });
  }

  /** `search` is {query, results, trouble}; results are null while they are looked for. */
  draw(search) {
    if (search === this.drawn) return;
    this.drawn = search;
    const { query, results, trouble } = search;
    if (query.trim() === "") return this.#say(this.words.filters);
    if (trouble !== null) return this.#say(trouble);
    if (results === null) return this.#say(this.words.looking);
    const ask = button(this.words.explain, { icon: "circle-help", onclick: () => this.onExplainSearch(query) });
    const line = element("p", { class: "small results-count", role: "status" }, this.words.resultCount(results.length));
    this.element.replaceChildren(element("div", { class: "results-head" }, line, ask), element("ol", { class: "result-list" }, ...results.map((result) => this.#row(result, query))));
  }

  #say(sentence) {
    this.element.replaceChildren(element("p", { class: "small results-count", role: "status" }, sentence));
  }

  #row(result, query) {
    const { source_document: name, heading, page, score, text } = result;
    const place = [page !== null && this.words.page(page), heading, this.words.fits(score)].filter(Boolean).join(" \u00b7 ");
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", class: "result", onclick: () => this.onResult(result) },
        element("span", { class: "document-name", dir: "auto", title: name }, shortName(name)),
        element("span", { class: "small result-place", dir: "auto" }, place),
        element("span", { class: "snippet", dir: "auto" }, ...snippetOf(text, query).map(({ text: part, hit }) => (hit ? element("mark", {}, part) : part))),
      ),
    );
  }
}
