// The drawer: what a sentence rests on, or which passages there are, with a document's text below. Draws spots; evidence.js says what they are.

import { hasWords, neighbour, sentenceOf, standOf } from "../state/evidence.js";
import { size } from "../state/size.js";
import { plainText } from "../text/plain.js";
import { DocumentText } from "./document_text.js";
import { button, element, icon } from "./dom.js";
import { Opener } from "./opener.js";
import { omittedPassages, passageList, whereOf } from "./passages.js";

const ICONS = { supported: "circle-check", partial: "circle-alert", unsupported: "circle-help", contradicted: "triangle-alert" };
const LIST_SIGN = /^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+/; // of the item that the sentence begins
const WHOLE_SCREEN = "(max-width: 600px)";
const OVER_THE_ROOM = "(max-width: 1200px)";

export class EvidenceView {
  /** `intents`: onClose, onBack, onStep(by), onPassage(source), onDocument, onMore(side), onAgain. */
  constructor(document, words, intents) {
    this.document = document;
    this.words = words;
    this.intents = intents;
    this.root = document.getElementById("evidence");
    this.rooms = [...document.querySelectorAll("main")];
    this.opener = new Opener(document, this.root);
    this.text = new DocumentText(words, intents);
    this.#build();
    this.#listen();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Show the drawer; what opened it stays where the reader sees it. */
  open() {
    this.opener.take();
    this.opener.hold(() => {
      this.root.hidden = false;
      this.#cover();
    });
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = this.root.contains(this.document.activeElement);
    this.opener.hold(() => {
      this.root.hidden = true;
      this.#cover();
    });
    this.opener.leave(hadFocus);
    this.about.replaceChildren();
    this.text.clear();
  }

  focus() {
    this.heading.focus();
  }

  draw(spot, hasBack) {
    const { words } = this;
    const citations = spot.is === "citation" ? spot.answer.metadata.citations : null;
    const shown = citations !== null && hasWords(citations[spot.index]);
    this.heading.textContent = citations === null ? words.sources[TITLES[spot.is]] : this.#nth(citations, spot.index, shown);
    this.back.hidden = !hasBack;
    this.#drawSteps(citations, spot.index);
    this.openWhole.hidden = true;
    this.opener.mark(citations === null ? null : spot.index);
    this.about.replaceChildren(...this.#about(spot));
    this.list.replaceChildren(...this.#lists(spot));
    this.list.hidden = this.list.childElementCount === 0;
    this.notice.replaceChildren();
    this.text.clear();
    if (spot.rest) this.text.wait(spot.rest.name);
  }

  /** The document is there. */
  drawText(spot, document, part) {
    const { rest } = spot;
    this.#drawSource({ ...rest, name: document.source_document }, spot.is === "document" ? this.#facts(document) : null);
    this.openWhole.hidden = spot.is === "document";
    if (document.characters === 0) this.#miss(this.words.sources.empty);
    this.text.begin(part, rest.place, document.characters, document.source_document);
  }

  /** The document is not there, or not as it was: its words are, where the answer kept them. */
  miss({ rest }, reason, sentence = null) {
    const { words } = this;
    const said = reason === "refused" && sentence ? sentence : words.sources.missing[reason];
    this.text.clear();
    this.openWhole.hidden = reason !== "changed";
    this.#miss(said, reason === "away" || reason === "refused" ? button(words.sources.tryAgain, { class: "quiet again", onclick: this.intents.onAgain }) : null);
    if (rest.text === null) return;
    this.notice.append(element("p", { class: "small" }, words.sources.kept), element("p", { class: "kept", dir: "auto" }, element("mark", {}, rest.text)));
  }

  // Parts

  #build() {
    const { words, intents } = this;
    const bare = (label, name, onclick) => button(label, { icon: name, bare: true, class: "muted", onclick });
    this.heading = element("h2", { tabindex: "-1" });
    this.back = bare(words.sources.back, "chevron-left", intents.onBack);
    this.previous = bare(words.sources.previous, "arrow-up", () => intents.onStep(-1));
    this.next = bare(words.sources.next, "arrow-down", () => intents.onStep(1));
    const close = bare(words.dismiss, "x", intents.onClose);
    this.about = element("div", { class: "evidence-about", "aria-live": "polite" });
    this.list = element("div", { class: "evidence-lists", tabindex: "0", role: "group", "aria-label": words.sources.passages });
    this.notice = element("div", { class: "evidence-notice", role: "status" });
    this.openWhole = button(words.sources.openDocument, { icon: "file-text", class: "quiet open-whole", onclick: intents.onDocument });
    const head = element("header", { class: "evidence-head" }, this.back, this.heading, this.previous, this.next, close);
    this.root.replaceChildren(head, this.about, this.notice, this.list, this.text.element, this.openWhole);
  }

  #nth(citations, index, shown) {
    const { at, count } = standOf(citations, index);
    return shown ? this.words.sources.nth(at, count) : this.words.sources.title;
  }

  #drawSteps(citations, index) {
    const to = (by) => (citations === null ? null : neighbour(citations, index, by));
    for (const [step, by] of [[this.previous, -1], [this.next, 1]]) {
      step.hidden = citations === null;
      if (to(by) === null && step === this.document.activeElement) this.focus(); // else the keyboard's place would be lost
      step.disabled = to(by) === null;
    }
  }

