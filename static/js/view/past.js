// The sidebar's conversations: a search on top, the list or what was found, and what is to be said about either.

import { button, element, icon } from "./dom.js";
import { Menu } from "./menu.js";
import { PastFound } from "./past_found.js";
import { PastImport } from "./past_import.js";
import { PastList } from "./past_list.js";

const SEARCH_MS = 200; // after the last letter

export class PastPanel {
  /** `intents` as of PastRow, and onSearch(text), onMore(), onAgain(), onImport(file), mayImport(). */
  constructor(root, words, intents) {
    this.words = words.past;
    this.intents = intents;
    this.before = null; // what had the keyboard before the search
    this.timer = null;
    const own = { ...words.past, lang: words.lang };
    root.append(this.#head(), this.#news(words), ...this.#body(own));
  }

  #head() {
    const { words } = this;
    this.field = element("input", { type: "search", id: "past-search", placeholder: words.search, "aria-label": words.searchLabel, "aria-keyshortcuts": "Control+K Meta+K", autocomplete: "off", maxlength: "1000", dir: "auto", enterkeyhint: "search" });
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => this.#press(event));
    this.field.addEventListener("focus", (event) => (this.before = event.relatedTarget ?? this.before));
    this.clear = button(words.clear, { icon: "x", bare: true, class: "muted past-clear", hidden: true, onclick: () => this.clearSearch() });
    this.file = element("input", { type: "file", accept: ".jsonl,.json,.zip", hidden: true, tabindex: "-1", onchange: () => this.#picked() });
    const more = button(words.importAndExport, { icon: "ellipsis", bare: true, class: "muted" });
    const head = element("div", { class: "past-head" }, element("div", { class: "past-search", role: "search" }, icon("search"), this.field, this.clear), more, this.file);
    const importing = [{ label: words.import, icon: "upload", act: () => this.file.click() }, null];
    this.menu = new Menu(more, words.importAndExport, () => [
      ...(this.intents.mayImport() ? importing : []),
      { label: words.exportAllMarkdown, icon: "download", href: "/api/conversations/export?format=markdown" },
      { label: words.exportAllLines, icon: "download", href: "/api/conversations/export?format=jsonl" },
    ]);
    return head;
  }

  #news(words) {
    const region = element("div", { class: "past-import", hidden: true });
    this.import = new PastImport(region, words);
    return region;
  }

  #body(words) {
    this.line = element("p", {});
    this.act = button("", {});
    this.status = element("div", { class: "past-status", role: "status" }, this.line, this.act);
    this.scroller = element("div", { class: "past-scroll" });
    this.findings = element("ul", { class: "past-found", hidden: true });
    this.list = new PastList(this.scroller, words, this.intents);
    this.found = new PastFound(this.findings, words, this.intents);
    this.act.addEventListener("click", () => this.acts());
    for (const lines of [this.scroller, this.findings]) lines.addEventListener("keydown", (event) => this.#step(event));
    return [this.status, this.scroller, this.findings];
  }

  /** `groups` of the list, `found` of a search or null; `said` is {line, action: {label, act} | null} or null. */
  draw({ groups, found, current, said }) {
    const searching = found !== null;
    this.scroller.hidden = searching;
    this.findings.hidden = !searching;
    this.found.draw(found ?? [], current);
    if (!searching) this.list.draw(groups, current);
    this.#say(said);
  }

  #say(said) {
    const line = said?.line ?? "";
    if (this.line.textContent !== line) this.line.textContent = line;
    this.status.classList.toggle("unseen", said?.quiet ?? line === "");
    this.act.hidden = !said?.action;
    this.act.firstElementChild.textContent = said?.action?.label ?? "";
    this.acts = said?.action?.act ?? (() => {});
  }

  reveal(id) {
    this.list.reveal(id);
  }

  /** The keyboard goes to the search; Esc brings it back. */
  focusSearch(sheet) {
    sheet.open(this.field);
    this.field.focus();
    this.field.select();
  }

  clearSearch() {
    this.field.value = "";
    this.#typed();
    this.field.focus();
  }

  /** `change` takes the line of `id` away: the keyboard, where it is in it, goes to the next one. */
  without(id, change) {
    const links = this.#links;
    const at = links.findIndex((link) => link.closest("[data-id]").dataset.id === id);
    const inside = links[at]?.closest("[data-id]").contains(document.activeElement);
    change();
    if (inside) (links[at + 1] ?? links[at - 1] ?? this.field).focus({ preventScroll: true });
  }

  #typed() {
    clearTimeout(this.timer);
    this.clear.hidden = this.field.value === "";
    if (this.field.value.trim() === "") this.#search();
    else this.timer = setTimeout(() => this.#search(), SEARCH_MS);
  }

  #search() {
    clearTimeout(this.timer);
    this.intents.onSearch(this.field.value.trim());
  }

  #press(event) {
    if (event.isComposing) return;
    if (event.key === "Enter") this.#search();
    else if (event.key === "ArrowDown") (event.preventDefault(), this.#links[0]?.focus());
    else if (event.key === "Escape") this.#leave(event);
  }

  /** Arrow keys go from line to line, and from the first back to the search. */
  #step(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!way || event.defaultPrevented || !event.target.matches(".past-link")) return;
    event.preventDefault();
    const links = this.#links, next = links.indexOf(event.target) + way;
    if (next < links.length) (links[next] ?? this.field).focus();
  }

  get #links() {
    return [...(this.findings.hidden ? this.scroller : this.findings).querySelectorAll(".past-link")];
  }

  #leave(event) {
    this.clearSearch();
    if (document.getElementById("side").hasAttribute("data-open")) return; // the sheet closes, and knows where to go
    event.preventDefault();
    const back = this.before?.isConnected && this.before.checkVisibility() ? this.before : document.getElementById("query");
    back.focus();
  }

  #picked() {
    const [file] = this.file.files;
    this.file.value = ""; // the same one can be chosen again
    if (file) this.intents.onImport(file);
  }
}
