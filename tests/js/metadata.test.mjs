// Metadata of answers that came from elsewhere: what cannot be shown is left out, what is ours stays as it is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { turnsOf } from "../../static/js/state/history.js";
import { readMetadata } from "../../static/js/state/metadata.js";
import { sayReasons } from "../../static/js/state/wording.js";

const PASSAGE = { n: 1, document_id: "d", source_document: "sea.txt", page: null, heading: "", start: 0, end: 9, score: 0.5, text: "The sea." };
const CITATION = { sentence: [0, 4], verdict: "supported", score: 1, document_id: "d", version: "v", source_document: "sea.txt", span: [0, 9], text: "The sea.", source_gone: false };
const OURS = {
  source: "llm",
  model_used: "small",
  processing_time_ms: 12,
  tokens: { prompt: 1, cached: 0, completion: 2 },
  finish_reason: "stop",
  messages_omitted: 0,
  thoughts: "hm",
  confidence: { level: "high", reasons: ["It is so."], causes: [{ code: "sure", value: null }] },
  sources: [PASSAGE],
  sources_omitted: [],
  citations: [CITATION, { ...CITATION, verdict: "unsupported", document_id: null, version: null, source_document: null, span: null, text: null }],
  something_new: { there: "may be" },
};

test("metadata as our server writes them stay as they are", () => {
  assert.deepEqual(readMetadata(OURS), OURS);
});

for (const [name, value] of [
  ["source", "toString"],
  ["model_used", { b: 1 }],
  ["processing_time_ms", "soon"],
  ["tokens", { completion: null }],
  ["tokens", 5],
  ["finish_reason", {}],
  ["messages_omitted", "all"],
  ["thoughts", { a: 1 }],
  ["confidence", {}],
  ["confidence", { level: "__proto__", reasons: [] }],
  ["confidence", { level: "high", reasons: 5 }],
  ["confidence", { level: "high", reasons: ["a"], causes: [null] }],
  ["sources", {}],
  ["sources", "abc"],
  ["sources", [null]],
  ["sources", [{ ...PASSAGE, start: -1 }]],
  ["sources_omitted", [{ ...PASSAGE, heading: undefined }]],
  ["citations", "abc"],
  ["citations", [null]],
  ["citations", [{ ...CITATION, verdict: "constructor" }]],
  ["citations", [{ ...CITATION, sentence: [4, 0] }]],
  ["citations", [{ ...CITATION, span: [-5, 1e300] }]],
  ["citations", [{ ...CITATION, span: undefined }]],
  ["citations", [{ ...CITATION, document_id: null }]],
]) {
  test(`${name} that are ${JSON.stringify(value).slice(0, 60)} are left out of a turn`, () => {
    const row = { id: "a", role: "assistant", content: "It is.", parent: "q", status: "complete", metadata: { ...OURS, [name]: value } };
    assert.equal(turnsOf([row])[0].metadata[name], undefined);
  });
}

test("thoughts that are no text are none", () => {
  assert.equal(turnsOf([{ id: "a", role: "assistant", content: "It is.", parent: "q", metadata: { thoughts: 7 } }])[0].thoughts, "");
});

test("metadata that are no object are none", () => {
  assert.deepEqual([null, undefined, "x", 5, []].map(readMetadata), [null, null, null, null, null]);
});

test("of endless citations the first are kept", () => {
  assert.equal(readMetadata({ citations: Array(20_000).fill(CITATION) }).citations.length, 2000);
});

test("a cause that is named like a part of every object is said in the server's words", () => {
  assert.deepEqual(sayReasons({ reasons: ["It is so."], causes: [{ code: "constructor" }] }, { causes: {} }), ["It is so."]);
});
