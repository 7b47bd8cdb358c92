// The drawer beside the conversation: the words of a document that an answer rests on, and the passages it was given.

import { Refusal } from "./server.js";
import { above, around, below, halfOf, hasWords, neighbour, ofCitation, ofDocument, ofPassage, reasonOf, stands, trimmed } from "./state/evidence.js";
import { EvidenceView } from "./view/evidence.js";

export class Evidence {
  constructor({ document, words, server, toasts }) {
    Object.assign(this, { words, server, toasts });
    this.spot = null; // what is shown; what arrives for another is dropped
    this.before = []; // spots that "Back" leads to
    this.version = null; // of the document whose text is shown
    this.view = new EvidenceView(document, words, {
      onClose: () => this.close(),
      onBack: () => this.#show(this.before.pop()),
      onStep: (by) => this.#step(by),
      onPassage: (source) => this.#goOn({ is: "passage", rest: ofPassage(source) }),
      onDocument: () => this.#goOn({ is: "document", rest: ofDocument(this.spot.rest.document_id, null) }),
      onMore: (side) => this.#more(side),
      onAgain: () => this.#show(this.spot),
    });
  }

  /** Show what sentence `index` of an answer rests on; null shows the list of passages. `answer` is {text, metadata, live}. */
  open(answer, index = null) {
    this.#begin(index === null ? { is: "passages", answer } : citationSpot(answer, index));
  }

  /** Show a document of the library, at a place of it ({start, end} in code points) where given. */
  openDocument(documentId, place = null) {
    this.#begin({ is: "document", rest: ofDocument(documentId, place) });
  }

  close() {
    this.spot = null;
    this.before = [];
    this.view.close();
  }

  #begin(spot) {
    this.before = [];
    this.view.open();
    this.#show(spot);
    this.view.focus();
  }

  #goOn(spot) {
    this.before.push(this.spot);
    this.#show(spot);
    this.view.focus();
  }

  #step(by) {
    if (this.spot?.is !== "citation") return;
    const { answer, index } = this.spot;
    const next = neighbour(answer.metadata.citations, index, by);
    if (next !== null) this.#show(citationSpot(answer, next));
  }

  #show(spot) {
    this.spot = { ...spot };
    this.view.draw(this.spot, this.before.length > 0);
    if (spot.rest) this.#read(this.spot);
  }

  async #read(spot) {
    const { rest } = spot;
    const document = await this.#part(spot, around(rest.place), (refusal) => this.view.miss(spot, reasonOf(refusal), refusal.sentence));
    if (document === null) return;
    if (!stands(rest, document)) return this.view.miss(spot, "changed");
    this.version = document.version;
    this.view.drawText(spot, document, trimmed(document, rest.place ?? halfOf(document, "below"), document.characters));
  }

  async #more(side) {
    const { spot, view: { text } } = this;
    const wanted = side === "above" ? above(text.first) : below(text.last);
    const part = await this.#part(spot, wanted, () => (text.missed(side), this.toasts.say(this.words.unreachable)));
    if (part === null) return;
    if (part.version !== this.version) this.#show(spot); // what is there is of a document that is no more
    else text.add(side, trimmed(part, halfOf(part, side), part.characters));
  }

  /** A part of the document; null where it did not come, or nobody waits for it any more. */
  async #part(spot, { start, end }, onRefused) {
    let part;
    try {
      part = await this.server.get(`/api/knowledge/documents/${encodeURIComponent(spot.rest.document_id)}`, { start, end });
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      if (this.spot === spot) onRefused(refusal);
      return null;
    }
    return this.spot === spot ? part : null;
  }
}

function citationSpot(answer, index) {
  const { citations, sources } = answer.metadata;
  const citation = citations[index];
  return { is: "citation", answer, index, rest: hasWords(citation) ? ofCitation(citation, sources ?? []) : null };
}
