// Reads a text window by window into its top-level blocks, each as soon as nothing that follows can change it. Pure.

import { lex } from "./markdown.js";
import { mend } from "./open_end.js";

const WINDOW = 4096; // characters parsed at once: about 3 ms
// A block that cannot be split and is larger is shown as plain text: the parser reads some of them in quadratic time.
const LARGEST = 16_384;
const LARGEST_QUOTE = 8192;
const GROUPS = /<(\/?)(details|table|ul|ol|blockquote|pre)\b[^>]*>/gi;

/**
 * Where reading goes on. Of a list or table under way, `parts` of its items or rows are behind; `head` are the lines
 * that make a table of the rows that follow.
 */
export const START = Object.freeze({ at: 0, index: 0, parts: 0, head: "" });

/**
 * The blocks of the next window: {blocks, cursor, ended}. A block is {kind, raw, token, index, first, partial, open}: the
 * last one of a live text is `open`; a list or table may come in several pieces, `partial` but for the last, each with
 * its parts from `first` on.
 */
export function read(text, cursor, links, { live }) {
  for (let size = WINDOW; ; size *= 2) {
    const end = lineEnd(text, cursor.at + size);
    const ended = end === text.length;
    const rest = cursor.head + text.slice(cursor.at, end);
    const tokens = grouped(lex(ended && live ? mend(rest) : rest, links), ended && !live);
    if (cursor.parts > 0 && !goesOn(tokens[0], cursor)) {
      return read(text, { ...START, at: cursor.at, index: cursor.index + 1 }, links, { live });
    }
    const found = settle(tokens, cursor, { ended, live });
    if (found.blocks.length > 0 || ended) return { ...found, ended };
    if (isFence(tokens)) continue;
    if (size >= (tokens.some(isQuote) ? LARGEST_QUOTE : LARGEST)) return plain(rest.slice(cursor.head.length), cursor);
  }
}

/** Tokens into blocks; the last is held open or, with more text to come, left for the next window. */
function settle(tokens, cursor, { ended, live }) {
  const blocks = [];
  const last = tokens.findLastIndex(isShown);
  let { at, index, parts } = cursor;
  at -= cursor.head.length;
  for (const [place, token] of tokens.entries()) {
    if (place === last && (live || !ended)) return { blocks, ...lastOne(token, { at, index, parts }, ended, blocks) };
    at += token.raw.length;
    if (!isShown(token)) continue;
    blocks.push(blockOf(token, index, parts));
    index += 1;
    parts = 0;
  }
  return { blocks, cursor: { ...START, at: ended ? Math.max(at, cursor.at) : at, index } };
}

function lastOne(token, { at, index, parts }, ended, blocks) {
  const block = { ...blockOf(token, index, parts), open: ended, partial: !ended };
  const done = (partsOf(token)?.length ?? 0) - 1;
  if (ended) blocks.push(block);
  if (done < 1) {
    const head = parts > 0 ? headOf(token) : "";
    return { cursor: { at: at + head.length, index, parts, head } };
  }
  if (!ended) blocks.push({ ...block, ...upTo(token, done) });
  return { cursor: { at: at + lengthOf(token, done), index, parts: parts + done, head: headOf(token) } };
}

function blockOf(token, index, first) {
  return { kind: token.type, raw: token.raw, token, index, first, partial: false, open: false };
}

// Lists and tables

function partsOf(token) {
  return { list: token.items, table: token.rows }[token.type];
}

function upTo(token, count) {
  const kept = token.type === "list" ? { items: token.items.slice(0, count) } : { rows: token.rows.slice(0, count) };
  return { token: { ...token, ...kept } };
}

function lengthOf(token, count) {
  if (token.type === "list") return token.items.slice(0, count).reduce((sum, item) => sum + item.raw.length, 0);
  return token.raw.split("\n", count + 2).join("\n").length + 1;
}

function headOf(token) {
  return token.type === "table" ? `${token.raw.split("\n", 2).join("\n")}\n` : "";
}

function goesOn(token, { head }) {
  return token?.type === (head === "" ? "list" : "table");
}

// Other blocks

function isShown({ type }) {
  return type !== "space" && type !== "def";
}

function isQuote({ type }) {
  return type === "blockquote";
}

function isFence(tokens) {
  const shown = tokens.filter(isShown);
  return shown.length === 1 && shown[0].type === "code";
}

function plain(rest, cursor) {
  const index = cursor.index + (cursor.parts > 0 ? 1 : 0);
  const block = blockOf({ type: "plain", raw: rest, text: rest.trimEnd() }, index, 0);
  return { blocks: [block], cursor: { ...START, at: cursor.at + rest.length, index: index + 1 }, ended: false };
}

/** HTML that is open at the end of its block (`<details>`) takes in the blocks up to where it is closed. */
function grouped(tokens, final) {
  const result = [];
  for (let place = 0; place < tokens.length; place += 1) {
    const end = tokens[place].type === "html" ? closing(tokens, place) : place;
    const members = tokens.slice(place, (end ?? tokens.length - 1) + 1);
    const isGroup = members.length > 1 && (end !== null || !final || sizeOf(members) < LARGEST);
    result.push(isGroup ? { type: "group", raw: members.map(({ raw }) => raw).join(""), tokens: members } : tokens[place]);
    if (isGroup) place += members.length - 1;
  }
  return result;
}

function closing(tokens, from) {
  let depth = 0;
  for (let place = from; place < tokens.length; place += 1) {
    if (tokens[place].type === "html") {
      for (const [, slash] of tokens[place].raw.matchAll(GROUPS)) depth += slash ? -1 : 1;
    }
    if (depth <= 0) return place;
  }
  return null;
}

function sizeOf(tokens) {
  return tokens.reduce((sum, { raw }) => sum + raw.length, 0);
}

function lineEnd(text, from) {
  const found = from >= text.length ? -1 : text.indexOf("\n", from);
  return found === -1 ? text.length : found + 1;
}
