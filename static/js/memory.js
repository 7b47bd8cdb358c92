// What the page remembers between visits. Where the browser forbids storage it is kept for this tab only.

const PREFIX = "neuralbridge.";
const OF_A_TAB = new Set(["draft"]); // two tabs must not write over each other's; the browser's is what a new tab begins with

export class Memory {
  /** Sources are called, not passed: with storage blocked, touching window.localStorage already throws. */
  constructor(source, sourceOfTab = () => null) {
    this.own = new Map();
    this.storage = opened(source);
    this.tab = opened(sourceOfTab);
  }

  /** Whether anything outlasts this tab. */
  get lasts() {
    return this.storage !== null;
  }

  get(name) {
    const ofTab = OF_A_TAB.has(name) ? this.tab?.getItem(PREFIX + name) : null;
    return this.own.get(name) ?? ofTab ?? this.storage?.getItem(PREFIX + name) ?? null;
  }

  set(name, value) {
    if (this.own.get(name) === value) return; // called with every token; writing storage is slow
    this.own.set(name, value);
    for (const storage of OF_A_TAB.has(name) ? [this.tab, this.storage] : [this.storage]) write(storage, PREFIX + name, value);
  }

  /** `tell(value)` hears what another tab makes of it; null once that was forgotten. */
  follow(window, name, tell) {
    window.addEventListener("storage", ({ key, newValue, storageArea }) => {
      if (storageArea !== this.storage || (key !== null && key !== PREFIX + name)) return;
      this.own.delete(name);
      tell(newValue);
    });
  }

  /**
   * Forget everything but what is named in `keeping`, and know `then`; what is set from then on, while the page is being left,
   * is not kept.
   */
  clear({ keeping = [], then = {} } = {}) {
    this.own.clear();
    for (const storage of [this.tab, this.storage].filter(Boolean)) {
      const ours = Object.keys(storage).filter((key) => key.startsWith(PREFIX) && !keeping.includes(key.slice(PREFIX.length)));
      for (const key of ours) storage.removeItem(key);
    }
    for (const [name, value] of Object.entries(then)) write(this.storage, PREFIX + name, value);
    this.storage = this.tab = null;
  }
}

function opened(source) {
  try {
    const storage = source();
    storage?.getItem(PREFIX);
    return storage;
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    storage?.setItem(key, value);
  } catch {
    // Full or forbidden by now: this tab still knows.
  }
}

/** Not crypto.randomUUID: that one is missing on pages served over plain http from another machine. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
