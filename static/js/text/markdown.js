// Markdown into tokens and tokens into HTML, with guards against texts made to hang a parser. Pure; its HTML is not
// safe: only sanitise.js may turn it into elements.

import { Lexer, Marked, Parser } from "../../vendor/marked.mjs";
import { escapeText, mathsRules } from "./maths_rules.js";

const NESTING = 20; // quotes in lists in quotes, or emphasis in emphasis
const LONGEST = 32_768; // of one paragraph, heading or cell, in UTF-16 units
const EFFORT = 32e6; // length times marks that open something: marked looks ahead from each
const OPENERS = /[*_`[<~!$\\@&]/g;
const CHECKED = "\u2611 ";
const UNCHECKED = "\u2610 ";

const renderer = {
  code: ({ text, lang }) => `<pre><code${languageClass(lang)}>${escapeText(codeText(text))}\n</code></pre>`,
  html: ({ text }) => text.replace(/<[a-z][^>]*>?/gi, withoutHandlers),
  checkbox: ({ checked }) => (checked ? CHECKED : UNCHECKED),
  list(list) {
    const tag = list.ordered ? "ol" : "ul";
    const start = list.ordered && list.start !== 1 ? ` start="${list.start}"` : "";
    const items = list.items.map((item) => this.listitem(item)).join("");
    return `<${tag}${start}${list.loose ? "" : ' class="tight"'}>${items}</${tag}>`;
  },
  listitem(item) {
    return `<li${item.task ? ' class="task"' : ""}>${this.parser.parse(asParagraphs(item.tokens))}</li>`;
  },
};

const marked = new Marked({ gfm: true, breaks: true, renderer, extensions: mathsRules });
const parser = new Parser(marked.defaults);

/** Tokens of a text; `links` collects its link definitions, and has those known before. */
export function lex(text, links = Object.create(null)) {
  const lexer = new GuardedLexer(marked.defaults);
  lexer.tokens.links = links;
  return lexer.lex(text);
}

export function html(token) {
  return parser.parse([token]);
}

export function rowHtml(cells) {
  return `<table><tbody><tr>${cells.map((cell) => parser.renderer.tablecell(cell)).join("")}</tr></tbody></table>`;
}

export function itemHtml(item) {
  return `<ul>${parser.renderer.listitem(item)}</ul>`;
}

/** Without empty lines at its end, which are not seen before a line follows them. */
export function codeText(text) {
  return text.replace(/\n+$/, "");
}

export function languageOf(lang) {
  return /^[\w+#.-]{1,30}/.exec(lang ?? "")?.[0] ?? "";
}

class GuardedLexer extends Lexer {
  #depth = 0;

  blockTokens(source, tokens = [], lastParagraphClipped = false) {
    if (this.#depth >= NESTING) return plainly(source, tokens);
    return this.#deeper(() => super.blockTokens(source, tokens, lastParagraphClipped));
  }

  inlineTokens(source, tokens = []) {
    if (this.#depth >= NESTING || isHostile(source)) return plainly(source, tokens);
    return this.#deeper(() => super.inlineTokens(source, tokens));
  }

  #deeper(read) {
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }
}

function isHostile(source) {
  if (source.length > LONGEST) return true;
  return source.length > 1024 && source.length * (source.match(OPENERS)?.length ?? 0) > EFFORT;
}

function plainly(source, tokens) {
  tokens.push({ type: "text", raw: source, text: source, escaped: false });
  return tokens;
}

/** Items of tight lists have paragraphs too, so that a list that turns loose keeps its items. */
export function asParagraphs(tokens) {
  const [first, second, ...others] = tokens;
  if (first?.type === "checkbox") {
    if (second?.type !== "text") return [{ type: "paragraph", raw: "", text: "", tokens: [first] }, ...tokens.slice(1)];
    return [{ ...second, type: "paragraph", tokens: [first, ...(second.tokens ?? [second])] }, ...asParagraphs(others)];
  }
  return tokens.map((token) => (token.type === "text" ? { ...token, type: "paragraph", tokens: token.tokens ?? [token] } : token));
}

/** The sanitiser drops these; but for a browser with our policy already reading them is a violation, which it reports. */
function withoutHandlers(tag) {
  return tag.replace(/([\s/"'])(on[a-z]+|style)(?=\s*=)/gi, "$1x-$2");
}

function languageClass(lang) {
  const language = languageOf(lang);
  return language === "" ? "" : ` class="language-${escapeText(language)}"`;
}
