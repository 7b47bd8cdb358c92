// Tells screen readers what others see happen: answers in whole sentences, the connection when it changes.

import { isLive } from "../state/turn.js";
import { wholeSentences } from "../state/speech.js";
import { plainText } from "../text/plain.js";
import { sayTurn } from "../state/wording.js";

const KEPT = 12; // said paragraphs left in the region; removing one too early can silence it

export class Announcer {
  constructor(region, words) {
    this.region = region;
    this.words = words;
    this.said = new Map(); // key of a turn seen live -> how far its answer was told
    this.connection = "connecting";
  }

  draw({ turns, connection }) {
    const { words } = this;
    if (connection.is !== this.connection) {
      if (this.connection !== "connecting") this.#say(connection.is === "connected" ? words.connected : words.reconnecting);
      this.connection = connection.is;
    }
    for (const turn of turns) {
      if (isLive(turn)) this.#follow(turn);
      else if (this.said.has(turn.key)) this.#finish(turn);
    }
  }

  #follow(turn) {
    if (!this.said.has(turn.key)) this.said.set(turn.key, { upTo: 0, status: null });
    const told = this.said.get(turn.key);
    if (turn.status === "queued" && told.status !== "queued") this.#say(sayTurn(turn, this.words));
    const { sentences, upTo } = wholeSentences(turn.answer, told.upTo);
    this.said.set(turn.key, { upTo, status: turn.status });
    this.#say(plainText(sentences));
  }

  #finish(turn) {
    this.#say(plainText(turn.answer.slice(this.said.get(turn.key).upTo)).trim());
    this.#say(sayTurn(turn, this.words) || this.words.answered);
    this.said.delete(turn.key);
  }

  #say(text) {
    if (text === "") return;
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    this.region.append(paragraph);
    while (this.region.children.length > KEPT) this.region.firstChild.remove();
  }
}
