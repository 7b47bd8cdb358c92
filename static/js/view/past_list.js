// The list under its headings. Every group has its height, but only lines near the screen are there.

import { arrange } from "./arrange.js";
import { element } from "./dom.js";
import { PastRow } from "./past_row.js";

const ROW_PX = 44, HEADING_PX = 40; // as in past.css
const NEAR_PX = 600; // above and below the screen
const MORE_PX = 2_000; // from the end, when the next part is asked for

export class PastList {
  constructor(scroller, words, intents) {
    this.scroller = scroller;
    this.words = words;
    this.intents = intents;
    this.month = new Intl.DateTimeFormat(words.lang, { month: "long", year: "numeric" });
    this.groups = []; // {key, entries, top, section, list}
    this.sections = new Map();
    this.rows = new Map(); // id -> PastRow
    this.spare = []; // lines that left the screen, for those that come
    this.current = null;
    this.height = 0;
    this.frame = null;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    new ResizeObserver(() => this.#look()).observe(scroller);
  }

  /** `groups` as state/days.js makes them; `current` is the id of the conversation shown. */
  draw(groups, current) {
    this.current = current;
    let top = 0;
    this.groups = groups.map(({ key, entries }) => {
      const group = { ...this.#section(key), key, entries, top: top + HEADING_PX };
      top = group.top + entries.length * ROW_PX;
      group.list.style.height = `${entries.length * ROW_PX}px`;
      return group;
    });
    this.height = top;
    for (const key of this.sections.keys()) if (!groups.some((group) => group.key === key)) this.sections.delete(key);
    arrange(this.scroller, this.groups.map(({ section }) => section));
    this.#fill();
  }

  /** Scroll to the line of `id`, where there is one and it is not on the screen. */
  reveal(id) {
    for (const { entries, top } of this.groups) {
      const index = entries.findIndex((each) => each.id === id);
      const place = top + index * ROW_PX, { scrollTop, clientHeight } = this.scroller;
      if (index >= 0 && (place < scrollTop || place + ROW_PX > scrollTop + clientHeight)) this.scroller.scrollTop = place - clientHeight / 2;
    }
  }

  #section(key) {
    const known = this.sections.get(key);
    if (known) return known;
    const heading = element("h2", { class: "past-heading", id: `past-${key}` }, this.#title(key));
    const list = element("ul", { class: "past-rows" });
    const made = { section: element("section", { class: "past-group", "aria-labelledby": heading.id }, heading, list), list };
    this.sections.set(key, made);
    return made;
  }

  #title(key) {
    if (this.words.groups[key]) return this.words.groups[key];
    const [year, month] = key.split("-").map(Number);
    const said = this.month.format(new Date(year, month - 1, 15));
    return said.charAt(0).toLocaleUpperCase(this.words.lang) + said.slice(1);
  }

  #look() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#closeMenu();
      this.#fill();
    });
  }

  /** It stays where it opened; its line does not. */
  #closeMenu() {
    for (const { menu } of this.rows.values()) menu.close();
  }

  #fill() {
    const { scrollTop, clientHeight } = this.scroller;
    const used = new Set([...this.rows].filter(([, row]) => row.isUsed).map(([id]) => id));
    const focused = document.activeElement;
    const near = this.groups.map((group) => this.#near(group, scrollTop - NEAR_PX, scrollTop + clientHeight + NEAR_PX, used));
    const wanted = new Set(near.flat().map(({ entry }) => entry.id));
    for (const [id, row] of this.rows) if (!wanted.has(id)) this.#spare(id, row);
    this.groups.forEach(({ list, entries }, at) => arrange(list, near[at].map(({ entry, index }) => this.#row(entry, index, entries.length))));
    if (focused !== document.activeElement && this.scroller.contains(focused)) focused.focus({ preventScroll: true }); // its line was moved
    if (scrollTop + clientHeight + MORE_PX > this.height) this.intents.onMore();
  }

  #near({ entries, top }, from, to, used) {
    const first = Math.max(0, Math.floor((from - top) / ROW_PX)), end = Math.min(entries.length, Math.ceil((to - top) / ROW_PX));
    const within = (index) => index >= first && index < end;
    const kept = used.size === 0 ? [] : entries.flatMap(({ id }, index) => (used.has(id) && !within(index) ? [index] : []));
    const indexes = [...kept, ...Array.from({ length: Math.max(0, end - first) }, (_, at) => first + at)];
    return indexes.sort((one, other) => one - other).map((index) => ({ entry: entries[index], index }));
  }

  #spare(id, row) {
    this.rows.delete(id);
    if (!row.isUsed) this.spare.push(row);
  }

  #row(entry, index, count) {
    const row = this.rows.get(entry.id) ?? this.spare.pop() ?? new PastRow(this.words, this.intents);
    this.rows.set(entry.id, row);
    row.draw(entry, entry.id === this.current);
    row.element.style.top = `${index * ROW_PX}px`;
    row.element.setAttribute("aria-posinset", String(index + 1));
    row.element.setAttribute("aria-setsize", String(count));
    return row.element;
  }
}
