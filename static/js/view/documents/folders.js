// The watched folders: how each stands, and what in it could not be read.

import { sayFolders, withoutName } from "../../state/documents.js";
import { element, icon } from "../dom.js";

const MOST_PROBLEMS = 100;

export class Folders {
  constructor(words) {
    this.words = words.documents;
    this.told = null;
    this.line = element("span", { class: "small" });
    this.list = element("ul", { class: "folder-list" });
    this.some = element(
      "details",
      {},
      element("summary", {}, icon("folder-sync"), element("span", {}, this.words.folders), this.line, icon("chevron-down")),
      this.list,
      element("p", { class: "small folder-hint" }, this.words.watchHint),
    );
    this.none = element("p", { class: "small no-folders" }, icon("folder-sync"), element("span", {}, this.words.watchHint));
    this.element = element("section", { class: "folders", "aria-label": this.words.folders, hidden: true }, this.some, this.none);
  }

  draw(folders) {
    const told = JSON.stringify(folders);
    this.element.hidden = folders === null;
    if (folders === null || told === this.told) return; // what is unfolded stays so
    this.told = told;
    this.some.hidden = folders.length === 0;
    this.none.hidden = folders.length > 0;
    this.line.textContent = folders.length > 0 ? sayFolders(folders, this.words) : "";
    const unfolded = new Set([...this.list.querySelectorAll("details[open]")].map((each) => each.dataset.folder));
    this.list.replaceChildren(...folders.map((folder) => this.#row(folder, unfolded.has(folder.folder))));
  }

  #row({ folder, code, state, count, problems }, unfolded) {
    const { words } = this;
    const why = code === "failed" ? state.replace(/^cannot be followed: /, "") : "";
    return element(
      "li",
      { class: "folder", data: { code } },
      element("span", { class: "folder-name", dir: "auto" }, folder),
      element("span", { class: "small" }, [words.folderState[code](count ?? 0), why].filter(Boolean).join(": ")),
      problems.length > 0 && this.#problems(folder, problems, unfolded),
    );
  }

  #problems(folder, problems, open) {
    const rows = problems.slice(0, MOST_PROBLEMS).map(({ file, reason }) => element("li", { dir: "auto" }, element("span", {}, file), element("span", { class: "small" }, withoutName(reason, file))));
    if (problems.length > MOST_PROBLEMS) rows.push(element("li", { class: "small" }, this.words.more(problems.length - MOST_PROBLEMS)));
    return element("details", { class: "problems", open, data: { folder } }, element("summary", {}, this.words.notReadCount(problems.length)), element("ul", {}, ...rows));
  }
}
