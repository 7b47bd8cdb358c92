// Markdown as words alone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { plainText } from "../../static/js/text/plain.js";

const TABLE = [
  ["# Title *x*", "Title x"],
  ["**b** `c` [l](https://x.org) &amp; $x^2$ <b>q</b>", "b c l & x^2 q"],
  ["a\n\nb", "a\n\nb"],
  ["- [x] a\n- b\n  1. c", "\u2022 \u2611 a\n\u2022 b\n   1. c"],
  ["| a | b |\n|-|-|\n| 1 | 2 |", "a\tb\n1\t2"],
  ["```js\nlet a;\n```", "let a;"],
  ["> q", "q"],
  ["<p>z<script>x()</script></p>", "z"],
  ["![a map](x.png)", "a map"],
  ["$5 and $10", "$5 and $10"],
  ["one\r\n\r\ntwo", "one\n\ntwo"],
];

for (const [markdown, words] of TABLE) {
  test(`${JSON.stringify(markdown)} says ${JSON.stringify(words)}`, () => assert.equal(plainText(markdown), words));
}
