// What the address after the # says: #/c/<conversation>, #/ for a new one, or #/documents, perhaps with one of them. The code of
// #/pair/<code> leaves it at once.

import { codeIn } from "./state/account.js";

export class Router {
  /** `onConversation(id | null)`, `onDocuments(id | null)`, `onCode(code)`. */
  constructor(window, { onConversation, onDocuments, onCode }) {
    Object.assign(this, { window, onConversation, onDocuments, onCode });
  }

  /** `beginning()` names the conversation to show where the address says nothing. */
  start(beginning) {
    const id = beginning();
    if (this.window.location.hash === "" && id !== null) this.stand(`/c/${encodeURIComponent(id)}`);
    this.window.addEventListener("hashchange", ({ oldURL }) => this.#take(oldURL) || this.#follow());
    this.#follow();
  }

  /** What is shown has this address now. */
  stand(path) {
    this.window.history.replaceState(null, "", `#${path}`);
  }

  go(path) {
    if (this.window.location.hash === `#${path}`) this.#follow();
    else this.window.location.hash = path;
  }

  /** A code that was opened over a page that is open already: what it shows, it goes on showing. */
  #take(oldURL) {
    const code = takeCode(this.window, new URL(oldURL).hash);
    if (code !== null) this.onCode(code);
    return code !== null;
  }

  #follow() {
    const [, room, id] = this.window.location.hash.split("/");
    if (room === "documents") this.onDocuments(id ? decoded(id) : null);
    else this.onConversation(room === "c" && id ? decoded(id) : null);
  }
}

/** The code in the address, which leaves it whatever comes of it; null where there is none. `hash` takes its place. */
export function takeCode({ location, history }, hash = "") {
  const code = codeIn(location.hash);
  if (code !== null) history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
  return code;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a half-typed address
  }
}
