// The whole page: shows a state, and calls back with what the person wants. Parts of it are in the files beside this one.

import { earliest, stoppable } from "../conversation.js";
import { sayConfig, sayConnection, sayFailure } from "../wording.js";
import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { ReadingPlace } from "./place.js";
import { TurnList } from "./turns.js";

const CLOCK_MS = 250; // how often "next try in n s" is counted anew

export class Page {
  /** `intents`: onAsk(text), onTyped(text), onStop(), onAgain/onEdit/onLeave(turn), onEarlier(id), onTryNow(), ... */
  constructor(document, words, intents) {
    this.words = words;
    this.element = (id) => document.getElementById(id);
    this.state = null;
    this.frame = null;
    this.clock = null;
    label(document, words);
    this.place = new ReadingPlace(this.element("reading"), this.element("turns"), this.element("below"));
    this.turns = new TurnList(this.element("turns"), this.element("turn-template"), words, intents);
    this.composer = new Composer(this.element("composer"), this.element("query"), this.element("send"), intents);
    this.announcer = new Announcer(this.element("announcer"), words);
    this.#listen(document, intents);
    this.#showExamples(document, intents);
  }

  /** Tokens may come faster than the screen changes; only the newest state of each frame is drawn. */
  show(state) {
    this.state = state;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw(this.state);
    });
  }

  /** Say how the server's configuration stands: {error, pending}. Said anew, it is not read aloud again. */
  showConfig(config) {
    const line = this.element("config");
    const said = sayConfig(config, this.words);
    line.hidden = said === "";
    if (line.textContent !== said) line.textContent = said;
  }

  /** Show another conversation, from its end. */
  open(state) {
    this.goToEnd();
    this.show(state);
  }

  /** The next drawing ends at the newest text, wherever the reader was. */
  goToEnd() {
    this.place.goToEnd();
  }

  focusComposer() {
    this.composer.focus();
  }

  #draw(state) {
    const { words } = this;
    this.place.keep(() => {
      this.#drawWelcome(state);
      this.element("earlier").hidden = earliest(state) === null;
      this.turns.draw(state.turns);
    });
    this.#drawConnection(state.connection);
    this.element("notice").hidden = state.notice === null;
    this.element("notice-words").textContent = state.notice ? sayFailure(state.notice, words) : "";
    this.composer.draw(state.draft);
    this.#drawStop(stoppable(state) !== null);
    this.announcer.draw(state);
  }

  #drawWelcome({ loaded, turns, previous }) {
    this.element("welcome").hidden = !loaded || turns.length > 0;
    this.element("go-back").hidden = previous === null;
  }

  #drawConnection(connection) {
    const { words } = this;
    const line = this.element("connection");
    const said = sayConnection(connection, Date.now(), words);
    if (this.element("connection-words").textContent !== said) this.element("connection-words").textContent = said;
    line.dataset.is = connection.is;
    line.title = connection.since ? words.since(new Date(connection.since).toLocaleTimeString(words.lang)) : "";
    this.element("try-now").hidden = connection.is !== "waiting" && connection.is !== "refused";
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

  #listen(document, intents) {
    const press = (id, act) => this.element(id).addEventListener("click", act);
    press("stop", () => intents.onStop());
    press("earlier", () => intents.onEarlier(earliest(this.state)));
    press("dismiss", () => (intents.onDismiss(), this.focusComposer()));
    press("try-now", () => intents.onTryNow());
    press("go-back", () => intents.onGoBack());
    press("new-conversation", () => (intents.onNewConversation(), this.focusComposer()));
    press("below", () => (this.place.goToEnd(), this.focusComposer()));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing && !event.defaultPrevented) intents.onStop();
    });
  }

  #showExamples(document, intents) {
    for (const example of this.words.examples) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = example;
      button.addEventListener("click", () => (intents.onAsk(example), this.focusComposer()));
      const item = document.createElement("li");
      item.append(button);
      this.element("examples").append(item);
    }
  }
}

function label(document, words) {
  document.documentElement.lang = words.lang;
  const template = document.getElementById("turn-template").content;
  for (const root of [document, template]) {
    for (const element of root.querySelectorAll("[data-word]")) element.textContent = words[element.dataset.word];
    for (const element of root.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", words[element.dataset.label]);
    }
  }
  document.getElementById("query").placeholder = words.placeholder;
}
