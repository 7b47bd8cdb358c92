// One conversation at a time: channel -> state -> page, and back. Everything a person does to a conversation goes through here.

import { Channel } from "./channel.js";
import { newId } from "./memory.js";
import { Models } from "./models.js";
import { earliest, reduce, startConversation, stoppable, unfinished, unsent } from "./state/conversation.js";
import { LONGEST_DOCUMENT, LONGEST_QUESTION } from "./state/question.js";
import { copyText } from "./text/copy.js";
import { Page } from "./view/page.js";

export class Chat {
  /**
   * `onTold({id, title, ended})`: something was asked or answered; `onLeft(null)`: a new conversation is wanted;
   * `onFiles(files)`: files for the documents, `onAttach()`: some are to be chosen; `onConnection()`: it came or went;
   * `onUnsure()`: there is none, perhaps for want of a token.
   */
  constructor({ document, words, server, memory, toasts, account, evidence, onTold, onLeft, onFiles, onAttach, onConnection, onUnsure }) {
    Object.assign(this, { memory, server, account, evidence, toasts, words, onTold, onLeft, onConnection, onUnsure });
    this.id = null;
    this.room = document.getElementById("chat");
    this.state = startConversation();
    this.channel = null;
    this.sought = null; // {id, messageId} of what a search found
    this.models = new Models({ server, memory });
    this.page = new Page(document, words, {
      onAsk: (text, edits) => this.ask(text, edits),
      onTyped: (text) => this.tell({ type: "typed", text }),
      onTooLong: (text) => this.offerAsDocument(text, onFiles),
      onAttach,
      onStop: () => this.stop(),
      onAgain: (turn) => this.ask(turn.question, turn.edits, turn.key),
      onWithdraw: ({ key }) => this.tell({ type: "withdrawn", key }),
      onLeaveLine: ({ stream_id }) => this.channel.stop(stream_id),
      onRegenerate: (turn) => this.request(turn, "regenerate"),
      onContinue: (turn) => this.request(turn, "continue"),
      onSelect: (messageId) => this.channel.select(messageId),
      onRate: (turn, rating) => this.channel.rate(turn.answer_id, rating),
      onCopy: (turn) => this.copy(turn),
      onEvidence: (turn, index) => evidence.open({ text: turn.answer, metadata: turn.metadata, live: turn.sources }, index),
      onDismiss: () => this.tell({ type: "dismissed" }),
      onEarlier: (id) => this.channel.readEarlier(id),
      onTryNow: () => this.channel.tryNow(),
      onNew: () => this.enterNew(),
      onModels: () => this.models.look().then((models) => this.page.showModels(models)),
      onChoice: (choice) => (this.models.choose(choice), this.page.showModels(this.models.state)),
    });
    this.page.showModels(this.models.state);
    this.models.look().then((models) => this.page.showModels(models));
  }

  // Which conversation

  /** The conversation of the last visit, null where there was none. */
  remembered() {
    return this.memory.get("session") || null;
  }

  /** The page opened in another room: it is connected all the same, and says so. */
  begin() {
    if (this.id === null) this.enter(this.remembered());
  }

  /** Show this conversation from its end; null is a new one. It is left as it is where it is shown already. */
  enter(id) {
    if (id === null ? this.#isUnused() : id === this.id) return this.id;
    this.channel?.close();
    this.id = id ?? newId();
    this.memory.set("session", id ?? "");
    this.state = startConversation({ draft: this.memory.get("draft") ?? "" });
    this.channel = new Channel(this.id, { tell: (event) => this.tell(event), resume: () => unfinished(this.state) });
    this.channel.open();
    this.page.open(this.state);
    if (id !== null) this.readCopy(id);
    return this.id;
  }

  enterNew() {
    this.onLeft(null);
    this.page.focusComposer();
  }

  /** A conversation was deleted. */
  gone(id) {
    if (id !== this.id) return;
    this.id = null;
    this.onLeft(null);
  }

  /** This conversation is wanted at this message; null: at its end. */
  seek(id, messageId) {
    this.sought = messageId === null ? null : { id, messageId };
    this.#goToSought();
  }

  /** What is further up than was read is read until it is there, or until there is no more. */
  #goToSought() {
    if (!this.sought || this.sought.id !== this.id || !this.state.loaded) return;
    const { messageId } = this.sought;
    const turn = this.state.turns.find(({ id, answer_id }) => id === messageId || answer_id === messageId);
    const before = earliest(this.state);
    if (!turn && before !== null) return this.channel.readEarlier(before);
    this.sought = null;
    if (turn) this.page.goToTurn(turn.key);
  }

  /** The conversation shown goes by this name; null: by its first question. */
  named(title) {
    this.page.name(title);
  }

