// What the drawer shows of a document: counted in code points, and never other words than those an answer rested on.

import assert from "node:assert/strict";
import { test } from "node:test";

import english from "../../static/js/i18n/en.js";
import portuguese from "../../static/js/i18n/pt-BR.js";
import { passageOf, sentencesOf } from "../../static/js/state/citations.js";
import {
  above, AROUND, around, below, cut, halfOf, MORE, neighbour, ofCitation, ofPassage, reasonOf, sentenceOf, standOf, stands, trimmed,
} from "../../static/js/state/evidence.js";

const TEXT = "Ol\u00e1 \u{1f6a4}\u{1f469}\u200d\u{1f527}\nA bomba e\u0301 azul \u{1f535}.\nFim";
const points = (text) => [...text];
const part = (start, end) => ({ start, end, text: points(TEXT).slice(start, end).join("") });
const placeOf = (words) => {
  const start = points(TEXT.slice(0, TEXT.indexOf(words))).length;
  return { start, end: start + points(words).length };
};
const citation = (verdict, span, more = {}) => ({
  sentence: [0, 4], verdict, score: 0.5, document_id: span && "d", version: span && "v1", source_document: span && "d.md", span, text: null, source_gone: false, ...more,
});
const passage = (n, start, end, document_id = "d") => ({ n, document_id, source_document: `${document_id}.md`, page: n, heading: "A > B", start, end, score: 0.5, text: "" });

test("the very words are cut out of any part that holds them, emoji and combining marks before them or not", () => {
  const words = "bomba e\u0301 azul \u{1f535}";
  const place = placeOf(words);
  for (const start of [0, 3, 5, 8]) {
    const { before, marked, after } = cut(part(start, points(TEXT).length), place);
    assert.deepEqual([before + marked + after, marked], [part(start, points(TEXT).length).text, words]);
  }
});

test("a part without the place has nothing marked, one with a piece of it has that marked", () => {
  const place = placeOf("Fim");
  assert.deepEqual(cut(part(0, 5), place), { before: part(0, 5).text, marked: "", after: "" });
  assert.equal(cut(part(0, place.start + 1), place).marked, "F");
  assert.equal(cut(part(0, 5), null).marked, "");
});

test("a window has room around the place and never begins before the document", () => {
  assert.deepEqual(around({ start: 10, end: 20 }), { start: 0, end: 20 + AROUND });
  assert.deepEqual(around({ start: 5000, end: 5010 }), { start: 5000 - AROUND, end: 5010 + AROUND });
  assert.deepEqual(around(null), { start: 0, end: MORE });
  assert.deepEqual(above({ start: 100 }), { start: 0, end: 100 });
  assert.deepEqual(below({ end: 100 }), { start: 100, end: 100 + MORE });
});

test("parts meet between lines, and whole they are the document", () => {
  const lines = Array.from({ length: 400 }, (_, at) => `${at} \u{1f600}${"x".repeat(at % 90)}\n`).join("");
  const characters = points(lines).length;
  const ask = ({ start, end }) => ({ start, end: Math.min(end, characters), text: points(lines).slice(start, end).join("") });
  const place = { start: 9000, end: 9100 };
  const shown = [trimmed(ask(around(place)), place, characters)];
  while (shown[0].start > 0) {
    const more = ask(above(shown[0]));
    shown.unshift(trimmed(more, halfOf(more, "above"), characters));
  }
  while (shown.at(-1).end < characters) {
    const more = ask(below(shown.at(-1)));
    shown.push(trimmed(more, halfOf(more, "below"), characters));
  }
  assert.equal(shown.map(({ text }) => text).join(""), lines);
  assert.ok(shown.slice(0, -1).every(({ text }) => text.endsWith("\n")));
  assert.ok(shown.every(({ start, end, text }) => end - start === points(text).length));
  assert.ok(shown.some(({ start, end }) => start <= place.start && place.end <= end));
});

