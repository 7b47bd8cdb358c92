// What the end of a growing text looks like before it is decided.

import assert from "node:assert/strict";
import { test } from "node:test";

import { mend } from "../../static/js/text/open_end.js";

const TABLE = [
  ["words", "words"],
  ["a **bo", "a **bo**"],
  ["a **bold*", "a **bold**"],
  ["a *x* **", "a *x* "],
  ["a _b **c", "a _b **c**_"],
  ["a `co", "a `co`"],
  ["a ``", "a "],
  ["a ~~b", "a ~~b~~"],
  ["2 * 3 and snake_case", "2 * 3 and snake_case"],
  ["[li", "[li"],
  ["see [li](htt", "see li"],
  ["![a](x", ""],
  ["a <b", "a "],
  ["- a\n- **b", "- a\n- **b**"],
  ["x\n\n```", "x\n\n"],
  ["x\n\n```py", "x\n\n"],
  ["```py\ncode\n``", "```py\ncode\n"],
  ["```py\na *b", "```py\na *b"],
  ["```py\ncode\n```\nmore *a", "```py\ncode\n```\nmore *a*"],
  ["| a | b |", ""],
  ["| a | b |\n|--", ""],
  ["text\n\n| a | b |\n", "text\n\n"],
  ["| a | b |\n|---|---|\n", "| a | b |\n|---|---|\n"],
  ["| a | b |\n|---|---|", "| a | b |\n|---|---|"],
  ["| a | b |\n|---|---|\n| x", "| a | b |\n|---|---|\n"],
  ["| a | b |\n|---|---|\n| x | y |", "| a | b |\n|---|---|\n| x | y |"],
  ["$$\nx^2", "$$\nx^2\n$$"],
  ["\\[\na", "\\[\na\n\\]"],
  ["$$x$$ b", "$$x$$ b"],
  ["title\n=", "title\n"],
  ["para\n1", "para\n"],
];

for (const [text, mended] of TABLE) {
  test(`${JSON.stringify(text)} is shown as ${JSON.stringify(mended)}`, () => assert.equal(mend(text), mended));
}
