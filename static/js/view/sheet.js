// The sidebar where there is no room beside the conversation: a sheet over it, opened by a button. What is under it waits.

const NARROW = "(max-width: 900px)"; // as in layout.css
const OPENERS = "#to-side, [data-opens-side]"; // one in each room
const UNDER = ".room, .evidence, .skip";

export class Sheet {
  constructor(document) {
    this.document = document;
    this.side = document.getElementById("side");
    this.veil = document.getElementById("veil");
    this.narrow = document.defaultView.matchMedia(NARROW);
    this.side.tabIndex = -1; // a click between things in it leaves the keyboard in it
    document.addEventListener("click", ({ target }) => target.closest(OPENERS) && this.open());
    this.veil.addEventListener("click", () => this.close());
    this.side.addEventListener("click", (event) => this.#choose(event), { capture: true }); // before what was pressed wants the focus
    this.side.addEventListener("keydown", (event) => this.#press(event));
    this.narrow.addEventListener("change", () => this.close());
  }

  get isOpen() {
    return this.side.hasAttribute("data-open");
  }

  /** Does nothing where the sidebar has its own place. */
  open(focused = this.side.querySelector("button")) {
    if (!this.narrow.matches || this.isOpen) return;
    this.#set(true);
    focused.focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    const inside = this.side.contains(this.document.activeElement);
    this.#set(false);
    if (inside) this.#openers.find((each) => each.checkVisibility())?.focus();
  }

  get #openers() {
    return [...this.document.querySelectorAll(OPENERS)];
  }

  #set(open) {
    this.side.toggleAttribute("data-open", open);
    this.veil.hidden = !open;
    for (const opener of this.#openers) opener.setAttribute("aria-expanded", String(open));
    for (const element of this.document.querySelectorAll(UNDER)) element.inert = open;
  }

  /** What was chosen is under it. */
  #choose({ target }) {
    const chosen = target.closest("a[href^='#'], #new-conversation, .side-foot .side-link");
    if (chosen) this.close();
  }

  #press(event) {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || !this.isOpen) return;
    if (this.side.querySelector(":popover-open")) return; // it means the menu
    event.preventDefault(); // it would stop an answer
    this.close();
  }
}
