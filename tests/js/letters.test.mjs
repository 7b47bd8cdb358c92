// Sentences of a Markdown source found again among the letters of its rendering.

import assert from "node:assert/strict";
import { test } from "node:test";

import { lettersOf, locate, spell } from "../../static/js/text/letters.js";

const found = (source, rendered, ...sentences) => {
  const { letters, places } = lettersOf(source);
  let from = 0;
  const ranges = sentences.map((words) => {
    const start = source.indexOf(words, from);
    from = start + words.length;
    return { from: places.findIndex((place) => place >= start), to: places.filter((place) => place < from).length };
  });
  const spelt = spell(rendered);
  return locate(letters, ranges, spelt.letters).map(
    (range) => range && rendered.slice(spelt.places[range.from], spelt.places[range.to - 1] + 1),
  );
};

test("syntax and addresses of links do not count", () => {
  const source = "It **is** [so](https://example.org/so). Then &amp; now.";
  assert.deepEqual(found(source, "It is so. Then & now.", "It **is** [so](https://example.org/so).", "Then &amp; now."), ["It is so", "Then & now"]);
});

test("of equal sentences each is found in its own place", () => {
  const source = "Yes. One. Yes. Two. Yes.";
  const { letters } = spell(source);
  assert.deepEqual(locate(letters, [{ from: 6, to: 9 }, { from: 12, to: 15 }], letters), [{ from: 6, to: 9 }, { from: 12, to: 15 }]);
});

test("a sentence with something else inside is found by its ends", () => {
  const source = "The height of the water follows $h(t)$ along the coast of Portugal.";
  const rendered = "The height of the water follows h of t along the coast of Portugal.";
  assert.deepEqual(found(source, rendered, source), [rendered.slice(0, -1)]);
});

test("what is not there is not found, and what follows still is", () => {
  assert.deepEqual(found("Never said. Said here.", "Said here.", "Never said.", "Said here."), [null, "Said here"]);
});

for (const piece of ["![", "![a](", "<!--", "\\(", "\\[", "[", "](", "$$a", "<a "]) {
  test(`a long text of nothing but ${piece} is no work`, () => {
    const began = performance.now();
    lettersOf(piece.repeat(200_000 / piece.length));
    assert.ok(performance.now() - began < 400);
  });
}

test("an image with brackets in its words or its address does not count", () => {
  const source = "See ![a [b] c](http://x/y_(z).png) there.";
  assert.equal(lettersOf(source).letters, "seethere");
});
