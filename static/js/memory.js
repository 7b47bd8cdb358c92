// What the page remembers between visits. Where the browser forbids storage it is kept for this tab only.

const PREFIX = "neuralbridge.";

export class Memory {
  /** `source` is called, not passed: with storage blocked, touching window.localStorage already throws. */
  constructor(source) {
    this.own = new Map();
    try {
      this.storage = source();
      this.storage.getItem(PREFIX);
    } catch {
      this.storage = null;
    }
  }

  get(name) {
    return this.own.get(name) ?? this.storage?.getItem(PREFIX + name) ?? null;
  }

  set(name, value) {
    if (this.own.get(name) === value) return; // called with every token; writing storage is slow
    this.own.set(name, value);
    try {
      this.storage?.setItem(PREFIX + name, value);
    } catch {
      // Full or forbidden by now: this tab still knows.
    }
  }
}

/** Not crypto.randomUUID: that one is missing on pages served over plain http from another machine. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
