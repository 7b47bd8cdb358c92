// The reader's place in the scrolling column: at the end it follows new text, anywhere else it stays where it is.

const NEAR_END_PX = 40;

export class ReadingPlace {
  constructor(scroller, list, pill) {
    this.scroller = scroller;
    this.list = list;
    this.pill = pill;
    this.follows = true;
    this.height = scroller.clientHeight;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  /** Run `change` and keep what is being read where it is, whatever grew or shrank above it. */
  keep(change) {
    const { scroller } = this;
    const height = scroller.scrollHeight;
    const anchor = this.follows ? null : this.#read();
    const top = anchor?.getBoundingClientRect().top;
    change();
    if (this.follows) {
      this.#scrollToEnd();
    } else {
      if (anchor?.isConnected) scroller.scrollTop += anchor.getBoundingClientRect().top - top;
      this.#look();
      if (!this.follows && scroller.scrollHeight > height) this.pill.hidden = false;
    }
  }

  goToEnd() {
    this.follows = true;
    this.pill.hidden = true;
    this.#scrollToEnd();
  }

  /** The turn at the top edge of the view. Looked for from the end, where readers mostly are. */
  #read() {
    const edge = this.scroller.getBoundingClientRect().top;
    let turn = this.list.lastElementChild;
    while (turn?.previousElementSibling && turn.getBoundingClientRect().top > edge) turn = turn.previousElementSibling;
    return turn;
  }

  /** The composer grew, a phone turned, a keyboard opened: the end stays in view for whoever was there. */
  #resized() {
    this.height = this.scroller.clientHeight;
    if (this.follows) this.#scrollToEnd();
  }

  #scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    // Scroll events come before resize observers: until ours has run, it is the frame that moved, not the reader.
    if (clientHeight !== this.height) return;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.follows) this.pill.hidden = true;
  }
}