  #about({ is, answer, index, rest }) {
    const { words } = this;
    if (is === "passages") return [];
    this.source = element("div", { class: "evidence-source" });
    if (rest) this.#drawSource(rest, null);
    if (is !== "citation") return [this.source];
    const citation = answer.metadata.citations[index];
    return [
      element("p", { class: "small" }, words.sources.says),
      element("blockquote", { class: "claim", dir: "auto" }, plainText(sentenceOf(answer.text, citation)).replace(LIST_SIGN, "")),
      element("p", { class: "verdict", data: { verdict: citation.verdict } }, icon(ICONS[citation.verdict]), words.sources.found[citation.verdict]),
      ...(rest ? [this.source] : [element("p", { class: "calm" }, words.sources.notFound)]),
    ];
  }

  #drawSource({ name, page, heading }, facts) {
    this.source.replaceChildren(element("p", { class: "evidence-name", dir: "auto" }, name), element("p", { class: "small", dir: "auto" }, facts ?? whereOf({ page, heading }, this.words)));
  }

  #facts({ kind, size: bytes, modified_at: modified, created_at: added }) {
    const { words } = this;
    const day = (at) => new Date(at).toLocaleDateString(words.lang, { dateStyle: "medium" });
    const dates = [words.sources.modified(day(modified)), words.sources.added(day(added))];
    return [kind, size(bytes, words.lang), ...(day(modified) === day(added) ? dates.slice(1) : dates)].join(" \u00b7 ");
  }

  #lists({ is, answer, rest }) {
    const { words, intents } = this;
    if (rest || (is !== "passages" && is !== "citation")) return [];
    const said = is === "passages" ? words.sources.used : words.sources.heldAgainst;
    const passages = answer.metadata?.sources ?? answer.live ?? [];
    const omitted = is === "passages" ? (answer.metadata?.sources_omitted ?? []) : [];
    return [...passageList(passages, said, words, intents.onPassage), ...omittedPassages(omitted, words, intents.onPassage)];
  }

  #miss(said, more = null) {
    this.notice.replaceChildren(element("p", {}, said), ...(more ? [more] : []));
  }

  // Where the drawer is

  /** On a telephone it covers the room, which nothing then leads into. */
  #cover() {
    const covered = this.isOpen && matchMedia(WHOLE_SCREEN).matches;
    for (const room of this.rooms) room.inert = covered;
  }

  #listen() {
    const { document, intents } = this;
    matchMedia(WHOLE_SCREEN).addEventListener("change", () => this.#cover());
    document.addEventListener("keydown", (event) => this.isOpen && this.#press(event));
    // A sheet hides what the keyboard goes to behind it.
    document.addEventListener("focusin", ({ target }) => {
      if (this.isOpen && matchMedia(OVER_THE_ROOM).matches && !this.root.contains(target) && target.matches(":focus-visible")) intents.onClose();
    });
  }

  #press(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open], :popover-open")) return;
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") this.intents.onClose();
    else if (event.altKey && by && !event.target.matches("textarea, input, select")) this.intents.onStep(by);
    else return;
    event.preventDefault();
  }
}

const TITLES = { passages: "passages", passage: "title", document: "document" };
