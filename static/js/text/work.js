// Whose turn it is on the main thread: work in slices, at most 8 ms a frame for all texts together.

const FRAME_MS = 8;
const HIDDEN_MS = 100; // hidden pages have no frames

const urgent = new Set();
const idle = new Set();
let spent = 0;
let timer = null;

/** Work that goes on in slices: `step()` does a little and returns whether there is more. */
export class Work {
  #step;
  #queue;
  #rest;

  /** `rest`: how many times as long as it worked it waits, so that others have the thread. */
  constructor(step, { whenIdle = false, rest = () => 0 } = {}) {
    this.#step = step;
    this.#queue = whenIdle ? idle : urgent;
    this.#rest = rest;
    this.due = 0;
  }

  /** Begin at once if this frame has time left. */
  start() {
    if (this.#queue.has(this)) return;
    this.#queue.add(this);
    if (this.#queue === urgent && spent < FRAME_MS && performance.now() >= this.due) this.slice();
    plan();
  }

  stop() {
    this.#queue.delete(this);
  }

  slice() {
    const began = performance.now();
    const until = began + FRAME_MS - spent;
    let more = true;
    do more = this.#step();
    while (more && performance.now() < until && this.#queue.has(this));
    const took = performance.now() - began;
    spent += took;
    this.due = began + took + took * this.#rest();
    if (!more) this.#queue.delete(this);
  }
}

function tick() {
  timer = null;
  spent = 0;
  for (const work of urgent) {
    if (spent >= FRAME_MS) break;
    if (work.due <= performance.now()) work.slice();
  }
  const [next] = idle;
  if (next && spent < FRAME_MS / 2) next.slice();
  plan();
}

function plan() {
  if (timer?.isFrame) return;
  timer?.cancel();
  timer = null;
  const waiting = idle.size > 0 ? [0] : [...urgent].map(({ due }) => due - performance.now());
  if (waiting.length === 0 && spent === 0) return;
  const wait = waiting.length === 0 ? 0 : Math.min(...waiting);
  timer = wait > 20 ? later(wait) : nextFrame();
}

function later(wait) {
  const late = setTimeout(tick, wait);
  return { isFrame: false, cancel: () => clearTimeout(late) };
}

function nextFrame() {
  const frame = requestAnimationFrame(() => {
    clearTimeout(late);
    tick();
  });
  const late = setTimeout(() => {
    cancelAnimationFrame(frame);
    tick();
  }, HIDDEN_MS);
  return { isFrame: true };
}
