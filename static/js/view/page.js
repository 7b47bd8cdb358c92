// A conversation on the page: shows a state, and calls back with what the person wants. Its parts are in the files beside this one.

import { earliest, stoppable } from "../state/conversation.js";
import { sayConnection, sayFailure } from "../state/wording.js";
import { Announcer } from "./announcer.js";
import { Choices } from "./choices.js";
import { Composer } from "./composer.js";
import { ReadingPlace } from "./place.js";
import { TurnList } from "./turns.js";
import { Welcome } from "./welcome.js";

const REST_MS = 45; // between two drawings: three frames of most screens
const CLOCK_MS = 250; // how often "next try in n s" is counted anew

export class Page {
  /** `intents` are named on...; chat.js has them all. */
  constructor(document, words, intents) {
    this.words = words;
    this.document = document;
    this.intents = intents;
    this.element = (id) => document.getElementById(id);
    this.state = null;
    this.title = null;
    this.aim = null; // the key of a turn
    this.frame = null;
    this.drawnAt = -REST_MS;
    this.clock = null;
    this.element("query").placeholder = words.placeholder;
    this.place = new ReadingPlace(this.element("reading"), this.element("turns"), this.element("below"));
    this.turns = new TurnList(this.element("turns"), this.place, words, intents);
    this.composer = new Composer(this.element("composer"), this.element("query"), this.element("send"), intents);
    this.announcer = new Announcer(this.element("announcer"), words);
    this.welcome = new Welcome(this.element("welcome"), words, {
      ...intents,
      focusComposer: () => this.focusComposer(),
    });
    this.choices = new Choices(this.element("choices"), words, intents);
    this.#listen(document);
  }

  /** Tokens may come faster than anybody reads; only the newest state is drawn, and then the page rests for a moment. */
  show(state) {
    this.state = state;
    this.frame ??= requestAnimationFrame((now) => this.#drawAt(now));
  }

  #drawAt(now) {
    const rests = now - this.drawnAt < REST_MS;
    this.frame = rests ? requestAnimationFrame((later) => this.#drawAt(later)) : null;
    if (rests) return;
    this.drawnAt = now;
    this.#draw(this.state);
  }

  showModels(models) {
    this.choices.draw(models);
    this.welcome.drawModel(models);
  }

  /** The conversation shown has this title; null: its first question. */
  name(title) {
    this.title = title;
    if (this.state !== null) this.show(this.state);
  }

  /** Show another conversation, from its end. */
  open(state) {
    this.place.goToEnd();
    this.show(state);
  }

  /** The room is on the screen again. */
  shown() {
    this.place.look();
    if (this.state !== null) this.show(this.state); // the window bears its name again
  }

  /** The next drawing ends at the newest text, wherever the reader was. */
  goToEnd() {
    this.place.goToEnd();
  }

  /** The next drawing ends at this turn. */
  goToTurn(key) {
    this.aim = key;
    this.show(this.state);
  }

  focusComposer() {
    this.composer.focus();
  }

  editLast() {
    this.element("turns").querySelector("[data-last] [data-act=edit]:not([hidden])")?.click();
  }

  #draw(state) {
    const { words } = this;
    this.place.keep(() => {
      this.welcome.element.hidden = !state.loaded || state.turns.length > 0;
      this.#drawEarlier(state);
      this.turns.draw(state.turns);
    });
    this.#goToAim();
    this.#drawTitle(state);
    this.#drawConnection(state.connection);
    this.element("notice").hidden = state.notice === null;
    this.element("notice-words").textContent = state.notice ? sayFailure(state.notice, words) : "";
    this.composer.draw(state.draft);
    this.#drawStop(stoppable(state) !== null);
    this.announcer.draw(state);
  }

  #goToAim() {
    const turn = this.turns.element(this.aim);
    this.aim = null;
    if (turn) this.place.goTo(turn);
  }

  #drawTitle({ turns }) {
    const asked = turns[0]?.question ?? "";
    const title = this.title ?? asked.slice(0, 120).replace(/\s+/g, " ");
    const line = this.element("title");
    if (line.textContent !== title) line.textContent = title;
    const whole = title === "" ? "NeuralBridge" : `${title} \u00b7 NeuralBridge`;
    if (this.document.title !== whole && !this.element("chat").hidden) this.document.title = whole;
  }

  /** What is above comes by itself when the reader gets near it. */
  #drawEarlier(state) {
    const first = earliest(state);
    const line = this.element("earlier");
    line.hidden = first === null;
    line.textContent = first === null ? "" : this.words.earlier;
    this.place.onNearStart = first === null ? null : () => this.intents.onEarlier(first);
  }

  #drawConnection(connection) {
    const { words } = this;
    const said = sayConnection(connection, Date.now(), words);
    for (const id of ["connection", "trouble"]) {
      const line = this.element(id), told = this.element(`${id}-words`);
      if (told.textContent !== said) told.textContent = said;
      line.dataset.is = connection.is;
      line.title = connection.since ? words.since(new Date(connection.since).toLocaleTimeString(words.lang)) : "";
    }
    this.element("trouble").hidden = connection.is === "connected" || connection.is === "connecting";
    this.element("try-now").hidden = !["waiting", "refused", "signed_out"].includes(connection.is);
    if (connection.is === "waiting") {
      this.clock ??= setInterval(() => this.#drawConnection(this.state.connection), CLOCK_MS);
    } else {
      clearInterval(this.clock);
      this.clock = null;
    }
  }

  #drawStop(possible) {
    const stop = this.element("stop");
    if (!possible && stop.matches(":focus")) this.focusComposer(); // else the keyboard's place would be lost
    stop.hidden = !possible;
  }

  #listen(document) {
    const { intents } = this;
    const press = (id, act) => this.element(id).addEventListener("click", act);
    press("stop", () => intents.onStop());
    press("dismiss", () => (intents.onDismiss(), this.focusComposer()));
    press("try-now", () => intents.onTryNow());
    press("new-conversation", () => intents.onNew());
    press("attach", () => intents.onAttach());
    press("below", () => (this.place.goToEnd(), this.focusComposer()));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
      if (document.querySelector("dialog[open], :popover-open") === null) intents.onStop(); // else it closes that
    });
  }
}
