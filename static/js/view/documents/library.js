// The library's rows: only those near what is seen are in the page, however many documents there are.

import { sayDocument, shortName } from "../../state/documents.js";
import { saySharing } from "../../state/sharing.js";
import { documentAt, rowsNear, rowsOf } from "../../state/library.js";
import { button, element, icon } from "../dom.js";
import { Popover } from "../popover.js";

const ROW_PX = 64; // as in documents.css
const ICONS = { mail: "message-square", epub: "library", xlsx: "list-tree", table: "list-tree", pptx: "monitor", code: "file", xml: "file", json: "file" };

export class LibraryList {
  /** `scroller` is what scrolls; `intents` are onNear(from, to), onPreview, onRename, onShare, onPin, onDelete, onExplain. */
  constructor(scroller, words, intents) {
    this.scroller = scroller;
    this.words = words;
    this.intents = intents;
    this.rows = new Map(); // place in the list -> {element, document}
    this.library = null;
    this.element = element("ul", { class: "library", "aria-label": words.documents.library });
    this.frame = null;
    scroller.addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.#later()).observe(scroller);
  }

  /** `account` tells what may be done with them. */
  draw(library, account) {
    this.account = account;
    if (library === this.library) return; // where it stands is told by scrolling and by the observer
    this.library = library;
    this.#later();
  }

  /** What stands above it grows and shrinks: then other rows are near. */
  follow(column) {
    new ResizeObserver(() => this.#later()).observe(column);
  }

  #later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.library !== null && this.element.offsetParent !== null) this.#draw();
    });
  }

  #draw() {
    const count = rowsOf(this.library) ?? 0;
    this.element.style.height = `${count * ROW_PX}px`;
    const top = this.scroller.getBoundingClientRect().top - this.element.getBoundingClientRect().top;
    const { from, to } = rowsNear(top, this.scroller.clientHeight, ROW_PX, count);
    for (const [row, { element: old }] of this.rows) if ((row < from || row > to) && !holdsFocus(old)) this.#remove(row);
    for (const row of [...this.rows.keys()]) if (row >= count) this.#removeLast(row);
    for (let row = from; row <= to; row += 1) this.#drawRow(row, count);
    this.intents.onNear(from, to);
  }

  #remove(row) {
    this.rows.get(row).element.remove();
    this.rows.delete(row);
  }

  /** Nobody's keyboard is left nowhere. */
  #removeLast(row) {
    if (holdsFocus(this.rows.get(row).element)) this.scroller.focus({ preventScroll: true });
    this.#remove(row);
  }

  #drawRow(row, count) {
    const document = documentAt(this.library, row) ?? null;
    const old = this.rows.get(row);
    if (old !== undefined && isSame(old.document, document)) return void old.element.setAttribute("aria-setsize", count);
    const made = document === null ? element("li", { class: "document" }) : this.#row(document);
    made.setAttribute("aria-setsize", count);
    made.setAttribute("aria-posinset", row + 1);
    made.style.transform = `translateY(${row * ROW_PX}px)`;
    const refocus = old !== undefined && holdsFocus(old.element);
    if (old !== undefined) old.element.replaceWith(made);
    else this.#insert(row, made);
    this.rows.set(row, { element: made, document });
    if (refocus) made.querySelector("button")?.focus({ preventScroll: true });
  }

  /** In the list's order, for those who go through it with the keyboard. */
  #insert(row, made) {
    let next = null;
    for (const [other, { element: beside }] of this.rows) if (other > row && (next === null || other < next.row)) next = { row: other, beside };
    this.element.insertBefore(made, next?.beside ?? null);
  }

  #row(document) {
    const { words, intents } = this;
    const name = document.source_document;
    const open = element(
      "button",
      { type: "button", class: "document-open", title: name, onclick: () => intents.onPreview(document) },
      icon(ICONS[document.kind] ?? "file-text"),
      element("span", { class: "document-name", dir: "auto" }, shortName(name)),
      element("span", { class: "small document-about" }, [saySharing(document, words.documents), sayDocument(document, words.documents)].filter(Boolean).join(" \u00b7 ")),
    );
    const pin = document.pinned && element("span", { class: "document-pin", title: words.documents.pinned }, icon("pin"), element("span", { class: "unseen" }, words.documents.pinned));
    return element("li", { class: "document" }, open, pin, this.#menu(document));
  }

  /** Its entries are made when it is first opened: most never are. */
  #menu(document) {
    const { words } = this;
    const opener = button(words.documents.actions(shortName(document.source_document)), { icon: "ellipsis", bare: true, class: "quiet muted" });
    opener.addEventListener("click", () => this.#menuAt(opener, document), { once: true });
    return opener;
  }

  #menuAt(opener, document) {
    const { documents: words } = this.words;
    const { intents } = this;
    const content = element("div", { class: "menu" });
    const popover = new Popover(opener, content);
    const act = (label, name, intent, kind = "") => button(label, { icon: name, class: `plain-row ${kind}`.trim(), onclick: () => (popover.close(), intent(document)) });
    const { mayBring, state: { authentication } } = this.account;
    const own = (document.mine ?? true) && mayBring;
    const acts = [
      act(words.preview, "eye", intents.onPreview),
      own && act(words.rename, "pencil", intents.onRename),
      own && (document.pinned ? act(words.unpin, "pin-off", intents.onPin) : act(words.pin, "pin", intents.onPin)),
      own && authentication && act(words.share, "users", intents.onShare),
      act(words.explain, "circle-help", intents.onExplain),
      own && act(words.delete, "trash-2", intents.onDelete, "danger"),
    ];
    content.append(...acts.filter(Boolean));
  }
}

/** Read anew is not changed. */
function isSame(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function holdsFocus(node) {
  return node.contains(document.activeElement);
}
