// What a screen reader is told of an answer while it grows: whole sentences. Pure.

// The space after the mark belongs to the match, so that "3.14" or a mark still to be followed by another never ends one.
// It is looked for from the first of several marks only: from each, endless dots would take minutes.
const SENTENCE_END = /(?<![.!?\u2026:;])[.!?\u2026:;]+["'\u201d\u2019)\]]*\s+|\n+/g;

/** The sentences complete since `from`, and where the next one begins. */
export function wholeSentences(text, from) {
  const rest = text.slice(from);
  let length = 0;
  for (const match of rest.matchAll(SENTENCE_END)) length = match.index + match[0].length;
  return { sentences: rest.slice(0, length).trim(), upTo: from + length };
}
