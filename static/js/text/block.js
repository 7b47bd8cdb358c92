// The top-level blocks of a text as they are in the document. Lists and tables grow by parts, code by characters;
// everything else is drawn anew while it is open.

import { highlight } from "./highlight.js";
import { codeText, html, itemHtml, languageOf, rowHtml } from "./markdown.js";
import { typesetIn } from "./maths.js";
import { blockElement, codeBlock, element, partElement, plainBlock } from "./shape.js";

/** The block for a piece that was read; `known`: how many link definitions there are. */
export function blockOf(piece, known, words) {
  const Kind = { list: List, table: Table, code: Code }[piece.kind] ?? Leaf;
  return new Kind(piece, known, words);
}

class Block {
  #settling = [];
  #colouring = [];

  constructor(words) {
    this.words = words;
  }

  /** Be shown by an element that looks the same and is in the document already. */
  stayIn(shown) {
    this.element = shown;
  }

  get settled() {
    return Promise.all(this.#settling);
  }

  get finished() {
    return Promise.all(this.#colouring);
  }

  typeset(content) {
    if (content.querySelector("code.tex")) this.#settling.push(typesetIn(content));
  }

  colour(content) {
    for (const code of content.querySelectorAll(".code-block code[class]")) {
      this.#colouring.push(highlight(code, code.className.replace("language-", "")));
    }
  }
}

class Leaf extends Block {
  #key;
  #isOpen = true;
  #isTypeset;

  constructor(piece, known, words) {
    super(words);
    this.#key = keyOf(piece.kind, piece.raw, known);
    this.element = piece.kind === "plain" ? plainBlock(piece.token.text) : blockElement(htmlOf(piece), words);
    this.#isTypeset = !(piece.open && piece.kind === "maths");
    if (this.#isTypeset) this.typeset(this.element);
  }

  /** Its formulas may not be set yet: while they were open, or as long as what sets them is being loaded. */
  stayIn(shown) {
    super.stayIn(shown);
    if (this.#isTypeset) this.typeset(shown);
  }

  takes(piece, known) {
    const same = this.#key === keyOf(piece.kind, piece.raw, known);
    return same && (piece.open || !this.#isOpen || piece.kind !== "maths");
  }

  *draw(piece) {
    if (this.#isOpen && !piece.open) this.colour(this.element);
    this.#isOpen = piece.open;
    yield;
  }
}

class Code extends Block {
  #language;
  #text;
  #code;
  #isOpen = true;

  constructor(piece, _, words) {
    super(words);
    this.#language = languageOf(piece.token.lang);
    this.#text = codeText(piece.token.text);
    this.element = codeBlock(this.#text, this.#language, words);
    this.#code = this.element.querySelector("code");
  }

  takes(piece) {
    return piece.kind === "code" && languageOf(piece.token.lang) === this.#language;
  }

  *draw(piece) {
    const text = codeText(piece.token.text);
    if (text !== this.#text) this.#show(text);
    if (this.#isOpen && !piece.open) this.colour(this.element);
    this.#isOpen = piece.open;
    yield;
  }

  #show(text) {
    const { firstChild } = this.#code;
    const grows = text.startsWith(this.#text) && this.#code.childNodes.length === 1 && firstChild.nodeType === Node.TEXT_NODE;
    if (grows) firstChild.appendData(text.slice(this.#text.length));
    else this.#code.replaceChildren(new Text(text));
    this.#text = text;
    this.#isOpen = true;
  }
}

/** A list or table: its items or rows stay, whatever comes after them. */
class Parts extends Block {
  #parts = []; // {key, element, isOpen}

  *draw(piece, known) {
    const parts = this.partsOf(piece.token);
    for (const [offset, part] of parts.entries()) {
      const isOpen = piece.open && offset === parts.length - 1;
      if (this.#draw(piece.first + offset, part, isOpen, known)) yield;
    }
    if (!piece.partial) for (const { element } of this.#parts.splice(piece.first + parts.length)) element.remove();
    this.noteWhole(piece);
  }

  noteWhole() {}

  /** Whether there was anything to draw. */
  #draw(place, part, isOpen, known) {
    const key = keyOf("", this.keyOf(part), known);
    const old = this.#parts[place];
    const drawn = old?.key === key ? old : { key, element: partElement(this.htmlOf(part), this.words, this.partName), isOpen: true };
    if (drawn !== old) this.#put(place, drawn);
    if (drawn.isOpen && !isOpen) this.colour(drawn.element);
    drawn.isOpen = isOpen;
    return drawn !== old;
  }

  #put(place, drawn) {
    const old = this.#parts[place];
    if (old?.element.isEqualNode(drawn.element)) drawn.element = old.element;
    else if (old) old.element.replaceWith(drawn.element);
    else this.container.append(drawn.element);
    this.#parts[place] = drawn;
    this.typeset(drawn.element);
  }
}

class List extends Parts {
  partName = "li";
  #isLoose = false;

  constructor({ token }, _, words) {
    super(words);
    this.element = element(token.ordered ? "ol" : "ul", { dir: "auto" });
    if (token.ordered && token.start !== 1) this.element.start = token.start;
    this.element.className = "tight";
    this.container = this.element;
    this.start = token.start;
  }

  takes({ kind, token, first }) {
    return kind === "list" && (first > 0 || (token.start === this.start && token.ordered === (this.element.localName === "ol")));
  }

  partsOf = (token) => token.items;
  keyOf = (item) => item.raw.trimEnd();
  htmlOf = itemHtml;

  noteWhole({ token, first, partial }) {
    this.#isLoose = token.loose || (first > 0 && this.#isLoose);
    if (!partial) this.element.className = this.#isLoose ? "" : "tight";
  }
}

class Table extends Parts {
  partName = "tr";
  #key;

  constructor({ token }, known, words) {
    super(words);
    this.#key = headKey(token, known);
    this.element = blockElement(html({ ...token, rows: [] }), words);
    this.container = element("tbody");
    this.element.querySelector("table").append(this.container);
    this.typeset(this.element);
  }

  takes({ kind, token }, known) {
    return kind === "table" && headKey(token, known) === this.#key;
  }

  partsOf = (token) => token.rows;
  keyOf = (cells) => cells.map(({ text }) => text).join("\n");
  htmlOf = rowHtml;
}

function headKey({ header, align }, known) {
  return keyOf(align.join(), header.map(({ text }) => text).join("\n"), known);
}

/** What decides how a block looks. Definitions matter only where there are brackets. */
function keyOf(kind, raw, known) {
  return `${kind} ${known > 0 && raw.includes("[") ? known : ""} ${raw}`;
}

function htmlOf({ kind, token }) {
  return kind === "group" ? token.tokens.map((member) => html(member)).join("") : html(token);
}
