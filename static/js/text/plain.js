// Markdown as the words it says, for screen readers and as plain text on the clipboard. Pure.

import { asParagraphs, lex } from "./markdown.js";

const LONGEST = 100_000; // parsing more would be felt; such a text stays as it is

export function plainText(markdown) {
  if (markdown.length > LONGEST) return markdown;
  return blocks(lex(markdown.replace(/\r\n?/g, "\n"))).trim();
}

function blocks(tokens, between = "\n\n") {
  return tokens
    .filter(({ type }) => type !== "space" && type !== "def" && type !== "hr")
    .map(block)
    .filter((text) => text.trim() !== "")
    .join(between);
}

function block(token) {
  switch (token.type) {
    case "code":
    case "maths":
      return token.text;
    case "blockquote":
      return blocks(token.tokens);
    case "list":
      return token.items.map((item, place) => listItem(token, item, place)).join("\n");
    case "table":
      return [token.header, ...token.rows].map((cells) => cells.map((cell) => inline(cell.tokens)).join("\t")).join("\n");
    case "html":
      return withoutTags(token.text);
    default:
      return token.tokens ? inline(token.tokens) : decode(token.text ?? token.raw);
  }
}

function listItem({ ordered, start }, { tokens }, place) {
  const sign = ordered ? `${start + place}. ` : "\u2022 ";
  return sign + blocks(asParagraphs(tokens), "\n").replaceAll("\n", "\n   ");
}

function inline(tokens) {
  return tokens.map(piece).join("");
}

function piece(token) {
  switch (token.type) {
    case "br":
      return "\n";
    case "checkbox":
      return token.checked ? "\u2611 " : "\u2610 ";
    case "html":
      return /^<br\b/i.test(token.raw) ? "\n" : "";
    case "codespan":
    case "formula":
      return token.text;
    case "image":
      return token.text;
    default:
      return token.tokens ? inline(token.tokens) : decode(token.text);
  }
}

function withoutTags(html) {
  return decode(html.replace(/<(script|style)\b[\s\S]*?(?:<\/\1\s*>|$)|<!--[\s\S]*?(?:-->|$)|<[^>]*>/gi, "")).trim();
}

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function decode(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));/gi, (whole, decimal, hex, name) => {
    if (name) return NAMED[name.toLowerCase()];
    const point = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
