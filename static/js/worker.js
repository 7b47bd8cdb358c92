// The page's side of its service worker (sw.js), which keeps the page and conversations for when the server is away.
// Browsers have none on plain http from another machine: then everything else works as ever.

import { policy } from "./text/sanitise.js";

const SAID = "conversations"; // as in sw.js
const LATER_MS = 2000; // what a page loads late, it loads in bursts

export class Worker {
  constructor(window) {
    this.window = window;
    this.container = window.navigator.serviceWorker;
    this.ready = null;
    this.timer = null;
    this.files = new Set(["/"]); // of which this page is made
  }

  /** Once the page has loaded: nothing here is needed to show it. */
  start() {
    if (!this.container || !this.window.isSecureContext) return;
    if (this.window.document.readyState === "complete") this.#register();
    else this.window.addEventListener("load", () => this.#register(), { once: true });
  }

  /** A conversation has changed: the copy of it follows. */
  refresh(id) {
    this.#tell({ type: "changed", url: `/api/conversations/${encodeURIComponent(id)}/history?limit=50` });
  }

  /** Nothing that was said stays in this browser, also of what is being read just now. */
  async forget() {
    this.#tell({ type: "forget" });
    await this.window.caches?.delete(SAID); // not only by the worker: there may be none that is awake
  }

  /** No copies and no worker, until the page is loaded again. */
  async remove() {
    if (!this.container || !this.ready) return;
    const [registration, names] = await Promise.all([this.container.getRegistration("/"), this.window.caches.keys()]);
    await Promise.all([registration?.unregister(), ...names.map((name) => this.window.caches.delete(name))]);
  }

  async #register() {
    try {
      await this.container.register(policy.createScriptURL("/sw.js"), { scope: "/", updateViaCache: "none" });
    } catch {
      return; // forbidden by the browser, as it forbids storage in private windows
    }
    this.ready = this.container.ready;
    this.#add([...this.window.document.querySelectorAll("link[href]")].map(({ href }) => href)); // icons come unseen
    const observer = new this.window.PerformanceObserver((list) => this.#add(list.getEntries().map(({ name }) => name)));
    observer.observe({ type: "resource", buffered: true });
  }

  #add(urls) {
    const before = this.files.size;
    const own = urls.map((url) => new URL(url)).filter(({ origin }) => origin === this.window.location.origin);
    for (const { pathname } of own) if (pathname.startsWith("/static/")) this.files.add(pathname);
    if (this.files.size > before) this.#tellLater();
  }

  #tellLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#tell({ type: "loaded", urls: [...this.files] }), LATER_MS);
  }

  async #tell(message) {
    const registration = await this.ready;
    registration?.active?.postMessage(message);
  }
}
