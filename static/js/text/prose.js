// One answer's text in one element: Markdown as it arrives, block by block. Finished blocks keep their elements.

import { blockOf } from "./block.js";
import { listenForCopying } from "./copy.js";
import { Work } from "./work.js";
import { read, START } from "./reader.js";

const MANY = 80; // blocks
const REST = 6; // while text arrives, drawing takes at most a seventh of the thread

export class Prose {
  #element;
  #words;
  #onSettled;
  #wanted = { text: "", live: true };
  #behind = ""; // the text the cursor is a place in
  #cursor = START;
  #links = Object.create(null); // link definitions found so far
  #blocks = [];
  #drawing = null;
  #isRemoved = false;
  #isSettled = false;
  #work = new Work(() => this.#draw(), { rest: () => (this.#wanted.live ? REST : 0) });
  #settle;

  /** `words`: copyCode, copied, code, table, imageNotLoaded. `onSettled()` is called each time a final text has settled. */
  constructor(element, { words, onSettled = () => {} }) {
    this.#element = element;
    this.#words = words;
    this.#onSettled = onSettled;
    this.settled = this.#unsettled();
    listenForCopying(element, words);
  }

  /**
   * Show the whole text so far; call it as often as you like. With `live: false` the text is final, and `settled`, a
   * promise, resolves once all blocks and formulas of it are in the document (colours of code may come later).
   */
  show(text, { live }) {
    text = text.replace(/\r\n?/g, "\n");
    if (this.#isRemoved || (text === this.#wanted.text && live === this.#wanted.live)) return;
    if (!this.#wanted.live) this.settled = this.#unsettled();
    this.#wanted = { text, live };
    this.#isSettled = false;
    if (!live) this.#work.due = 0;
    this.#work.start();
  }

  /** Whether all of the final text is in its place. */
  get isSettled() {
    return this.#isSettled;
  }

  /** Resolves once code is coloured too. */
  async finished() {
    await this.settled;
    await Promise.all(this.#blocks.map((block) => block.finished));
  }

  /** Stop all pending work; what is shown stays. */
  remove() {
    this.#isRemoved = true;
    this.#work.stop();
  }

  #unsettled() {
    const { promise, resolve } = Promise.withResolvers();
    this.#settle = resolve;
    return promise;
  }

  /** One step of drawing; whether there is more. */
  #draw() {
    this.#drawing ??= this.#steps();
    if (!this.#drawing.next().done) return true;
    this.#drawing = null;
    return false;
  }

  *#steps() {
    for (let shown = null; shown !== this.#wanted; ) {
      shown = this.#wanted;
      yield* shown.live ? this.#follow(shown) : this.#finish(shown);
    }
  }

  /** What is new in a text that still grows. */
  *#follow({ text }) {
    if (!text.startsWith(this.#behind)) this.#cursor = START;
    yield* this.#readOn(text, true);
  }

  /** The whole text once more, as if it had come at once: only blocks that differ are replaced. */
  *#finish(final) {
    this.#links = Object.create(null);
    let known;
    do {
      known = lengthOf(this.#links);
      this.#cursor = START;
      yield* this.#readOn(final.text, false);
      if (this.#wanted !== final) return;
    } while (lengthOf(this.#links) > known); // definitions may follow what refers to them
    void this.#settleAfter(final);
  }

  *#readOn(text, live) {
    const wanted = this.#wanted;
    for (let ended = false; !ended && this.#wanted === wanted; ) {
      const found = read(text, this.#cursor, this.#links, { live });
      const known = lengthOf(this.#links);
      for (const block of found.blocks) yield* this.#put(block, known);
      this.#cursor = found.cursor;
      this.#behind = text.slice(0, found.cursor.at);
      if (found.cursor.index > MANY) this.#element.classList.add("long"); // what is far from the screen is not laid out
      ({ ended } = found);
      if (ended) this.#trim(found.blocks.at(-1)?.index ?? found.cursor.index - 1);
      else yield;
    }
  }

  *#put(piece, known) {
    const old = this.#blocks[piece.index];
    if (old?.takes(piece, known)) return yield* old.draw(piece, known);
    const block = blockOf(piece, known, this.#words);
    if (old?.element.isEqualNode(block.element)) block.stayIn(old.element);
    else if (old) old.element.replaceWith(block.element);
    else this.#element.append(block.element);
    this.#blocks[piece.index] = block;
    yield* block.draw(piece, known);
  }

  #trim(last) {
    this.#element.classList.toggle("long", last > MANY);
    for (const block of this.#blocks.splice(last + 1)) block.element.remove();
  }

  async #settleAfter(final) {
    await Promise.all(this.#blocks.map((block) => block.settled));
    if (this.#wanted !== final || this.#isRemoved) return;
    this.#isSettled = true;
    this.#settle();
    this.#onSettled();
  }
}

/** Of all that definitions say: one that was read before its end is another once it is whole. */
function lengthOf(links) {
  return Object.values(links).reduce((sum, { href, title }) => sum + 1 + href.length + (title?.length ?? 0), 0);
}
