// What is on its way into the library: files to be sent, and the server's jobs. It changes in place, since there may be many thousands.
// Pure otherwise: no network, and time is an argument, in milliseconds.

import { Pace } from "./pace.js";

const STATES = ["waiting", "sending", "queued", "reading", "embedding", "done", "failed"];
const SENDING_SHARE = 0.4; // of the bar that shows how far a file is
const SMALLEST_WORK = 10_000; // even an empty file takes its time
const UNDER_WAY = ["sending", "embedding", "reading", "queued", "waiting"];
const LISTED = ["sending", "embedding", "reading", "failed", "queued", "waiting"]; // in this order, where there are many
const FEW = 10; // that many are all listed, in the order they came
const FILE_MS = 5_000;
const ALL_MS = 30_000;
const SURE_MS = 3_000;

export class Intake {
  constructor() {
    this.clear();
    this.held = { until: 0, why: null };
  }

  /** Forget those that have ended. */
  clear() {
    const kept = [...(this.entries?.values() ?? [])].filter(isUnderWay);
    this.entries = new Map();
    this.byJob = new Map();
    this.in = Object.fromEntries(STATES.map((state) => [state, new Set()]));
    this.work = { done: 0, total: 0, sent: 0, worked: 0 };
    this.paces = { sent: new Pace(ALL_MS), worked: new Pace(ALL_MS) }; // of the way here, and of the server's own work
    this.olds = 0;
    this.skipped = 0;
    for (const entry of kept) this.#put(entry);
  }

  // Files that are sent

  /** `files` are {file, path}; those of before that have ended make place for them. */
  add(files, skipped, at) {
    if (!this.isBusy) this.clear();
    this.skipped += skipped;
    for (const { file, path } of files) {
      this.#put({ ...blank(), id: `${(this.last = (this.last ?? 0) + 1)}`, name: path, size: file.size, file });
    }
    this.#measure(at);
  }

  /** Which file is to be sent now, if any. */
  next(at) {
    if (at < this.held.until) return null;
    const id = this.in.waiting.values().next().value;
    return id === undefined ? null : this.entries.get(id);
  }

  sending(entry, at) {
    entry.pace = new Pace(FILE_MS);
    entry.pace.tell(at, 0);
    this.#move(entry, { state: "sending", sent: 0 }, at);
  }

  sent(entry, bytes, at) {
    const sent = Math.min(bytes, entry.size);
    entry.pace.tell(at, sent);
    this.#move(entry, { sent }, at);
  }

  /** The server has the file, and a job for it. */
  accepted(entry, job, at) {
    const early = this.byJob.get(job); // a look at the jobs was faster than the answer
    if (early && early !== entry) this.#take(early);
    this.byJob.set(job, entry);
    this.#move(entry, { ...(early ? told(early) : { state: "queued" }), job, file: null }, at);
  }

  refused(entry, refusal, at) {
    this.#move(entry, { state: "failed", refusal, file: null }, at);
  }

  /** Not now: the server is busy or away. It is the next again. */
  postponed(entry, { until, why }, at) {
    this.held = { until, why };
    this.#move(entry, { state: "waiting", sent: 0 }, at);
    this.in.waiting = new Set([entry.id, ...this.in.waiting]);
  }

  released() {
    this.held = { until: 0, why: null };
  }

  /** Nobody wants it any more, or the server knows nothing of it. */
  drop(entry) {
    if (this.entries.get(entry.id) === entry) this.#take(entry);
  }

  // The server's jobs

  /** What the server tells of its jobs, the newest first. Those that ended before this page knew of them matter only if they failed after `since`. */
  merge(jobs, at, since = "") {
    for (const job of [...jobs].reverse()) {
      const entry = this.byJob.get(job.processing_job_id);
      if (entry) this.#move(entry, fromJob(job), at);
      else if (job.state !== "done" && (job.state !== "failed" || job.updated_at > since)) this.#adopt(job);
    }
    this.#measure(at);
  }

