// The documents' room: its bar, the search, what is on its way, the library or what was found in it.

import { rowsOf } from "../../state/library.js";
import { button, element, icon } from "../dom.js";
import { Folders } from "./folders.js";
import { IntakeList } from "./intake.js";
import { LibraryList } from "./library.js";
import { Results } from "./results.js";

const MODES = ["names", "contents"];

export class Room {
  /** `intents`: those of its parts, and onAddFiles, onAddFolder, onQuery(mode, text). */
  constructor(root, words, intents) {
    this.words = words.documents;
    this.intents = intents;
    this.mode = "names";
    this.drawn = {};
    this.scroller = element("div", { class: "reading", tabindex: "0", role: "region", "aria-label": this.words.title });
    this.intake = new IntakeList(words, intents);
    this.library = new LibraryList(this.scroller, words, intents);
    this.results = new Results(words, intents);
    this.folders = new Folders(words);
    this.guest = element("p", { class: "small for-guests" }, icon("lock"), element("span", {}, this.words.guest));
    this.trouble = element("p", { class: "notice spare documents-trouble", role: "status", hidden: true });
    this.empty = element("div", { class: "documents-empty", hidden: true }, ...this.#invitation());
    this.count = element("p", { class: "small library-count", role: "status" });
    root.append(this.#bar(words), this.scroller);
    const column = element("div", { class: "column" }, this.guest, this.trouble, this.empty, this.intake.element, this.#search(), this.folders.element, this.count, this.results.element, this.library.element);
    this.scroller.append(column);
    this.library.follow(column);
  }

  #bar(words) {
    const side = button(words.openSidebar, { icon: "menu", bare: true, class: "quiet opens-side", "aria-controls": "side", "aria-expanded": "false", "data-opens-side": true });
    return element(
      "header",
      { class: "bar" },
      side,
      element("h2", { class: "title", tabindex: "-1" }, this.words.title),
      button(this.words.addFiles, { icon: "upload", class: "plain add-files brings", onclick: () => this.intents.onAddFiles() }),
      button(this.words.addFolder, { icon: "folder", class: "plain add-folder brings", onclick: () => this.intents.onAddFolder() }),
    );
  }

  #invitation() {
    return [
      element("p", { class: "lead brings" }, this.words.invitation),
      button(this.words.addFiles, { icon: "upload", class: "accent brings", onclick: () => this.intents.onAddFiles() }),
    ];
  }

  #search() {
    const { words } = this;
    this.field = element("input", { type: "search", id: "documents-search", class: "documents-search", autocomplete: "off", dir: "auto", maxlength: "1000", oninput: () => this.#told() });
    this.modes = MODES.map((mode) => {
      const choice = element("input", { type: "radio", name: "documents-mode", value: mode, checked: mode === this.mode, onchange: () => this.choose(mode) });
      return element("label", { class: "mode" }, choice, element("span", {}, words.modes[mode]));
    });
    this.label = element("label", { class: "unseen", for: "documents-search" }, words.search);
    this.field.placeholder = words.searchIn[this.mode];
    this.search = element("form", { class: "search", role: "search" }, this.label, this.field, element("fieldset", { class: "modes" }, element("legend", { class: "unseen" }, words.searchBy), ...this.modes));
    this.search.addEventListener("submit", (event) => (event.preventDefault(), this.choose("contents")));
    return this.search;
  }

  /** Search by names, or in contents. */
  choose(mode) {
    this.mode = mode;
    for (const label of this.modes) label.firstChild.checked = label.firstChild.value === mode;
    this.field.placeholder = this.words.searchIn[mode];
    this.#told();
  }

  #told() {
    this.intents.onQuery(this.mode, this.field.value);
  }

  /** `state`: {account, intake, library, search, folders, trouble}. */
  draw(state, at) {
    const { account, library, trouble } = state;
    const inNames = this.mode === "names";
    const rows = rowsOf(library);
    const isEmpty = rows === 0 && library.query === "";
    this.trouble.hidden = trouble === null;
    this.trouble.textContent = trouble ?? "";
    this.empty.hidden = !isEmpty || state.intake.isBusy || trouble !== null;
    this.search.hidden = isEmpty;
    this.library.element.hidden = !inNames;
    this.results.element.hidden = inNames || isEmpty;
    this.count.hidden = !inNames || isEmpty || rows === null;
    const line = rows === null ? "" : library.query === "" ? this.words.documentCount(rows) : this.words.matchCount(rows);
    if (this.count.textContent !== line) this.count.textContent = line;
    this.intake.draw(state.intake, at);
    this.folders.draw(state.folders);
    this.results.draw(state.search);
    if (inNames) this.library.draw(library, account);
  }
}
