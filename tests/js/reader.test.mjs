// Markdown cut into blocks window by window: nothing is lost, and what is closed stays as it was read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { read, START } from "../../static/js/text/reader.js";

const WORDS = "Some **words** of a [text](https://example.org/) that goes on. ";
const TEXTS = [
  "",
  "one\n\ntwo\n\nthree",
  `${WORDS.repeat(6)}\n\n`.repeat(60),
  "- an item of a list with words\n".repeat(700),
  `| a | b |\n|---|---|\n${"| some | words |\n".repeat(700)}\nend`,
  `\`\`\`js\n${"let a = 1;\n\n".repeat(3000)}\`\`\`\n\nend`,
  `<details>\n\n${WORDS}\n\n</details>\n\nend`,
  `${"> quoted words\n".repeat(1200)}\nend`,
  "x".repeat(100_000),
];

const readAll = (text, links = Object.create(null)) => {
  const blocks = [];
  let cursor = START;
  for (let ended = false; !ended; ) {
    const found = read(text, cursor, links, { live: false });
    blocks.push(...found.blocks);
    ({ cursor, ended } = found);
  }
  return { blocks, cursor };
};
const letters = (text) => text.replace(/[^a-z]/g, "");
const partsOf = ({ token }) => token.items ?? token.rows ?? [];

for (const text of TEXTS) {
  test(`reading ends at the end of ${JSON.stringify(text.slice(0, 20))} (${text.length})`, () => {
    assert.equal(readAll(text).cursor.at, text.length);
  });
}

test("a long list comes in pieces that have each item once", () => {
  const { blocks } = readAll(TEXTS[3]);
  const firsts = blocks.map((block) => block.first + partsOf(block).length);
  assert.deepEqual([firsts.at(-1), new Set(blocks.map(({ index }) => index)).size], [700, 1]);
});

test("a long table comes in pieces that have each row once", () => {
  const tables = readAll(TEXTS[4]).blocks.filter(({ kind }) => kind === "table");
  assert.equal(tables.reduce((sum, block) => sum + partsOf(block).length, 0), 700);
});

test("code is one block, however long", () => {
  assert.deepEqual(readAll(TEXTS[5]).blocks.map(({ kind }) => kind), ["code", "paragraph"]);
});

test("blocks between a tag and its end are one", () => {
  assert.deepEqual(readAll(TEXTS[6]).blocks.map(({ kind }) => kind), ["group", "paragraph"]);
});

test("a quote too long for one piece of work is plain text, with all its words", () => {
  const { blocks } = readAll(TEXTS[7]);
  assert.equal(letters(blocks.map(({ raw }) => raw).join("")), letters(TEXTS[7]));
});

test("of a text that grows the last block is open and the cursor stands before it", () => {
  const { blocks, cursor } = read("one\n\ntwo\n\nthr", START, Object.create(null), { live: true });
  assert.deepEqual([blocks.map(({ open }) => open), cursor.at, cursor.index], [[false, false, true], 10, 2]);
});

test("of a list that grows the cursor stands before its last item", () => {
  const { cursor } = read("- one\n- two\n- thr", START, Object.create(null), { live: true });
  assert.deepEqual(cursor, { at: 12, index: 0, parts: 2, head: "" });
});
