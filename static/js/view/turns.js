// The list of turns. Each has an element for as long as the page lives, but only those near the screen have something in it:
// of thousands of messages a browser lays out some dozens. What is shown is kept from one drawing to the next.

import { TurnView } from "./turn.js";

const NEAR = "150% 0px"; // of the screen, above and below
const SLICE_MS = 5; // of a frame, for filling turns that come near
const LINE_PX = 26, LINE_CHARACTERS = 72, FRAME_PX = 120; // for guessing the height of what was never shown

export class TurnList {
  constructor(list, place, words, intents) {
    this.list = list;
    this.place = place;
    this.words = words;
    this.intents = intents;
    this.shown = new Map(); // key -> {element, turn, view: null while it is empty}
    this.byElement = new WeakMap();
    this.wanted = new Set(); // near the screen, and still empty
    this.frame = null;
    this.nearness = new IntersectionObserver((entries) => this.#look(entries), { root: place.scroller, rootMargin: NEAR });
    this.sizes = new ResizeObserver((entries) => this.#resized(entries));
  }

  draw(turns) {
    const keys = new Set(turns.map((turn) => turn.key));
    for (const [key, held] of this.shown) if (!keys.has(key)) this.#remove(key, held);
    let there = this.list.firstElementChild;
    turns.forEach((turn, index) => {
      const held = this.#held(turn);
      if (held.element !== there) this.list.insertBefore(held.element, there);
      else there = there.nextElementSibling;
      if (held.turn !== turn || held.last !== (index === turns.length - 1)) this.#change(held, turn, index === turns.length - 1);
    });
  }

  element(key) {
    return this.shown.get(key)?.element ?? null;
  }

  #held(turn) {
    const known = this.shown.get(turn.key);
    if (known) return known;
    const element = document.createElement("li");
    element.className = "turn";
    element.dataset.key = turn.key;
    const held = { element, turn: null, view: null, last: false };
    this.shown.set(turn.key, held);
    this.byElement.set(element, held);
    this.nearness.observe(element);
    return held;
  }

  #change(held, turn, last) {
    Object.assign(held, { turn, last });
    held.element.dataset.status = turn.status;
    held.element.toggleAttribute("data-last", last);
    if (last && held.view === null) this.#fill(held); // what was just asked is on the screen at once
    else if (held.view !== null) held.view.draw(turn, last);
    else held.element.style.height = `${guessed(turn)}px`;
  }

  #remove(key, held) {
    held.view?.remove();
    this.nearness.unobserve(held.element);
    this.sizes.unobserve(held.element);
    this.wanted.delete(held);
    held.element.remove();
    this.shown.delete(key);
  }

  #look(entries) {
    // All that makes the browser lay out is asked before anything changes: else it lays out thousands of turns for each.
    const selection = document.getSelection();
    const selected = selection.isCollapsed ? () => false : (element) => selection.containsNode(element, true);
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const held = this.byElement.get(target);
      if (isIntersecting && held.view === null) this.wanted.add(held);
      if (isIntersecting) continue;
      this.wanted.delete(held);
      // Whoever is in it, by keyboard or by selection, keeps it.
      const inUse = held.last || target.contains(document.activeElement) || selected(target);
      if (held.view !== null && !inUse) this.#empty(held, boundingClientRect.height);
    }
    if (this.wanted.size > 0) this.frame ??= requestAnimationFrame(() => this.#fillWanted());
  }

  #fillWanted() {
    this.frame = null;
    const until = performance.now() + SLICE_MS;
    this.place.keep(() => {
      for (const held of this.wanted) {
        this.wanted.delete(held);
        if (held.element.isConnected && held.view === null) this.#fill(held);
        if (performance.now() > until) break;
      }
    });
    if (this.wanted.size > 0) this.frame = requestAnimationFrame(() => this.#fillWanted());
  }

  #fill(held) {
    held.element.style.height = "";
    held.view = new TurnView(held.element, this.words, this.intents);
    held.view.draw(held.turn, held.last);
    held.height = undefined; // whoever fills it keeps the place; only what it grows by afterwards counts
    this.sizes.observe(held.element);
  }

  #empty(held, height) {
    this.sizes.unobserve(held.element);
    held.element.style.height = `${height}px`;
    held.view.remove();
    held.view = null;
    held.element.replaceChildren();
  }

  /** Something in a turn grew by itself: a long text that is laid out in slices, a picture, an opened list. */
  #resized(entries) {
    const edge = this.place.scroller.getBoundingClientRect().top;
    let moved = 0;
    for (const { target, borderBoxSize } of entries) {
      const held = this.byElement.get(target);
      const height = borderBoxSize[0].blockSize;
      if (held.height !== undefined && target.getBoundingClientRect().bottom < edge) moved += height - held.height;
      held.height = height;
    }
    this.place.grown(moved);
  }
}

function guessed({ question, answer }) {
  const lines = Math.ceil((question ?? "").length / LINE_CHARACTERS) + Math.ceil(answer.length / LINE_CHARACTERS);
  return FRAME_PX + lines * LINE_PX;
}
