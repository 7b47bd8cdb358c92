// The part of a passage that is shown among results, with the words that were looked for. Pure.

const LONGEST = 260;
const BEFORE = 60;
const FILTER = /(?:^|\s)(?:file|before|after):(?:"[^"]*"|\S+)|(?:^|\s)-(?:"[^"]*"|\S+)/gi;

/** The words that were looked for, without filters and what must not be in it. */
export function termsOf(query) {
  const words = query.replace(FILTER, " ").match(/[\p{L}\p{N}]+(?:[-.\u2019'][\p{L}\p{N}]+)*/gu) ?? [];
  return [...new Set(words.map((word) => word.toLowerCase()))].filter((word) => word.length > 3 || /\p{N}/u.test(word));
}

/** `[{text, hit}]`, about where the first of the words stands. */
export function snippetOf(passage, query) {
  const text = passage.replace(/\s+/g, " ").trim();
  const terms = termsOf(query);
  if (terms.length === 0) return [{ text: cut(text, 0), hit: false }];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${terms.map(escaped).join("|")})[\\p{L}\\p{N}]*`, "giu");
  const first = text.search(pattern);
  const shown = cut(text, first < 0 ? 0 : first);
  const parts = [];
  let at = 0;
  for (const { 0: word, index } of shown.matchAll(pattern)) {
    if (index > at) parts.push({ text: shown.slice(at, index), hit: false });
    parts.push({ text: word, hit: true });
    at = index + word.length;
  }
  if (at < shown.length) parts.push({ text: shown.slice(at), hit: false });
  return parts;
}

function escaped(word) {
  return word.replace(/[.\-]/g, (sign) => (sign === "." ? "\\." : "\\x2d"));
}

function cut(text, around) {
  const start = around <= BEFORE ? 0 : text.indexOf(" ", around - BEFORE) + 1 || around;
  const part = text.slice(start, start + LONGEST).replace(/[\uD800-\uDBFF]$/, "");
  return `${start > 0 ? "\u2026 " : ""}${part}${start + LONGEST < text.length ? " \u2026" : ""}`;
}
