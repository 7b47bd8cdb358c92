// What a search found: conversations with the messages in which the words were said.

import { unitsOf } from "../state/points.js";
import { arrange } from "./arrange.js";
import { element } from "./dom.js";
import { PastRow } from "./past_row.js";

export class PastFound {
  constructor(list, words, intents) {
    this.list = list;
    this.words = words;
    this.intents = intents;
    this.rows = new Map();
  }

  draw(entries, current) {
    const wanted = new Set(entries.map(({ id }) => id));
    for (const id of this.rows.keys()) if (!wanted.has(id)) this.rows.delete(id);
    arrange(this.list, entries.map((entry) => this.#row(entry, current)));
  }

  #row(entry, current) {
    const row = this.rows.get(entry.id) ?? new PastRow(this.words, this.intents);
    this.rows.set(entry.id, row);
    row.draw(entry, entry.id === current);
    if (row.matches !== entry.matches) this.#drawMatches(row, entry);
    return row.element;
  }

  #drawMatches(row, { id, matches }) {
    row.matches = matches;
    row.found?.remove();
    if (matches.length === 0) return;
    row.found = element("ul", { class: "past-matches" }, matches.map((match) => element("li", {}, this.#match(id, match))));
    row.element.append(row.found);
  }

  #match(id, { message_id, role, snippet, marks }) {
    const said = element("span", { class: "past-snippet", dir: "auto" }, marked(snippet, marks));
    const who = element("span", { class: "unseen" }, `${this.words.said[role]} `);
    const href = `#/c/${encodeURIComponent(id)}`;
    return element("a", { class: "past-match", href, onclick: (event) => this.intents.onChoose(id, message_id, event) }, who, said);
  }
}

/** A text as nodes, what was looked for in <mark>. */
export function marked(text, marks) {
  const nodes = [];
  let from = 0;
  for (const range of marks) {
    const [start, end] = unitsOf(text, range);
    nodes.push(text.slice(from, start), element("mark", {}, text.slice(start, end)));
    from = end;
  }
  return [...nodes, text.slice(from)];
}