  #adopt(job) {
    const entry = { ...blank(), ...fromJob(job), id: job.processing_job_id, name: job.source_document, job: job.processing_job_id };
    entry.old = entry.state === "failed";
    this.#put(entry);
  }

  /** Some of those that the server works on and that are not among `jobs`: its list has an end. */
  missing(jobs, most = 5) {
    const listed = new Set(jobs.map((job) => job.processing_job_id));
    const found = [];
    for (const state of ["embedding", "reading", "queued"]) {
      for (const id of this.in[state]) {
        const { job } = this.entries.get(id);
        if (!listed.has(job)) found.push(job);
        if (found.length >= most) return found;
      }
    }
    return found;
  }

  // What there is to be told

  get isBusy() {
    return UNDER_WAY.some((state) => this.in[state].size > 0);
  }

  /** Something that the server works on. */
  get isWorkedOn() {
    return ["queued", "reading", "embedding"].some((state) => this.in[state].size > 0);
  }

  get isSending() {
    return this.in.waiting.size + this.in.sending.size > 0;
  }

  summary(at) {
    const failed = this.in.failed.size - this.olds;
    const total = this.entries.size - this.olds;
    const secondsLeft = this.isBusy && at >= this.held.until ? this.#left(at) : null;
    return { total, ended: this.in.done.size + failed, ready: this.in.done.size, failed, skipped: this.skipped, secondsLeft, held: at < this.held.until ? this.held.why : null };
  }

  /** Files are sent while others are worked on: what takes longer tells. */
  #left(at) {
    const { sent, worked } = this.paces;
    const sending = this.isSending ? sent.left(at, this.work.total, SURE_MS) : 0;
    const working = worked.left(at, this.work.total, SURE_MS);
    return sending === null || working === null ? null : Math.max(sending, working);
  }

  /** Those to be listed, `most` at the most, and how many there are beside. */
  listed(most = 50) {
    if (this.entries.size <= FEW) return { entries: [...this.entries.values()], more: 0 };
    const entries = [];
    let count = 0;
    for (const state of LISTED) {
      count += this.in[state].size;
      for (const id of this.in[state]) {
        if (entries.length >= most) break;
        entries.push(this.entries.get(id));
      }
    }
    return { entries, more: count - entries.length };
  }

  /** Those refused in this batch, `most` at the most. */
  refusals(most = 3) {
    const found = [];
    for (const id of this.in.failed) {
      const entry = this.entries.get(id);
      if (!entry.old) found.push(entry);
      if (found.length >= most) break;
    }
    return found;
  }

  /** When the newest of the failed ended, by the server's clock. */
  get lastFailure() {
    return [...this.in.failed].map((id) => this.entries.get(id).updated ?? "").reduce((a, b) => (a > b ? a : b), "");
  }

  // How it is kept

  #put(entry) {
    this.entries.set(entry.id, entry);
    this.in[entry.state].add(entry.id);
    if (entry.job) this.byJob.set(entry.job, entry);
    if (entry.old) this.olds += 1;
    this.work.total += weight(entry);
    this.#count(entry, 1);
  }

  #take(entry) {
    this.entries.delete(entry.id);
    this.in[entry.state].delete(entry.id);
    if (entry.job) this.byJob.delete(entry.job);
    if (entry.old) this.olds -= 1;
    this.work.total -= weight(entry);
    this.#count(entry, -1);
  }

  #move(entry, changes, at) {
    if (this.entries.get(entry.id) !== entry) return; // given up meanwhile
    this.#count(entry, -1);
    this.in[entry.state].delete(entry.id);
    Object.assign(entry, changes);
    this.in[entry.state].add(entry.id);
    this.#count(entry, 1);
    this.#measure(at);
  }

  #count(entry, sign) {
    const { sent, worked } = partsOf(entry);
    const whole = sign * weight(entry);
    this.work.sent += whole * sent;
    this.work.worked += whole * worked;
    this.work.done += whole * (sent * SENDING_SHARE + worked * (1 - SENDING_SHARE));
  }

  #measure(at) {
    for (const [name, pace] of Object.entries(this.paces)) pace.tell(at, this.work[name]);
  }
}

export function isUnderWay({ state }) {
  return UNDER_WAY.includes(state);
}

/** Seconds until a file is sent, and bytes a second; null as long as that is a guess. */
export function speedOf(entry, at) {
  return { rate: entry.pace?.rate(at) ?? null, secondsLeft: entry.pace?.left(at, entry.size) ?? null };
}

function blank() {
  return { state: "waiting", size: 0, sent: 0, progress: 0, passages: 0, job: null, document: null, refusal: null, tries: 0, old: false, file: null };
}

function fromJob(job) {
  const refusal = job.state === "failed" ? { code: job.code, reason: job.reason ?? null, sentence: job.error } : null;
  return { state: job.state, progress: job.progress, passages: job.passages, document: job.document_id, refusal, updated: job.updated_at };
}

function told({ state, progress, passages, document, refusal, updated }) {
  return { state, progress, passages, document, refusal, updated };
}

function weight({ size }) {
  return Math.max(size, SMALLEST_WORK);
}

/** How much of a file is sent, and how much of it worked on, from 0 to 1. */
function partsOf({ state, size, sent, progress }) {
  switch (state) {
    case "waiting":
      return { sent: 0, worked: 0 };
    case "sending":
      return { sent: size ? sent / size : 0, worked: 0 };
    case "embedding":
      return { sent: 1, worked: progress };
    case "done":
    case "failed":
      return { sent: 1, worked: 1 };
    default:
      return { sent: 1, worked: 0 };
  }
}
