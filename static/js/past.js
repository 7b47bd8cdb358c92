// The list of conversations: reads it, changes it, tells which one is wanted.

import { groupsOf, nextMidnight } from "./state/days.js";
import { entry, listed, nextOffset, reduce, results, startPast } from "./state/past.js";
import { sayRefused } from "./state/wording.js";
import { PastPanel } from "./view/past.js";
import { Sheet } from "./view/sheet.js";

const PART = 100; // of the list, read at a time
const FOUND = 50; // of a search: the best
const UNDO_MS = 8000;
const PATH = "/api/conversations";

export class Past {
  /**
   * `onOpen(id, messageId | null)`: this conversation is wanted, at that message; `onGone(id)`: it was deleted;
   * `onTitle(title | null)`: the one shown is called so, null where the list does not know.
   */
  constructor({ document, words, server, toasts, account, onOpen, onGone, onTitle = () => {} }) {
    Object.assign(this, { document, words: words.past, allWords: words, server, toasts, onOpen, onGone, onTitle });
    this.state = startPast();
    this.reading = null; // a promise while a part of the list is being read
    this.isOld = false; // the conversation shown: the server knows it
    this.title = null;
    this.pending = null; // {id, end(): carry it out now} - deleted, but it can still be undone
    this.leaving = false;
    this.sheet = new Sheet(document);
    this.panel = new PastPanel(document.getElementById("past"), words, {
      onChoose: (id, messageId, event) => this.#choose(id, messageId, event),
      onRename: (id, title) => this.rename(id, title),
      onPin: (id, pinned) => this.#change(id, { pinned }),
      onDelete: (id) => this.delete(id),
      onSearch: (q) => this.search(q),
      onMore: () => this.#readMore(),
      onImport: (file) => this.import(file),
      mayImport: () => account.mayBring,
    });
    this.#listen(document);
  }

  /** Read the list for the first time. */
  async start() {
    this.#draw();
    this.#regroupAtMidnight();
    await this.#read(0);
    this.panel.reveal(this.state.current);
    await this.#readShown();
  }

  /** Somebody has signed in. */
  async again() {
    await this.#readAnew();
    this.panel.reveal(this.state.current);
    await this.#readShown();
  }

  /** This conversation is shown now, null: none is; `isOld`: it is not one just begun. */
  opened(id, isOld = false) {
    this.isOld = isOld;
    this.tell({ type: "opened", id });
    if (this.state.going.includes(id)) this.onGone(id); // somebody went back to it
    else if (this.state.read) this.#readShown();
  }

  /** Something happened in the conversation shown: {id, title, ended} - it may be new, or first in the list now. */
  async told({ id, title, ended }) {
    const isNew = this.state.read && !entry(this.state, id);
    this.tell({ type: "told", id, title, ended, at: Date.now() });
    if (isNew) this.panel.reveal(id);
    if (this.state.away) this.#read(0);
    if (ended) await this.#readOne(id);
  }

  tell(event) {
    this.state = reduce(this.state, event);
    this.#draw();
  }

  // Reading

