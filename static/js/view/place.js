// The reader's place in the scrolling column: at the end it follows new text, anywhere else it stays where it is.

const NEAR_END_PX = 40;
const NEAR_START_PX = 1200; // earlier messages are asked for before the reader gets to them

export class ReadingPlace {
  constructor(scroller, list, pill) {
    this.scroller = scroller;
    this.list = list;
    this.pill = pill;
    this.follows = true;
    this.onNearStart = null;
    this.height = scroller.clientHeight;
    this.top = scroller.scrollTop;
    scroller.addEventListener("scroll", () => this.look(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  /** Run `change` and keep what is being read where it is, whatever grew or shrank above it. */
  keep(change) {
    const end = this.#end();
    const anchor = this.follows ? null : this.#read();
    const top = anchor?.getBoundingClientRect().top;
    change();
    if (this.follows) {
      this.#scrollToEnd();
    } else {
      this.#scrollBy(anchor?.isConnected ? anchor.getBoundingClientRect().top - top : 0);
      this.look();
      if (!this.follows && this.#isLonger(end)) this.pill.hidden = false;
    }
  }

  /** New text comes in the last turn, or in one more; what is built elsewhere, as one gets near it, is none. */
  #end() {
    const turn = this.list.lastElementChild;
    return { turn, height: turn?.offsetHeight ?? 0 };
  }

  #isLonger(before) {
    const { turn, height } = this.#end();
    return turn !== before.turn || height > before.height;
  }

  /** Something grew by itself, by `above` pixels above what is being read. */
  grown(above) {
    if (this.follows) this.#scrollToEnd();
    else this.#scrollBy(above);
  }

  goToEnd() {
    this.follows = true;
    this.pill.hidden = true;
    this.#scrollToEnd();
  }

  /** Bring an element to the reader, who from then on stays there. */
  goTo(element) {
    this.follows = false;
    element.scrollIntoView({ block: "center" });
    this.look();
  }

  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    // Scroll events come before resize observers: until ours has run, it is the frame that moved, not the reader.
    if (clientHeight !== this.height || clientHeight === 0) return;
    const isNearEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    // Nobody leaves the end but upwards: without that it is the text that grew since our own scrolling.
    if (isNearEnd || scrollTop < this.top) this.follows = isNearEnd;
    this.top = scrollTop;
    if (this.follows) this.pill.hidden = true;
    if (scrollTop < NEAR_START_PX) this.onNearStart?.();
  }

  /** The turn at the top edge of the view: the first whose end is below it, found by halving. */
  #read() {
    const turns = this.list.children;
    const edge = this.scroller.getBoundingClientRect().top;
    let low = 0, high = turns.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (turns[middle].getBoundingClientRect().bottom > edge) high = middle;
      else low = middle + 1;
    }
    return turns[low] ?? null;
  }

  /** The composer grew, a phone turned, a keyboard opened: the end stays in view for whoever was there. */
  #resized() {
    this.height = this.scroller.clientHeight;
    if (this.follows) this.#scrollToEnd();
  }

  #scrollBy(pixels) {
    if (pixels !== 0) this.#scrollTo(this.scroller.scrollTop + pixels);
  }

  /** Before anything was asked, that is where the welcome begins. */
  #scrollToEnd() {
    this.#scrollTo(this.list.childElementCount === 0 ? 0 : this.scroller.scrollHeight);
  }

  #scrollTo(top) {
    this.scroller.scrollTop = top;
    this.top = this.scroller.scrollTop;
  }
}
