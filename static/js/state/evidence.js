// What the drawer shows of a document: which part of its text, which words in it, and whether they are still there. Pure.
//
// A place is {start, end} in code points of the document's text; a part is a place with the text that stands there.

import { passageOf } from "./citations.js";
import { countPoints, slicePoints, unitsOf } from "./points.js";

export const AROUND = 3000; // code points before and after the very words
export const MORE = 8000; // asked for when the reader comes to the end of what is there
export const MOST_PARTS = 12; // of a long document at once; those left behind come again when scrolled to

// ---- what an answer rests on

/** Whether there are words of a document to show for a citation. */
export function hasWords({ verdict, span }) {
  return span !== null && verdict !== "unsupported";
}

/** The next citation with words after `index` (before it, with `by` -1); null at the end. */
export function neighbour(citations, index, by) {
  for (let at = index + by; at >= 0 && at < citations.length; at += by) if (hasWords(citations[at])) return at;
  return null;
}

/** {at, count}: the how manieth a citation is of those with words. */
export function standOf(citations, index) {
  const shown = citations.flatMap((citation, at) => (hasWords(citation) ? [at] : []));
  return { at: shown.indexOf(index) + 1, count: shown.length };
}

/** What to show for a citation: the document, the place, and the words that have to stand there. */
export function ofCitation(citation, sources) {
  const { document_id, version, source_document: name, span, text } = citation;
  const passage = passageOf(citation, sources);
  return { document_id, version, name, place: placeOf(span), text, page: passage?.page ?? null, heading: passage?.heading ?? "" };
}

export function ofPassage({ document_id, source_document: name, start, end, text, page, heading }) {
  return { document_id, version: null, name, place: { start, end }, text, page, heading };
}

export function ofDocument(document_id, place) {
  return { document_id, version: null, name: "", place, text: null, page: null, heading: "" };
}

function placeOf(span) {
  return span && { start: span[0], end: span[1] };
}

/** Whether the words are still where they were: nothing else is ever shown in their place. */
export function stands({ version, place, text }, part) {
  if (version !== null && part.version !== version) return false;
  return text === null || slicePoints(part.text, place.start - part.start, place.end - part.start) === text;
}

/** Why a document is not shown: "gone", "away", or "refused". */
export function reasonOf({ status, code }) {
  if (status === 404) return "gone";
  return code === "unreachable" ? "away" : "refused";
}

/** The sentence of the answer that a citation is about. */
export function sentenceOf(text, { sentence: [start, end] }) {
  return slicePoints(text, start, end).trim();
}

// ---- which part of a document

export function around(place) {
  if (place === null) return { start: 0, end: MORE };
  return { start: Math.max(0, place.start - AROUND), end: place.end + AROUND };
}

export function above({ start }) {
  return { start: Math.max(0, start - MORE), end: start };
}

export function below({ end }) {
  return { start: end, end: end + MORE };
}

/** What of a part to show so that parts meet between lines, or at least between words; `kept` stays whole. */
export function trimmed(part, kept, characters) {
  const [from, to] = unitsOf(part.text, [kept.start - part.start, kept.end - part.start]);
  const first = part.start > 0 ? border(part.text.slice(0, from), "indexOf") : 0;
  const tail = part.end < characters ? border(part.text.slice(to), "lastIndexOf") : 0;
  const last = tail > 0 ? to + tail : part.text.length;
  return {
    start: part.start + countPoints(part.text.slice(0, first)),
    end: part.end - countPoints(part.text.slice(last)),
    text: part.text.slice(first, last),
  };
}

/** Where a line begins in a text: its first or last, the same of words where there is but one, else where the text begins. */
function border(text, indexOf) {
  return text[indexOf]("\n") + 1 || text[indexOf](" ") + 1;
}

/** Half of what comes: a border between parts may be anywhere in the other half. */
export function halfOf({ start, end }, side) {
  const middle = start + Math.floor((end - start) / 2);
  return side === "above" ? { start: middle, end } : { start, end: middle };
}

/** A part's text before the place, in it, and after it; parts that do not hold it have all of it before. */
export function cut({ start, end, text }, place) {
  if (place === null || place.end <= start || place.start >= end) return { before: text, marked: "", after: "" };
  const [from, to] = unitsOf(text, [Math.max(0, place.start - start), place.end - start]);
  return { before: text.slice(0, from), marked: text.slice(from, to), after: text.slice(to) };
}
