// Sends files to the library, two at a time, and follows the server's jobs while there are some and somebody could see it.

import { modifiedOf } from "./state/files.js";

const API = "/api/knowledge";
const AT_ONCE = 2;
const LOOK_MS = 1_000;
const BUSY_MS = 5_000;
const AWAY_MS = 3_000;
const AT_A_LOOK = 5; // jobs beyond the list's end
const MOST_ROUNDS = 40;
const TRIES = 5; // of a file whose sending breaks off although the server is there

export class Sending {
  /** `since()`: when failures were last cleared away. `onChange()` hears of everything, `onReady()` when documents are ready. */
  constructor({ document, server, intake, since, onChange, onReady }) {
    Object.assign(this, { document, server, intake, since, onChange, onReady });
    this.givers = new Map(); // entry being sent -> what gives it up
    this.timer = null;
    this.looking = false;
  }

  /** Look what was on its way before this page was opened. */
  start() {
    this.document.addEventListener("visibilitychange", () => this.#look());
    this.document.defaultView.addEventListener("beforeunload", (event) => this.intake.isSending && event.preventDefault());
    this.#look();
  }

  add(files, skipped) {
    this.intake.add(files, skipped, now());
    this.intake.released();
    this.onChange();
    this.#send();
  }

  /** What was held back may go on at once. */
  again() {
    this.intake.released();
    this.#look();
    this.#send();
  }

  cancel(entry) {
    this.givers.get(entry)?.abort();
    this.intake.drop(entry);
    this.onChange();
  }

  #send() {
    clearTimeout(this.held);
    while (this.givers.size < AT_ONCE) {
      const entry = this.intake.next(now());
      if (entry === null) break;
      this.#sendOne(entry);
    }
    const wait = this.intake.held.until - now();
    if (wait > 0 && this.intake.isSending) this.held = setTimeout(() => (this.onChange(), this.#send()), wait);
  }

  async #sendOne(entry) {
    const giver = new AbortController();
    this.givers.set(entry, giver);
    this.intake.sending(entry, now());
    try {
      const onProgress = (sent) => (this.intake.sent(entry, sent, now()), this.onChange());
      const { jobs } = await this.server.upload(`${API}/ingest`, form(entry), { onProgress, signal: giver.signal });
      this.intake.accepted(entry, jobs[0].processing_job_id, now());
    } catch (error) {
      if (!giver.signal.aborted) await this.#failed(entry, error);
    }
    this.givers.delete(entry);
    this.onChange();
    this.#lookSoon();
    this.#send();
  }

  async #failed(entry, error) {
    const { code, reason, sentence, retryAfterSeconds } = error;
    if (code === "server_busy" || code === "rate_limited") return this.#postpone(entry, "busy", retryAfterSeconds ? retryAfterSeconds * 1000 : BUSY_MS);
    if (code === "signed_out") return this.#postpone(entry, code, BUSY_MS);
    if (code !== "unreachable") return this.intake.refused(entry, { code, reason, sentence }, now());
    if (!(await isReadable(entry.file))) return this.intake.refused(entry, { code, reason: "unreadable", sentence: null }, now());
    const away = await this.server.get("/api/proxy/health").then(() => false, () => true);
    if (!away) entry.tries += 1;
    if (entry.tries < TRIES) return this.#postpone(entry, "unreachable", AWAY_MS);
    this.intake.refused(entry, { code, reason: "broken_off", sentence: null }, now());
  }

  #postpone(entry, why, ms) {
    this.intake.postponed(entry, { until: now() + ms, why }, now());
  }

  // The server's jobs

  #lookSoon() {
    if (this.timer === null && this.intake.isWorkedOn) this.timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  async #look() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.looking || this.document.visibilityState === "hidden") return;
    this.looking = true;
    const told = await this.server.get(`${API}/jobs`).catch(() => null); // away: the next look finds out
    if (told !== null) await this.#merge(told.jobs);
    this.looking = false;
    this.#lookSoon();
  }

  async #merge(jobs) {
    const ready = this.intake.in.done.size;
    this.intake.merge(jobs, now(), this.since());
    await this.#lookBeyond(jobs);
    if (this.intake.in.done.size > ready) this.onReady();
    this.onChange();
  }

  /** The list has an end, and the oldest are done first: on as long as those behind it turn out to have ended. */
  async #lookBeyond(jobs) {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const beyond = await Promise.all(this.intake.missing(jobs, AT_A_LOOK).map((id) => this.#lookAt(id)));
      const found = beyond.filter(Boolean);
      this.intake.merge(found, now(), this.since());
      if (found.length < AT_A_LOOK || found.some(({ state }) => state !== "done" && state !== "failed")) return;
    }
  }

  /** One that is not in the list. */
  async #lookAt(id) {
    try {
      return await this.server.get(`${API}/jobs/${encodeURIComponent(id)}`);
    } catch (error) {
      const entry = this.intake.byJob.get(id);
      if (error.code === "not_found" && entry) this.intake.drop(entry);
      return null;
    }
  }
}

function now() {
  return performance.now();
}

function form({ file, name }) {
  const sent = new FormData();
  sent.append("key", name);
  const modified = modifiedOf(file);
  if (modified !== null) sent.append("modified", modified);
  sent.append("file", file, name);
  return sent;
}

/** A file that was moved, or a folder that came as one, breaks off like a connection. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
