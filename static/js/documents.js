// The documents: taken in, listed, searched, previewed, deleted, explained. What is sent, and when, is sending.js.

import { Sending } from "./sending.js";
import { sayEnd, sayRefusal, sayUnavailable, shortName } from "./state/documents.js";
import { sorted } from "./state/files.js";
import { fitting } from "./state/found.js";
import { Intake } from "./state/intake.js";
import { sayRefused } from "./state/wording.js";
import { PAGE, changed, hiding, stale, startLibrary, wanted, withPage } from "./state/library.js";
import { choose, takeDrops } from "./view/documents/drop.js";
import { Explain } from "./view/documents/explain.js";
import { Rename } from "./view/documents/rename.js";
import { Room } from "./view/documents/room.js";
import { Share } from "./view/documents/share.js";
import { SideCount } from "./view/documents/side_count.js";

const API = "/api/knowledge";
const TYPED_MS = 250; // after the last letter
const FOLDERS_MS = 5_000;
const RESULTS = 30;
const CHANGES_MS = 200; // several a second are enough to see files move on

export class Documents {
  constructor({ document, words, server, memory, toasts, account, evidence, onOpen }) {
    Object.assign(this, { document, server, memory, toasts, account, evidence, onOpen, words: words.documents, allWords: words });
    this.room = document.getElementById("documents");
    this.intake = new Intake();
    this.library = startLibrary();
    this.search = { query: "", results: null, trouble: null };
    this.folders = null;
    this.health = null; // of this part of the server
    this.trouble = null; // why the list cannot be read
    this.asked = new Set(); // offsets of pages that are being read
    this.round = 0; // how often the list had to be read anew
    this.roundShown = 0; // the newest whose answer is shown
    this.going = new Map(); // id of a document about to be deleted -> what closes its toast
    this.sending = new Sending({
      document, server, intake: this.intake,
      since: () => memory.get("documents.cleared") ?? "",
      onChange: () => this.#changed(),
      onReady: () => this.refresh(),
    });
    this.rename = new Rename(words, { onRenamed: (each, name) => this.change(each, { source_document: name }) });
    this.share = new Share(words, { share: (each, sharedWith) => this.#change(each, { shared_with: sharedWith }), sayTrouble: (error) => this.#say(error) });
    this.explain = new Explain(words, { ask: (query, expect) => server.post(`${API}/explain`, { query, expect }), sayTrouble: (error) => this.#say(error) });
    this.count = new SideCount(document.getElementById("to-documents"), document.getElementById("still-reading"), words);
    this.view = new Room(this.room, words, {
      onAddFiles: () => this.choose(),
      onAddFolder: () => this.choose({ folder: true }),
      onCancel: (entry) => this.sending.cancel(entry),
      onClear: () => this.clear(),
      onQuery: (mode, text) => this.query(mode, text),
      onNear: (from, to) => this.read(from, to),
      onPreview: ({ document_id: id }) => evidence.openDocument(id),
      onResult: ({ document_id: id, start, end }) => evidence.openDocument(id, { start, end }),
      onRename: (each) => this.rename.open(each),
      onShare: (each) => this.share.open(each),
      onPin: (each) => this.change(each, { pinned: !each.pinned }),
      onDelete: (each) => this.delete(each),
      onExplain: (each) => this.explain.open("", each),
      onExplainSearch: (query) => this.explain.open(query),
    });
  }

  /** Make the whole page a place to drop files on, and go on showing what was being taken in before a reload. */
  start() {
    takeDrops(this.document, this.document.getElementById("drop"), (files) => this.add(files), () => this.account.mayBring);
    this.document.defaultView.addEventListener("pagehide", () => this.#deleteAll());
    this.sending.start();
  }

  /** It is known what this person may do. */
  known() {
    this.document.documentElement.classList.toggle("brings-nothing", !this.account.mayBring);
    if (!this.room.hidden) this.#look();
    this.#draw();
  }

  /** Somebody has signed in. */
  again() {
    this.sending.again();
    if (this.room.hidden) return;
    this.#look();
    this.refresh();
  }

  choose(what = {}) {
    choose(this.document, what, (files) => this.add(files));
  }

  // The room

  show(id = null) {
    this.room.hidden = false;
    this.#name();
    this.count.stand(true);
    this.#look();
    this.refresh();
    this.clock ??= setInterval(() => this.document.visibilityState === "visible" && this.#lookAgain(), FOLDERS_MS);
    if (id !== null) this.evidence.openDocument(id);
    this.#draw();
  }

  hide() {
    this.room.hidden = true;
    if (this.document.title === this.title) this.document.title = this.titleBefore;
    this.count.stand(false);
    clearInterval(this.clock);
    this.clock = null;
  }

  /** The window bears the room's name, unless a conversation behind it takes it. */
  #name() {
    this.title = `${this.words.title} \u00b7 NeuralBridge`;
    if (this.document.title !== this.title) this.titleBefore = this.document.title;
    this.document.title = this.title;
  }

  #lookAgain() {
    this.#look();
    if (this.trouble !== null) this.refresh();
  }

  async #look() {
    await Promise.all([this.#readHealth(), this.#readFolders()]);
    this.#draw();
  }

  async #readHealth() {
    const health = await this.#quietly(this.server.get("/api/proxy/health"));
    this.health = health?.components?.documents ?? this.health;
  }

  async #readFolders() {
    const before = JSON.stringify(this.folders);
    if (!this.account.isAdmin) return;
    const told = await this.#quietly(this.server.get(`${API}/folders`));
    this.folders = told?.folders ?? this.folders;
    if (JSON.stringify(this.folders) === before) return;
    this.refresh(); // the first time too: the list may have been read before what the folders tell
    this.#draw();
  }

  /** What is asked again soon anyway, or told elsewhere: null where the server has no answer. */
  async #quietly(answer) {
    return answer.catch(() => null);
  }

  #changed() {
    this.soon ??= setTimeout(() => ((this.soon = null), this.#draw()), CHANGES_MS);
    if (this.intake.isBusy) this.busy = true;
    else if (this.busy) this.#ended();
  }

  #draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const at = performance.now();
      this.count.draw(this.intake, at);
      if (!this.room.hidden) this.view.draw({ ...this, trouble: this.trouble ?? sayUnavailable(this.health, this.words) }, at);
    });
  }

