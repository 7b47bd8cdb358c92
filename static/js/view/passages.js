// Lists of passages, each a way into its document.

import { element } from "./dom.js";

const BEGINNING = 400; // UTF-16 units; three lines are shown

/** Where in its document something stands: headings, and the page. */
export function whereOf({ heading, page }, words) {
  return [heading.replaceAll(" > ", " \u203a "), page === null ? "" : words.sources.page(page)].filter(Boolean).join(" \u00b7 ");
}

export function passageList(passages, said, words, onPassage) {
  if (passages.length === 0) return [element("p", { class: "calm" }, words.sources.none)];
  return [element("p", { class: "calm" }, said), list(passages, words, onPassage)];
}

export function omittedPassages(passages, words, onPassage) {
  if (passages.length === 0) return [];
  const unnumbered = passages.map((passage) => ({ ...passage, n: null })); // only what the model read has a number
  return [element("h3", { class: "omitted" }, words.sources.omitted), list(unnumbered, words, onPassage)];
}

function list(passages, words, onPassage) {
  return element("ol", { class: "passages" }, ...passages.map((passage) => entry(passage, words, onPassage)));
}

function entry(passage, words, onPassage) {
  const where = whereOf(passage, words);
  return element(
    "li",
    { class: "passage" },
    element("span", { class: "passage-number" }, passage.n === null ? null : String(passage.n)),
    element("button", { type: "button", class: "passage-name", dir: "auto", onclick: () => onPassage(passage) }, passage.source_document),
    element("span", { class: "small fits" }, words.sources.fits(passage.score)),
    where && element("p", { class: "small passage-where", dir: "auto" }, where),
    element("p", { class: "passage-text", dir: "auto" }, passage.text.slice(0, BEGINNING).trim()),
  );
}
