// A menu at a button: arrow keys go through it, Esc and a click elsewhere close it, and the focus goes back to the button.

import { element, icon } from "./dom.js";
import { Popover } from "./popover.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export class Menu {
  /** `itemsOf()` is asked when it opens: [{label, icon, act, danger} or {label, icon, href}], null where a line stands between. */
  constructor(opener, label, itemsOf) {
    this.opener = opener;
    this.itemsOf = itemsOf;
    this.element = element("div", { class: "menu", role: "menu", "aria-label": label });
    opener.setAttribute("aria-haspopup", "menu");
    opener.addEventListener("keydown", (event) => this.#openByKey(event));
    this.element.addEventListener("keydown", (event) => this.#move(event));
    this.popover = new Popover(opener, this.element, { onOpen: () => this.#fill() });
    this.element.addEventListener("toggle", ({ newState }) => newState === "open" && this.#focus(0));
  }

  get isOpen() {
    return this.element.matches(":popover-open");
  }

  close() {
    if (this.isOpen) this.popover.close();
  }

  #fill() {
    this.element.replaceChildren(...this.itemsOf().map((item) => (item === null ? element("hr", { role: "separator" }) : this.#item(item))));
  }

  #item({ label, icon: name, act, href, danger = false }) {
    const shape = { class: `menu-item ${danger ? "danger" : ""}`.trim(), role: "menuitem", tabindex: "-1" };
    const parts = [icon(name), element("span", {}, label)];
    if (href) return element("a", { ...shape, href, download: true, onclick: () => this.#leave() }, ...parts);
    return element("button", { ...shape, type: "button", onclick: () => (this.#leave(), act()) }, ...parts);
  }

  #leave() {
    this.close();
    this.opener.focus({ preventScroll: true });
  }

  get #items() {
    return [...this.element.querySelectorAll("[role=menuitem]")];
  }

  #focus(at) {
    this.#items.at(at)?.focus({ preventScroll: true });
  }

  #openByKey(event) {
    if (this.isOpen) return this.#move(event); // it has just opened, and has not got the keyboard yet
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    this.element.showPopover();
  }

  #move(event) {
    const items = this.#items, here = items.indexOf(document.activeElement);
    if (event.key in STEPS) this.#focus((Math.max(here, 0) + STEPS[event.key] + items.length) % items.length);
    else if (event.key === "Home") this.#focus(0);
    else if (event.key === "End") this.#focus(-1);
    else if (event.key === "Escape") this.#leave();
    else if (event.key === "Tab") return this.#leave();
    else if (event.key === " " && document.activeElement.matches("a")) document.activeElement.click();
    else if (!this.#type(event, items, here)) return;
    event.preventDefault();
    event.stopPropagation(); // a sheet around it stays open
  }

  /** A letter goes to the next item that begins with it. */
  #type({ key, ctrlKey, metaKey, altKey }, items, here) {
    if (key.length !== 1 || key === " " || ctrlKey || metaKey || altKey) return false;
    const begins = (item) => item.textContent.toLocaleLowerCase().startsWith(key.toLocaleLowerCase());
    const next = [...items.slice(here + 1), ...items.slice(0, here + 1)].find(begins);
    next?.focus({ preventScroll: true });
    return next !== undefined;
  }
}
