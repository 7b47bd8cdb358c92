// What the drawer was opened by: it stays where the reader sees it, is marked while its sentence is shown, and gets the focus back.

export class Opener {
  constructor(document, root) {
    this.document = document;
    this.root = root;
    this.reading = document.getElementById("reading");
    this.pressed = null; // not every browser focuses the button that is clicked
    this.element = null;
    this.answer = null;
    this.index = null;
    this.redrawn = new MutationObserver(() => this.#mark());
    document.addEventListener("click", ({ target }) => (this.pressed = target.closest?.("button, a, [data-sentence]") ?? null), { capture: true });
  }

  take() {
    this.#unmark();
    const active = this.document.activeElement;
    const found = this.pressed?.isConnected ? this.pressed : active;
    if (!this.root.contains(found)) this.element = found;
    this.answer = this.element?.closest(".answer") ?? null;
    if (this.answer) this.redrawn.observe(this.answer, { childList: true, subtree: true });
  }

  /** Mark the button of this sentence; null marks none. */
  mark(index) {
    this.index = index;
    this.#mark();
  }

  /** Run `change`, which gives the room another width, and keep the button where it is. */
  hold(change) {
    const kept = this.#button() ?? this.element;
    const inside = kept?.isConnected && this.reading.contains(kept);
    const top = inside && kept.getBoundingClientRect().top;
    change();
    if (!inside) return;
    // Observers are told in the order they were made: those that keep the reader's place among turns have had their say.
    const settled = new ResizeObserver(() => {
      settled.disconnect();
      if (kept.isConnected) this.reading.scrollTop += kept.getBoundingClientRect().top - top;
    });
    settled.observe(this.reading);
  }

  leave(hadFocus) {
    const back = this.#button() ?? this.element;
    this.#unmark();
    this.element = this.answer = this.index = this.pressed = null;
    if (hadFocus) (back?.isConnected ? back : this.reading).focus({ preventScroll: back?.isConnected ?? false });
  }

  #button() {
    return this.index === null ? null : (this.answer?.querySelector(`button.citation[data-sentence="${this.index}"]`) ?? null);
  }

  #mark() {
    const now = this.#button();
    for (const other of this.answer?.querySelectorAll("[aria-current]") ?? []) if (other !== now) other.removeAttribute("aria-current");
    now?.setAttribute("aria-current", "true");
  }

  #unmark() {
    this.index = null;
    this.#mark();
    this.redrawn.disconnect();
  }
}
