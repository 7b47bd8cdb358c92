// The list of turns. Elements are kept from one drawing to the next, and text only ever grows at its end where it can:
// a selection or a screen reader's cursor in an answer survives the tokens that follow.

import { sayReceipt, sayTurn } from "../wording.js";

export class TurnList {
  constructor(list, template, words, intents) {
    this.list = list;
    this.template = template;
    this.words = words;
    this.intents = intents;
    this.drawn = new Map(); // key -> {element, turn}
  }

  draw(turns) {
    const keys = new Set(turns.map((turn) => turn.key));
    for (const [key, { element }] of this.drawn) {
      if (keys.has(key)) continue;
      element.remove();
      this.drawn.delete(key);
    }
    turns.forEach((turn, index) => {
      const element = this.#drawTurn(turn);
      const there = this.list.children[index];
      if (there !== element) this.list.insertBefore(element, there ?? null);
    });
  }

  #drawTurn(turn) {
    const known = this.drawn.get(turn.key);
    if (known?.turn === turn) return known.element;
    const element = known?.element ?? this.#newElement(turn.key);
    this.drawn.set(turn.key, { element, turn });
    const part = (name) => element.querySelector(`.${name}`);
    element.dataset.status = turn.status;
    show(part("question"), turn.question ?? "");
    show(part("answer"), turn.answer);
    show(part("state"), sayTurn(turn, this.words));
    show(part("receipt"), sayReceipt(turn.metadata, this.words));
    const unstored = turn.status === "cancelled" && turn.answer_id === null;
    const again = (turn.status === "error" || turn.status === "refused" || unstored) && turn.question !== null;
    const edit = turn.status === "unsent" || turn.status === "refused";
    const leave = turn.status === "queued";
    part("again").hidden = !again;
    part("edit").hidden = !edit;
    part("leave").hidden = !leave;
    part("actions").hidden = !(again || edit || leave);
    return element;
  }

  #newElement(key) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const { onAgain, onEdit, onLeave } = this.intents;
    for (const [name, act] of Object.entries({ again: onAgain, edit: onEdit, leave: onLeave })) {
      element.querySelector(`.${name}`).addEventListener("click", () => act(this.drawn.get(key).turn));
    }
    return element;
  }
}

function show(element, text) {
  element.hidden = text === "";
  const node = element.firstChild;
  if (node === null) element.append(text);
  else if (node.length > 0 && text.startsWith(node.data)) node.appendData(text.slice(node.length));
  else if (node.data !== text) node.data = text;
}
