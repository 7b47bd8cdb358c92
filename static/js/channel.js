// The NeuralBridge channel over the official Phoenix client: pushes out, events in. Knows no page and keeps no answers.

import { Socket } from "../vendor/phoenix.mjs";

const EVENTS = [
  "question",
  "queued",
  "stream_start",
  "stream_token",
  "stream_complete",
  "stream_error",
  "response",
  "error",
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
    this.channel.on("history", (payload) => {
      const earlier = this.wantsEarlier;
      this.wantsEarlier = false;
      this.tell({ ...payload, earlier, type: "history" });
    });
  }

  open() {
    this.socket.connect();
    this.channel
      .join()
      .receive("ok", (reply) => this.tell({ ...reply, type: "joined" }))
      .receive("error", ({ reason }) => this.tell({ type: "turned_away", reason }))
      .receive("timeout", () => this.tell({ type: "turned_away", reason: "timeout" }));
  }

  /** No phx_leave: that would cancel an answer which the conversation still wants. */
  close() {
    this.tell = () => {};
    this.socket.disconnect();
  }

  /** The push's ref, by which the server's events name it; null while there is no one to ask. */
  ask(query) {
    return this.#isJoined() ? this.channel.push("stream_query", { query }).ref : null;
  }

  stop(streamId) {
    this.channel.push("stop", streamId === null ? {} : { stream_id: streamId });
  }

  readHistory() {
    this.wantsEarlier = false;
    this.channel.push("get_history", {});
  }

  readEarlier(before) {
    if (this.wantsEarlier || !this.#isJoined()) return;
    this.wantsEarlier = true;
    this.channel.push("get_history", { before });
  }

  tryNow() {
    this.#announceRetryIn(0);
    this.socket.disconnect(() => this.socket.connect());
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