  /** A part of the list. One at a time: each begins where the last ended. */
  #read(offset, { anew = false } = {}) {
    this.reading ??= this.#part(offset, anew);
    return this.reading;
  }

  async #part(offset, anew) {
    const asked = Date.now();
    let event;
    try {
      event = { type: "page", ...(await this.server.get(PATH, { limit: PART, offset })), offset, asked, anew };
    } catch (failure) {
      event = { type: "away", failure };
    }
    this.reading = null; // drawing may ask for the next part
    this.tell(event);
  }

  /** From the beginning, forgetting what was read. */
  async #readAnew() {
    await this.reading;
    await this.#read(0, { anew: true });
  }

  #readMore() {
    if (this.state.read && !this.state.end && !this.state.away && !this.reading) this.#read(nextOffset(this.state));
  }

  /** The conversation shown may be further down than was read; its name is wanted all the same. */
  async #readShown() {
    const { current } = this.state;
    if (current === null || !this.isOld || entry(this.state, current)) return;
    const failure = await this.#readOne(current);
    if (failure?.code === "not_found" && this.state.current === current) this.onGone(current);
  }

  /** What stood in the way, where something did: the server is away, or it was deleted meanwhile. */
  async #readOne(id) {
    if (this.state.going.includes(id)) return null;
    try {
      const conversation = await this.server.get(pathOf(id));
      this.tell({ type: "entry", conversation, at: Date.now() });
      return null;
    } catch (failure) {
      return failure;
    }
  }

  async search(q) {
    if (q === (this.state.search?.q ?? "") && !this.state.search?.failure) return;
    this.tell({ type: "searched", q });
    if (q === "") return;
    const asked = Date.now();
    try {
      this.tell({ type: "found", q, asked, ...(await this.server.get(PATH, { q, limit: FOUND })) });
    } catch (failure) {
      this.tell({ type: "found", q, failure });
    }
  }

  // Changing

  rename(id, title) {
    return this.#change(id, { title }, title === null ? {} : { title: title.split(/\s+/).join(" ") });
  }

  /** What was changed is shown at once, and taken back where the server refuses. */
  async #change(id, wanted, shown = wanted) {
    const before = entry(this.state, id);
    this.tell({ type: "edited", id, changes: shown, at: Date.now() });
    try {
      const conversation = await this.server.patch(pathOf(id), wanted);
      this.tell({ type: "entry", conversation, at: Date.now() });
    } catch (failure) {
      const back = Object.fromEntries(Object.keys(shown).map((name) => [name, before[name]]));
      this.tell({ type: "edited", id, changes: back, at: Date.now() });
      this.toasts.say(this.#sentence(failure));
    }
  }

  /** It goes from the list at once, and from the server when nobody can undo it any more. */
  delete(id) {
    this.pending?.end();
    const { title } = entry(this.state, id);
    const shown = id === this.state.current;
    this.panel.without(id, () => this.tell({ type: "deleted", id }));
    const end = this.toasts.say(this.words.deleted(short(title) || this.words.untitled), {
      action: { label: this.words.undo, act: () => this.#restore(id, shown) },
      onGone: () => this.#carryOut(id),
      ms: UNDO_MS,
    });
    this.pending = { id, end };
    if (shown) this.onGone(id);
  }

  #restore(id, shown) {
    this.pending = null;
    this.tell({ type: "restored", id });
    if (shown) this.onOpen(id, null);
  }

  async #carryOut(id) {
    this.pending = null;
    try {
      await this.server.delete(pathOf(id), { lasting: this.leaving });
    } catch (failure) {
      if (failure.code !== "not_found") return this.#keep(id, failure);
    }
    this.tell({ type: "gone", id });
    if (this.state.current === id) this.onGone(id); // somebody went back to it
  }

  #keep(id, failure) {
    this.tell({ type: "restored", id });
    this.toasts.say(this.#sentence(failure));
  }

  async import(file) {
    const giving = new AbortController();
    const show = (sent, total) => this.panel.import.showProgress(file.name, sent, total, () => giving.abort());
    show(0, file.size);
    const form = new FormData();
    form.append("file", file);
    try {
      this.panel.import.showResult(await this.server.upload(`${PATH}/import`, form, { onProgress: show, signal: giving.signal }));
      await this.#readAnew();
    } catch (failure) {
      if (failure.name === "AbortError") this.panel.import.close();
      else this.panel.import.showFailure(this.#sentence(failure, this.words.notImported));
    }
  }

  #sentence(refusal, otherwise = this.words.notDone) {
    return sayRefused(refusal, this.allWords) ?? refusal.sentence ?? otherwise;
  }

  // Showing

  #choose(id, messageId, event) {
    if (messageId === null || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // a link does the rest
    event.preventDefault();
    this.onOpen(id, messageId);
  }

  #draw() {
    const found = results(this.state);
    const groups = found === null ? groupsOf(listed(this.state), Date.now()) : [];
    this.panel.draw({ groups, found, current: this.state.current, said: this.#said(found) });
    if (this.state.current === null) return;
    const title = entry(this.state, this.state.current)?.title ?? null;
    if (title !== this.title) this.onTitle((this.title = title));
  }

  #said(found) {
    const { search, away, read } = this.state;
    const again = (act) => ({ label: this.words.again, act });
    if (search?.failure) return { line: this.#sentence(search.failure, this.words.notSearched), action: again(() => this.search(search.q)) };
    if (found?.length === 0 && !search.reading) return { line: this.words.nothingFound, action: { label: this.words.clear, act: () => this.panel.clearSearch() } };
    if (found !== null) return { line: this.words.found(found.length, search.total), quiet: search.total <= found.length };
    if (away) return { line: this.#sentence(away, this.words.away), action: again(() => this.#read(0)) };
    if (read && listed(this.state).length === 0) return { line: this.words.none };
    return null;
  }

  #regroupAtMidnight() {
    const now = Date.now();
    setTimeout(() => (this.#draw(), this.#regroupAtMidnight()), nextMidnight(now) - now + 1);
  }

  #listen(document) {
    const { defaultView: window } = document;
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#read(0));
    window.addEventListener("pagehide", () => this.#leave());
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      if (document.querySelector("dialog[open]")) return;
      event.preventDefault();
      this.panel.focusSearch(this.sheet);
    });
  }

  /** The page is being left: what can still be undone is carried out. */
  #leave() {
    this.leaving = true;
    this.pending?.end();
    this.leaving = false;
  }
}

function pathOf(id) {
  return `${PATH}/${encodeURIComponent(id)}`;
}

const LONGEST_TOLD = 60;

function short(title) {
  const points = [...title.trim()];
  return points.length <= LONGEST_TOLD ? title.trim() : `${points.slice(0, LONGEST_TOLD - 1).join("")}\u2026`;
}
