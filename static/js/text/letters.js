// What is left of Markdown when only its letters and digits count, each with its place in the source: what a source and
// its rendering have in common. Pure.

const LETTER = /[\p{L}\p{N}]/u;
// Of the source, what is not words in the rendering; the part before a lookbehind's end stays. None of them looks past the
// next beginning of its kind: with very many of those, that would take minutes.
const NOT_WORDS = [
  /^ {0,3}\[[^\]\n]{1,200}\]:[^\n]*$/gm, // definitions of links
  /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?:`{3,}|~{3,})[^\n]*$/gm, // fences
  /!\[[^[\]\n]*(?:\[[^[\]\n]*\][^[\]\n]*)?\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)?\)/g,
  /(?<=\])(?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)?\)|\[[^\]\n]{0,200}\])/g, // where links lead
  /<\/?[a-z][^<>\n]*>|<!--(?:(?!<!--)[\s\S])*?-->/gi,
  /&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});/gi,
  /\$\$[^$]{1,4000}\$\$|\$(?![\s$])[^$\n]{1,400}(?<!\s)\$(?!\d)|\\\((?:(?!\\\()[^\n]){1,1000}?\\\)|\\\[(?:(?!\\\[)[\s\S]){1,4000}?\\\]/g,
  /^[ \t>]*\d{1,9}[.)](?=[ \t])/gm, // numbers of lists, which the browser makes
];

/** {letters, places}: places[i] is where letters[i] stands in the source. */
export function lettersOf(markdown) {
  let words = markdown;
  for (const pattern of NOT_WORDS) words = words.replace(pattern, (found) => (isAddress(found) ? found : " ".repeat(found.length)));
  return spell(words);
}

export function spell(text) {
  const places = [];
  let letters = "";
  let place = 0;
  for (const letter of text) {
    if (LETTER.test(letter)) {
      const lower = letter.toLowerCase();
      letters += lower;
      for (let unit = 0; unit < lower.length; unit += 1) places.push(place);
    }
    place += letter.length;
  }
  return { letters, places };
}

/** `<http://...>` is a link whose address is its words. */
function isAddress(found) {
  return /^<(?:https?:|mailto:|[^\s<>]+@)/i.test(found);
}

/**
 * Where each of `ranges` of source letters ({from, to}, in order) is in the rendered letters: {from, to}, or null. Each is
 * looked for near where the one before it leaves off.
 */
export function locate(source, ranges, rendered) {
  let behind = 0; // source letters before this are dealt with
  let at = 0; // and so are these rendered letters
  return ranges.map(({ from, to }) => {
    const needle = source.slice(from, to);
    const expected = Math.max(at, at + (from - behind));
    const found = needle === "" ? null : nearest(rendered, needle, at, expected) ?? byItsEnds(rendered, needle, at, expected);
    if (found === null) return null;
    behind = to;
    at = found.to;
    return found;
  });
}

const REACH = 400; // letters a rendering may have more or less than its source, between two sentences
const END = 16; // letters of a sentence's beginning or end that tell it

function nearest(rendered, needle, from, expected) {
  let best = null;
  const last = expected + REACH;
  for (let at = rendered.indexOf(needle, from); at !== -1 && at <= last; at = rendered.indexOf(needle, at + 1)) {
    if (best === null || Math.abs(at - expected) < Math.abs(best - expected)) best = at;
    if (at >= expected) break;
  }
  return best === null ? null : { from: best, to: best + needle.length };
}

/** A sentence with something inside that is rendered otherwise: by its first and last letters. */
function byItsEnds(rendered, needle, from, expected) {
  if (needle.length < 2 * END) return null;
  const head = nearest(rendered, needle.slice(0, END), from, expected);
  const tailAt = head === null ? expected + needle.length - END : head.from + needle.length - END;
  const tail = nearest(rendered, needle.slice(-END), head?.to ?? from, tailAt);
  if (tail !== null) return { from: head?.from ?? Math.max(from, tail.to - needle.length), to: tail.to };
  return head === null ? null : { from: head.from, to: Math.min(rendered.length, head.from + needle.length) };
}
