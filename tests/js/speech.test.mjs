// What is read aloud of a growing answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { wholeSentences } from "../../static/js/state/speech.js";

function heard(pieces) {
  const said = [];
  let text = "";
  let from = 0;
  for (const piece of pieces) {
    text += piece;
    const { sentences, upTo } = wholeSentences(text, from);
    if (sentences !== "") said.push(sentences);
    from = upTo;
  }
  return { said, rest: text.slice(from) };
}

test("sentences are said whole, each once", () => {
  const { said, rest } = heard(["The sky", " is blue", ". It", " scatters light. ", "And so"]);
  assert.deepEqual(said, ["The sky is blue.", "It scatters light."]);
  assert.equal(rest, "And so");
});

test("a point inside a number ends nothing", () => {
  assert.deepEqual(heard(["Pi is 3", ".", "14 or", " so"]).said, []);
});

test("closing quotes and brackets belong to their sentence", () => {
  assert.deepEqual(heard(["He said \u201cno.\u201d Then left"]).said, ["He said \u201cno.\u201d"]);
});

test("a line of a list is a sentence without a full stop", () => {
  assert.deepEqual(heard(["- apples\n- pe", "ars\n"]).said, ["- apples", "- pears"]);
});

test("several sentences in one piece are said together", () => {
  assert.deepEqual(heard(["One. Two! Three? Fo"]).said, ["One. Two! Three?"]);
});

test("endless dots are no work", { timeout: 1000 }, () => {
  const began = performance.now();
  wholeSentences(".".repeat(60_000), 0);
  assert.ok(performance.now() - began < 200);
});
