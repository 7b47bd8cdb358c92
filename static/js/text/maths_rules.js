// Where maths stands in a text: Markdown extensions for `$..$`, `$$..$$`, `\(..\)` and `\[..\]`. Pure.

const INLINE = [
  [/^\$\$((?:[^$\\]|\\[\s\S]){1,4000}?)\$\$(?:[ \t]*\n)?/, true],
  // As Pandoc has it: no space inside the dollars, no digit after the closing one. So "$5 and $10" is text.
  [/^\$(?![\s$])((?:[^$\\\n]|\\[^\n]|\n(?!\s*\n)){0,600}?)(?<![\s\\])\$(?![\d$])/, false],
  [/^\\\(((?:[^\\\n]|\\(?!\))[^\n]|\n(?!\s*\n)){1,2000}?)\\\)/, false],
  [/^\\\[((?:[^\\]|\\(?!\])[\s\S]){1,4000}?)\\\](?:[ \t]*\n)?/, true],
];
const BLOCK = [
  /^ {0,3}\$\$[ \t]*\n?((?:(?!\n[ \t]*\n)[^$\\]|\\[\s\S]){1,8000}?)\n?[ \t]*\$\$[ \t]*(?:\n|$)/,
  /^ {0,3}\\\[[ \t]*\n?((?:(?!\n[ \t]*\n)[^\\]|\\(?!\])[\s\S]){1,8000}?)\n?[ \t]*\\\][ \t]*(?:\n|$)/,
];

// It does not interrupt a paragraph: the rules for formulas know `$$` and `\\[` inside of one.
const block = {
  name: "maths",
  level: "block",
  tokenizer(source) {
    for (const pattern of BLOCK) {
      const found = pattern.exec(source);
      if (found) return { type: "maths", raw: found[0], text: found[1].trim(), display: true };
    }
  },
  renderer: (token) => `<p>${shown(token)}</p>`,
};

const inline = {
  name: "formula",
  level: "inline",
  start: (source) => /\$|\\[([]/.exec(source)?.index,
  tokenizer(source) {
    for (const [pattern, display] of INLINE) {
      const found = pattern.exec(source);
      if (found?.[1].trim()) return { type: "formula", raw: found[0], text: found[1].trim(), display };
    }
  },
  renderer: shown,
};

export const mathsRules = [block, inline];

/** The source text; maths.js puts MathML in its place once it can. */
function shown({ text, display }) {
  return `<code class="${display ? "tex display" : "tex"}">${escapeText(text)}</code>`;
}

export function escapeText(text) {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
