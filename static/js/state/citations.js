// Which sentences of an answer the documents bear out, as the page marks them. Pure.

import { unitsOf } from "./points.js";

/** [{start, end, verdict, number, label}], in UTF-16 units of `text`; `number` is that of the passage it rests on. */
export function sentencesOf(text, { citations, sources }, words) {
  const ends = ascending(text, citations.flatMap(({ sentence }) => sentence));
  return citations.map((citation, index) => {
    const number = passageOf(citation, sources ?? [])?.n ?? null;
    const [start, end] = [ends[2 * index], ends[2 * index + 1]];
    return { start, end, verdict: citation.verdict, number, label: words.verdict[citation.verdict](number, citation.source_document) };
  });
}

/** The passage that a citation's words stand in; the document's first where none holds them all. */
export function passageOf({ document_id, span }, sources) {
  const ofIt = sources.filter((source) => source.document_id === document_id);
  return ofIt.find(({ start, end }) => span !== null && start <= span[0] && span[1] <= end) ?? ofIt[0] ?? null;
}

/** Sentences come in order, but nothing breaks where they should not. */
function ascending(text, points) {
  const order = points.map((_, at) => at).sort((a, b) => points[a] - points[b]);
  const units = unitsOf(text, order.map((at) => points[at]));
  const found = [];
  order.forEach((at, place) => (found[at] = units[place]));
  return found;
}