test("a text of one line is parted between words, and one without a space anywhere", () => {
  const words = { start: 10, end: 40, text: "aa bbbbbbb cccccccc ddddddd ee" };
  assert.deepEqual(trimmed(words, { start: 22, end: 26 }, 100), { start: 13, end: 38, text: "bbbbbbb cccccccc ddddddd " });
  const solid = { start: 10, end: 14, text: "abcd" };
  assert.deepEqual(trimmed(solid, { start: 11, end: 12 }, 100), solid);
});

test("previous and next evidence go through those with words to show, in the answer's order", () => {
  const citations = [citation("unsupported", null), citation("supported", [0, 3]), citation("unsupported", [0, 3]), citation("partial", [4, 5]), citation("contradicted", [1, 2]), citation("supported", null)];
  assert.deepEqual([0, 1, 3, 4].map((at) => neighbour(citations, at, 1)), [1, 3, 4, null]);
  assert.deepEqual([5, 4, 3, 1].map((at) => neighbour(citations, at, -1)), [4, 3, 1, null]);
  assert.deepEqual([1, 3, 4].map((at) => standOf(citations, at)), [{ at: 1, count: 3 }, { at: 2, count: 3 }, { at: 3, count: 3 }]);
});

test("a citation's passage is the one that holds its words, else the document's first, else none", () => {
  const sources = [passage(1, 0, 50, "other"), passage(2, 0, 50), passage(3, 60, 90)];
  for (const [span, n] of [[[61, 70], 3], [[0, 50], 2], [[45, 65], 2]]) assert.equal(passageOf(citation("supported", span), sources).n, n);
  assert.equal(passageOf(citation("supported", [0, 3], { document_id: "far" }), sources), null);
  assert.equal(ofCitation(citation("supported", [61, 70]), sources).page, 3);
});

test("words are shown only where this version of the document has these at this place", () => {
  const place = placeOf("azul");
  const rest = ofCitation(citation("supported", [place.start, place.end], { text: "azul" }), []);
  const document = { ...part(3, 30), version: "v1" };
  assert.equal(stands(rest, document), true);
  assert.equal(stands(rest, { ...document, version: "v2" }), false);
  assert.equal(stands({ ...rest, text: "AZUL" }, document), false);
  assert.equal(stands(rest, { start: 2, end: 2, text: "", version: "v1" }), false);
  assert.equal(stands(ofPassage({ ...passage(1, 0, 3), text: "Ol\u00e1" }), { ...part(0, 9), version: "v9" }), true);
});

test("a document that is not shown is gone, or away with its server, or refused", () => {
  const told = [[404, "not_found"], [0, "unreachable"], [500, "unknown"]].map(([status, code]) => reasonOf({ status, code }));
  assert.deepEqual(told, ["gone", "away", "refused"]);
});

test("the answer's sentence is cut by code points", () => {
  assert.equal(sentenceOf("\u{1f6a4} Sim. N\u00e3o.", { sentence: [2, 6] }), "Sim.");
});

test("sentences are found in any order, and one without a passage is not called by its number", () => {
  const citations = [citation("supported", [0, 3], { sentence: [7, 9], document_id: "far", source_document: "far.md" }), citation("partial", [0, 3], { sentence: [0, 2] })];
  const sentences = sentencesOf("\u{1f6a4}a \u{1f6a4}b. cd", { citations, sources: [passage(4, 0, 9)] }, english.sources);
  assert.deepEqual(sentences.map(({ start, end }) => [start, end]), [[9, 11], [0, 3]]);
  assert.deepEqual(sentences.map(({ label }) => label), ["far.md: supports this sentence", "Passage 4, d.md: supports this sentence in part"]);
});

test("both languages have the drawer's words", () => {
  const keys = (words) => Object.entries(words).flatMap(([key, value]) => (typeof value === "object" ? keys(value).map((inner) => `${key}.${inner}`) : key));
  assert.deepEqual(keys(portuguese.sources), keys(english.sources));
});