  #isUnused() {
    return this.id !== null && this.memory.get("session") === "" && this.state.turns.length === 0;
  }

  show() {
    this.room.hidden = false;
    this.page.shown();
  }

  hide() {
    this.room.hidden = true;
  }

  /** All of it stays as it is, and what is asked meanwhile waits. */
  signedOut(rest) {
    this.tell({ type: "signed_out" });
    if (rest) this.channel?.rest();
  }

  signedIn() {
    this.tell({ type: "signed_in" });
    this.channel?.tryNow();
    this.models.look().then((models) => this.page.showModels(models));
  }

  /** The history over HTTP: it is there before the socket is, and the service worker has a copy when the server is away. */
  async readCopy(id) {
    try {
      const copy = await this.server.get(`/api/conversations/${encodeURIComponent(id)}/history`, { limit: 50 });
      if (this.id === id && !this.state.loaded) this.tell({ ...copy, type: "history", copy: true });
    } catch {
      // A new conversation, or a server that is away and was never asked for this one: the socket tells the rest.
    }
  }

  // What happens

  tell(event) {
    const before = this.state;
    this.state = reduce(this.state, event);
    this.memory.set("draft", this.state.draft);
    if (event.type === "joined" || this.state.reread > before.reread) this.channel.readHistory();
    if (event.type === "joined" || event.type === "asked") this.sendWaiting();
    if (event.type === "stream_start" || event.type === "stream_complete") this.#told(event);
    if (this.state.connection.is !== before.connection.is) this.onConnection();
    if (event.type === "waiting" || event.reason === "unauthorized") this.onUnsure();
    this.page.show(this.state);
    this.#goToSought();
  }

  #told({ type, metadata }) {
    this.memory.set("session", this.id);
    const ended = type === "stream_complete" && metadata?.superseded_by === undefined;
    const whole = this.state.loaded && earliest(this.state) === null; // else the first turn here need not be its first
    this.onTold({ id: this.id, title: whole ? (this.state.turns[0]?.question ?? "") : "", ended });
  }

  ask(query, edits = null, instead) {
    this.page.goToEnd();
    this.tell({ type: "asked", key: newId(), query, edits, instead });
  }

  sendWaiting() {
    for (const turn of unsent(this.state)) {
      const { key, question: query, edits } = turn;
      const payload = { query, ...this.models.parameters, ...(edits ? { edits } : {}) };
      const ref = this.channel.ask("stream_query", payload);
      if (ref !== null) this.tell({ type: "sent", key, ref });
    }
  }

  /** Answer again ("regenerate"), or go on with an answer ("continue"). */
  request({ key, answer_id }, event) {
    const more = event === "regenerate" ? this.models.parameters : {};
    const ref = this.channel.ask(event, { ...more, message_id: answer_id });
    if (ref !== null) this.tell({ type: "requested", key, ref, event });
    if (ref !== null) this.page.goToEnd();
  }

  /** Questions that were not sent become the draft again: it outlasts the page, they do not. */
  keepUnsent() {
    for (const { key } of unsent(this.state).reverse()) this.tell({ type: "withdrawn", key });
  }

  stop() {
    const turn = stoppable(this.state);
    if (turn?.status === "unsent") this.tell({ type: "withdrawn", key: turn.key });
    else if (turn) this.channel.stop(turn.stream_id);
  }

  async copy({ answer }) {
    if (await copyText(answer)) this.toasts.say(this.words.copied, { ms: 2000 });
  }

  copyLast() {
    const turn = this.state.turns.findLast(({ answer }) => answer !== "");
    if (turn) return this.copy(turn);
  }

  editLast() {
    this.page.editLast();
  }

  focusComposer() {
    this.page.focusComposer();
  }

  get connected() {
    return this.state.connection.is === "connected";
  }

  /** A question has a limit; what is longer makes a document, as far as these go, of whoever may bring any. */
  offerAsDocument(text, onFiles) {
    if (text.length > LONGEST_DOCUMENT) {
      this.toasts.say(this.words.tooLongForDocument(text.length, LONGEST_QUESTION, LONGEST_DOCUMENT));
      return;
    }
    this.toasts.say(this.words.tooLong(text.length, LONGEST_QUESTION), {
      action: this.account.mayBring ? { label: this.words.addAsDocument, act: () => onFiles([pasted(text, this.words)]) } : null,
      ms: 60_000,
    });
  }
}

function pasted(text, words) {
  const at = new Date();
  return new File([text], `${words.pastedText} ${at.toISOString().slice(0, 16).replace("T", " ").replace(":", ".")}.txt`, { type: "text/plain" });
}
