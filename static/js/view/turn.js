// One turn: a question, its answer, how that came about, and what can be done with both.

import { sentencesOf } from "../state/citations.js";
import { canContinue, isLive } from "../state/turn.js";
import { sayReceipt, sayTurn } from "../state/wording.js";
import { mark, unmark } from "../text/marks.js";
import { Prose } from "../text/prose.js";
import { button, element } from "./dom.js";
import { QuestionEditor } from "./editor.js";
import { Receipt } from "./receipt.js";
import { Siblings } from "./siblings.js";

export class TurnView {
  constructor(root, words, intents) {
    this.root = root;
    this.words = words;
    this.intents = intents;
    this.turn = null;
    this.marked = null; // what the marks in the text are of, as citedIn tells it
    this.#build();
    this.prose = new Prose(this.answer, { words: words.prose, onSettled: () => this.#mark() });
  }

  /** `last`: nothing stands below it. */
  draw(turn, last = this.last) {
    this.turn = turn;
    this.last = last;
    const { words } = this;
    const live = isLive(turn);
    setText(this.question, turn.question ?? "");
    this.question.hidden = turn.question === null || this.editor.isOpen;
    this.asked.hidden = this.question.hidden;
    this.questionSiblings.draw(turn.siblings.question, turn.id);
    this.#drawThoughts(turn);
    this.answer.hidden = turn.answer === "";
    if (this.marked !== null && this.marked !== citedIn(turn)) {
      unmark(this.answer);
      this.marked = null;
    }
    this.prose.show(turn.answer, { live });
    if (this.prose.isSettled) this.#mark(); // the same text, read once more
    this.state.textContent = sayTurn(turn, words);
    this.state.hidden = this.state.textContent === "";
    this.receipt.draw(turn, sayReceipt(turn.metadata, words));
    this.answerSiblings.draw(turn.siblings.answer, turn.answer_id);
    this.#drawActions(turn, live);
  }

  remove() {
    this.prose.remove();
  }

  #build() {
    const { words, intents } = this;
    const act = (intent) => () => intent(this.turn);
    const small = (label, name, onclick, more = {}) => button(label, { icon: name, bare: true, class: "muted", onclick, ...more });
    this.question = element("p", { class: "question", dir: "auto" });
    this.editor = new QuestionEditor(words, (text) => intents.onAsk(text, this.turn.id), () => this.draw(this.turn));
    this.questionSiblings = new Siblings(words, words.versionsOfQuestion, intents.onSelect);
    this.edit = small(words.edit, "pencil", () => (this.editor.open(this.turn.question), this.draw(this.turn)), { data: { act: "edit" } });
    this.asked = element("div", { class: "asked" }, this.question, this.edit);
    this.thoughts = element("details", { class: "thoughts" }, element("summary", {}, words.thoughts), element("div", { class: "thought", dir: "auto" }));
    this.answer = element("div", { class: "answer prose", dir: "auto" });
    this.answer.addEventListener("click", ({ target }) => {
      const citation = target.closest?.("[data-sentence]");
      if (citation) intents.onEvidence(this.turn, Number(citation.dataset.sentence));
    });
    this.state = element("p", { class: "state" });
    this.receipt = new Receipt(words, () => intents.onEvidence(this.turn, null));
    this.answerSiblings = new Siblings(words, words.versionsOfAnswer, intents.onSelect);
    this.actions = {
      goOn: button(words.goOn, { icon: "play", class: "quiet go-on", onclick: act(intents.onContinue) }),
      again: button(words.askAgain, { class: "quiet again", onclick: act(intents.onAgain) }),
      withdraw: button(words.edit, { class: "quiet edit", onclick: act(intents.onWithdraw) }),
      leave: button(words.leaveLine, { class: "quiet leave", onclick: act(intents.onLeaveLine) }),
      copy: small(words.copy, "copy", act(intents.onCopy)),
      up: small(words.good, "thumbs-up", () => intents.onRate(this.turn, this.turn.rating === "up" ? null : "up")),
      down: small(words.bad, "thumbs-down", () => intents.onRate(this.turn, this.turn.rating === "down" ? null : "down")),
      regenerate: small(words.regenerate, "refresh-cw", act(intents.onRegenerate)),
    };
    this.bar = element("div", { class: "turn-bar answer-bar" }, this.answerSiblings.element, ...Object.values(this.actions));
    this.root.append(
      element("h3", { class: "unseen" }, words.youAsked),
      this.asked,
      this.editor.element,
      this.questionSiblings.element,
      element("h3", { class: "unseen" }, words.answer),
      this.thoughts,
      this.answer,
      this.state,
      this.receipt.element,
      this.bar,
    );
  }

  #drawThoughts({ thoughts }) {
    this.thoughts.hidden = thoughts === "";
    setText(this.thoughts.lastElementChild, thoughts);
  }

  #drawActions(turn, live) {
    const { actions } = this;
    const stored = turn.answer_id !== null && !live;
    const unstored = turn.status === "cancelled" && turn.answer_id === null;
    const shown = {
      copy: !live && turn.answer !== "",
      up: stored && turn.answer !== "",
      down: stored && turn.answer !== "",
      regenerate: stored && turn.question !== null,
      goOn: this.last && canContinue(turn), // below another answer it would go on in the middle of things
      again: (["error", "refused"].includes(turn.status) || unstored) && turn.answer_id === null && turn.question !== null,
      withdraw: turn.status === "unsent" || turn.status === "refused",
      leave: turn.status === "queued",
    };
    for (const [name, visible] of Object.entries(shown)) actions[name].hidden = !visible;
    actions.up.setAttribute("aria-pressed", String(turn.rating === "up"));
    actions.down.setAttribute("aria-pressed", String(turn.rating === "down"));
    this.edit.hidden = live || turn.id === null;
    this.bar.hidden = !Object.values(shown).some(Boolean) && turn.siblings.answer.length === 0;
  }

  /** The text is whole and in its place: now its sentences can be marked. */
  #mark() {
    const { turn } = this;
    const cited = citedIn(turn);
    if (cited === null || cited === this.marked) return;
    this.marked = cited;
    mark(this.answer, turn.answer, sentencesOf(turn.answer, turn.metadata, this.words.sources));
  }
}

/** All that decides which marks a turn has, so that a history read once more leaves them alone; null without any. */
function citedIn(turn) {
  const { citations, sources } = turn.metadata ?? {};
  return isLive(turn) || !citations?.length ? null : JSON.stringify([turn.answer, citations, sources]);
}

/** A selection, or a screen reader's cursor, survives: text only ever grows at its end where it can. */
function setText(element, text) {
  const node = element.firstChild;
  if (node === null) element.append(text);
  else if (node.length > 0 && text.startsWith(node.data)) node.appendData(text.slice(node.length));
  else if (node.data !== text) node.data = text;
}
