// The NeuralBridge channel over the official Phoenix client: pushes out, events in. Knows no page and keeps no answers.

import { Socket } from "../vendor/phoenix.mjs";

const EVENTS = [
  "question",
  "queued",
  "progress",
  "stream_start",
  "sources",
  "stream_thought",
  "stream_token",
  "citations",
  "stream_complete",
  "stream_error",
  "response",
  "error",
  "branch",
  "feedback",
];
const RETRY_MS = [50, 250, 1000, 2000, 5000];
const HEARTBEAT_MS = 15000; // half the client's default: a dead connection is noticed sooner, and the page says so

// The client looks for window.sessionStorage unless given one, and with storage blocked that throws.
const NO_STORAGE = { getItem: () => null, setItem: () => {} };

export class Channel {
  /** `tell(event)` hears everything; `resume()` names, at each join, the answer to go on with. */
  constructor(sessionId, { tell, resume }) {
    this.tell = tell;
    this.wantsEarlier = false;
    this.reading = { now: false, again: false }; // the newest part of the history
    const retry = (tries) => this.#announceRetry(tries);
    this.socket = new Socket("/socket", {
      heartbeatIntervalMs: HEARTBEAT_MS,
      reconnectAfterMs: retry,
      rejoinAfterMs: retry,
      sessionStorage: NO_STORAGE,
    });
    this.channel = this.socket.channel(`proxy:${sessionId}`, () => {
      const unfinished = resume();
      return unfinished ? { follow: true, resume: unfinished } : { follow: true };
    });
    for (const event of EVENTS) this.channel.on(event, (payload) => this.tell({ ...payload, type: event }));
    this.channel.on("history", (payload) => this.#hearHistory(payload));
  }

  open() {
    this.socket.connect();
    this.channel
      .join()
      .receive("ok", (reply) => this.#joined(reply))
      .receive("error", ({ reason }) => this.tell({ type: "turned_away", reason }))
      .receive("timeout", () => this.tell({ type: "turned_away", reason: "timeout" }));
  }

  /** No phx_leave: that would cancel an answer which the conversation still wants. */
  close() {
    this.tell = () => {};
    this.socket.disconnect();
  }

  /** "stream_query", "regenerate" or "continue". The push's ref, by which the server's events name it; null while there
   * is no one to ask. */
  ask(event, payload) {
    return this.#isJoined() ? this.channel.push(event, payload).ref : null;
  }

  stop(streamId) {
    this.channel.push("stop", streamId === null ? {} : { stream_id: streamId });
  }

  select(messageId) {
    if (this.#isJoined()) this.channel.push("select", { message_id: messageId });
  }

  rate(messageId, rating) {
    if (this.#isJoined()) this.channel.push("feedback", { message_id: messageId, rating });
  }

  /** Asked for while it is being read, it is read once more: other devices may change branches faster than that. */
  readHistory() {
    if (this.reading.now) this.reading.again = true;
    else this.#readNow();
  }

  readEarlier(before) {
    if (this.wantsEarlier || !this.#isJoined()) return;
    this.wantsEarlier = true;
    this.channel.push("get_history", { before, limit: 200 });
  }

  /** Do not ask any more, until told to try now. */
  rest() {
    this.socket.disconnect();
  }

  tryNow() {
    this.#announceRetryIn(0);
    this.socket.disconnect(() => this.socket.connect());
  }

  #readNow() {
    this.reading = { now: true, again: false };
    this.channel.push("get_history", {});
  }

  #joined(reply) {
    this.wantsEarlier = false;
    this.reading = { now: false, again: false }; // what was asked before is not answered any more
    this.tell({ ...reply, type: "joined" });
  }

  #hearHistory(payload) {
    const earlier = (payload.before ?? null) !== null;
    const { again } = this.reading;
    if (earlier) this.wantsEarlier = false;
    else this.reading = { now: false, again: false };
    this.tell({ ...payload, earlier, type: "history" });
    if (!earlier && again) this.readHistory();
  }

  #isJoined() {
    return this.socket.isConnected() && this.channel.state === "joined";
  }

  #announceRetry(tries) {
    const delay = RETRY_MS[tries - 1] ?? RETRY_MS.at(-1);
    this.#announceRetryIn(delay);
    return delay;
  }

  #announceRetryIn(delay) {
    const now = Date.now();
    this.tell({ type: "waiting", since: now, retry_at: now + delay });
  }
}
