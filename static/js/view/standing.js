// How the server stands, as far as the page says it at all times: what left the machine, its configuration, its absence.

import { sayOutgoing } from "../state/health.js";
import { sayConfig } from "../state/wording.js";
import { element, icon } from "./dom.js";

const TIME = { hour: "numeric", minute: "2-digit" };
const ICONS = { none: "shield-check", some: "triangle-alert" };

export class Standing {
  constructor(document, words) {
    this.words = words;
    this.outgoing = document.getElementById("outgoing");
    this.config = document.getElementById("config");
    this.asOf = document.getElementById("as-of");
  }

  draw({ outgoing_connections: count, config }) {
    const { is, told } = sayOutgoing(count, this.words);
    if (this.outgoing.textContent !== told) {
      this.outgoing.dataset.is = is;
      this.outgoing.replaceChildren(icon(ICONS[is]), element("span", {}, told));
    }
    this.#say(this.config, config ? sayConfig(config, this.words) : "");
  }

  /** What is shown was kept at this time, null once it is the server's own again. */
  drawAge(time) {
    this.#say(this.asOf, time ? this.words.settings.asOf(sayTime(new Date(time), new Date(), this.words.lang)) : "");
  }

  #say(line, text) {
    line.hidden = text === "";
    if (line.textContent !== text) line.textContent = text;
  }
}

function sayTime(time, now, language) {
  const isToday = time.toDateString() === now.toDateString();
  return isToday ? time.toLocaleTimeString(language, TIME) : time.toLocaleString(language, { ...TIME, day: "numeric", month: "long" });
}
