// The dialog of what a person may set on this page, and of how the server behind it is.

import { isOpenToReaders } from "../state/account.js";
import { figureRows, modelRows, sayCache, sayOutgoing, serverRows } from "../state/health.js";
import { Dialog } from "./dialog.js";
import { button, element, icon } from "./dom.js";

const THEMES = { system: "monitor", light: "sun", dark: "moon" };

export class SettingsDialog {
  /**
   * `languages` are tags, `own` the sections of what is the person's own; intents: onLanguage(tag), onTheme(theme), onClear(),
   * onForgetCache().
   */
  constructor(words, { languages, lasts, location, own }, intents) {
    this.words = words;
    this.intents = intents;
    this.dialog = new Dialog(words.settings.title, words, { class: "settings" });
    this.dialog.content.append(this.#language(languages), this.#theme(), ...own, this.#local(lasts), this.#server(location));
    this.dialog.element.addEventListener("close", () => {
      this.#askBefore(false);
      this.forgotten.hidden = true;
    });
  }

  get isOpen() {
    return this.dialog.isOpen;
  }

  open() {
    this.dialog.open();
  }

  /** What came of forgetting the cached answers. */
  showForgotten(sentence) {
    this.forgotten.textContent = sentence;
    this.forgotten.hidden = false;
  }

  showTheme(theme) {
    for (const choice of this.themes) choice.checked = choice.value === theme;
  }

  /** What is not known is null, and what is for admins only too; `away` while the server cannot be reached. */
  showServer({ health, models, stats, away, isAdmin }) {
    const { words } = this;
    this.told.textContent = away ? words.settings.away : health === null ? words.settings.awaiting : "";
    this.told.hidden = this.told.textContent === "";
    draw(this.about, health === null ? [] : [...serverRows(health, isAdmin ? models?.memory : null, words), leftRow(health, words)]);
    draw(this.models, models === null ? [] : modelRows(models, words));
    draw(this.figures, stats === null || !isAdmin ? [] : figureRows(stats, words));
    this.cache.textContent = stats === null ? "" : sayCache(stats.cache, words);
    this.cacheRow.hidden = stats === null;
    const empty = stats === null || stats.cache.entries === 0;
    if (empty && this.forget.matches(":focus")) this.dialog.element.querySelector(".dialog-head button").focus(); // else the keyboard's place would be lost
    this.forget.hidden = empty;
    for (const part of [this.about, this.models, this.figures]) part.parentElement.hidden = part.children.length === 0;
  }

  #language(languages) {
    const { words, intents } = this;
    const choice = element("select", { id: "language", onchange: () => intents.onLanguage(choice.value) });
    choice.append(...languages.map((tag) => element("option", { value: tag, lang: tag, selected: tag === words.lang }, nameOf(tag))));
    return element("div", { class: "setting" }, element("label", { for: "language" }, words.settings.language), choice);
  }

  #theme() {
    const { words, intents } = this;
    const choices = Object.entries(THEMES).map(([theme, sign]) => {
      const choice = element("input", { type: "radio", name: "theme", value: theme, onchange: () => intents.onTheme(theme) });
      return element("label", { class: "segment" }, choice, icon(sign), element("span", {}, words.settings.themes[theme]));
    });
    this.themes = choices.map((label) => label.firstElementChild);
    return element("fieldset", { class: "setting" }, element("legend", {}, words.settings.theme), element("div", { class: "segments" }, ...choices));
  }

  #local(lasts) {
    const { words, intents } = this;
    const said = words.settings;
    this.clear = button(said.clear, { icon: "trash-2", id: "clear-local", class: "plain", onclick: () => this.#askBefore(true) });
    this.sure = element(
      "div",
      { class: "sure", hidden: true },
      element("p", { id: "sure" }, said.clearQuestion),
      button(said.clearNow, { class: "plain danger", id: "clear-now", "aria-describedby": "sure", onclick: () => intents.onClear() }),
      button(words.cancel, { class: "quiet", onclick: () => (this.#askBefore(false), this.clear.focus()) }),
    );
    return section(said.local, element("p", { class: "small" }, lasts ? said.localHint : said.localBlocked), this.clear, this.sure);
  }

  #askBefore(asking) {
    this.clear.hidden = asking;
    this.sure.hidden = !asking;
    if (asking) this.sure.querySelector("button").focus();
  }

  #server(location) {
    const { words, intents } = this;
    this.told = element("p", { id: "server-told", class: "small", role: "status" });
    [this.about, this.models, this.figures] = [0, 1, 2].map(() => element("dl", { class: "rows" }));
    this.cache = element("p", { id: "cache", class: "small" });
    this.forgotten = element("p", { class: "small", role: "status", hidden: true });
    this.forget = button(words.settings.forgetCache, { icon: "rotate-ccw", id: "forget-cache", class: "plain", onclick: () => intents.onForgetCache() });
    this.cacheRow = element("div", { class: "part" }, element("h4", {}, words.settings.cache), this.cache, this.forgotten, this.forget);
    return section(
      words.settings.server,
      this.told,
      isOpenToReaders(location) && element("p", { id: "open-to-readers", class: "small hinted" }, icon("triangle-alert"), element("span", {}, words.settings.openToReaders)),
      element("div", { class: "part", id: "about-server" }, this.about),
      element("div", { class: "part", id: "server-models" }, element("h4", {}, words.settings.models), this.models),
      element("div", { class: "part", id: "server-figures" }, element("h4", {}, words.settings.figures), this.figures),
      this.cacheRow,
    );
  }
}

function section(title, ...parts) {
  return element("section", { class: "settings-section" }, element("h3", {}, title), ...parts);
}

function leftRow({ outgoing_connections: count }, words) {
  const { is, told } = sayOutgoing(count, words);
  return { label: words.settings.outgoing, told, is: is === "some" ? "warned" : "ok" };
}

/** Rows that are told as before stay: a selection in them, or a screen reader's place, is kept. */
function draw(list, rows) {
  const shown = JSON.stringify(rows);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...rows.map(({ label, told, is }) => element("div", { class: "row", data: is ? { is } : {} }, element("dt", {}, label), element("dd", { dir: "auto" }, is === "wrong" || is === "warned" ? icon("triangle-alert") : null, told))));
}

/** In the language's own words, beginning as a title does. */
function nameOf(tag) {
  const name = new Intl.DisplayNames([tag], { type: "language" }).of(tag) ?? tag;
  return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
}