  #say(error) {
    return error.code === "unreachable" ? this.allWords.unreachable : (sayRefused(error, this.allWords) ?? sayRefusal(error, this.words));
  }

  // Taking in

  /** Take in files: File objects, or {file, path} for those of a folder. */
  async add(given) {
    if (given.length === 0) return;
    if (!this.account.mayBring) return void this.toasts.say(this.words.guest);
    await this.#readHealth();
    const unavailable = this.health?.status === "loading" ? null : sayUnavailable(this.health, this.words);
    if (unavailable !== null) return void this.toasts.say(unavailable);
    const { files, skipped } = sorted(given);
    if (files.length === 0) return void this.toasts.say(this.words.skipped(skipped));
    const show = this.room.hidden ? { label: this.words.show, act: this.onOpen } : null;
    this.unsay = this.toasts.say(this.words.begun(files.length), { action: show, ms: 5000 });
    this.sending.add(files, skipped);
  }

  #ended() {
    this.busy = false;
    const summary = this.intake.summary(performance.now());
    const said = sayEnd(summary, this.intake.refusals(), this.words);
    const show = this.room.hidden ? { label: this.words.show, act: this.onOpen } : null;
    this.unsay?.();
    if (said !== "") this.toasts.say(said, { action: show, ms: summary.failed > 0 ? 20_000 : 8_000 });
    this.refresh();
  }

  clear() {
    if (this.intake.lastFailure !== "") this.memory.set("documents.cleared", this.intake.lastFailure);
    this.intake.clear();
    this.#draw();
  }

  // The library

  /** Read anew what is shown. */
  refresh() {
    if (this.room.hidden) return;
    this.library = stale(this.library);
    this.round += 1;
    this.asked.clear();
    if (this.library.total === null) this.read(0, 0);
    this.#draw();
  }

  read(from, to) {
    for (const offset of wanted(this.library, from, to)) this.#readPage(offset);
  }

  async #readPage(offset) {
    if (this.asked.has(offset)) return;
    this.asked.add(offset);
    const { round, library: { query } } = this;
    const told = await this.server.get(`${API}/documents`, { limit: PAGE, offset, q: query || null }).catch((error) => ({ error }));
    if (this.library.query !== query || round < this.roundShown) return;
    this.roundShown = round;
    this.trouble = told.error ? this.#say(told.error) : null;
    if (!told.error) {
      this.library = withPage(this.library, offset, told, this.going);
      if (round === this.round) this.asked.delete(offset);
      else this.library = stale(this.library);
    }
    this.#draw();
  }

  async change(each, changes) {
    try {
      await this.#change(each, changes);
    } catch (error) {
      this.toasts.say(this.#say(error));
    }
  }

  async #change(each, changes) {
    this.library = changed(this.library, await this.server.patch(path(each), changes));
    this.refresh();
  }

  /** Deleted when nobody has taken it back for a while. */
  delete(each) {
    const { document_id: id, source_document: name, folder } = each;
    const said = this.words.deleted(shortName(name)) + (folder === null ? "" : ` ${this.words.fileStays}`);
    this.going.set(id, each);
    this.library = hiding(this.library, this.going);
    this.toasts.say(said, { action: { label: this.words.undo, act: () => this.#keep(id) }, onGone: () => this.#delete(id) });
    this.#draw();
  }

  #keep(id) {
    this.going.delete(id);
    this.library = hiding(this.library, this.going);
    this.#draw();
  }

  async #delete(id, lasting = false) {
    const each = this.going.get(id);
    if (each === undefined) return;
    try {
      await this.server.delete(path(each), { lasting });
    } catch (error) {
      if (error.code !== "not_found") this.toasts.say(this.words.notDeleted(shortName(each.source_document), this.#say(error)));
    }
    this.going.delete(id);
    this.refresh();
  }

  #deleteAll() {
    for (const id of this.going.keys()) this.#delete(id, true);
  }

  // Searching

  query(mode, text) {
    clearTimeout(this.typed);
    this.typed = setTimeout(() => (mode === "names" ? this.#filter(text.trim()) : this.#search(text)), TYPED_MS);
    this.#draw();
  }

  #filter(query) {
    if (query === this.library.query) return this.#draw();
    this.library = startLibrary(query);
    this.asked.clear();
    this.read(0, 0);
  }

  async #search(query) {
    const looking = (this.search = { query, results: null, trouble: null });
    this.#draw();
    if (query.trim() === "") return;
    const told = await this.server.get(`${API}/search`, { q: query, limit: RESULTS }).catch((error) => ({ error }));
    if (this.search !== looking) return;
    this.search = { query, results: told.results ? fitting(told.results) : null, trouble: told.error ? this.#say(told.error) : null };
    this.#draw();
  }
}

function path({ document_id: id }) {
  return `${API}/documents/${encodeURIComponent(id)}`;
}
