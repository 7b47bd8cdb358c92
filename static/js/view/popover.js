// Something that opens at a button and closes by Esc, by a click elsewhere, or by its own means.

const GAP_PX = 4;
const EDGE_PX = 8;

/** `content` opens below `opener` (above, where there is more room). Both are told apart by the browser's own popover. */
export class Popover {
  constructor(opener, content, { onOpen = () => {} } = {}) {
    this.opener = opener;
    this.content = content;
    content.popover = "auto";
    content.classList.add("popover");
    opener.setAttribute("aria-expanded", "false");
    opener.popoverTargetElement = content; // a click on the opener closes what is open
    content.addEventListener("beforetoggle", ({ newState }) => newState === "open" && onOpen());
    content.addEventListener("toggle", ({ newState }) => {
      opener.setAttribute("aria-expanded", String(newState === "open"));
      if (newState === "open") this.place();
    });
    opener.after(content);
  }

  close() {
    this.content.hidePopover();
  }

  place() {
    const from = this.opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.content;
    const left = Math.min(Math.max(EDGE_PX, from.left), innerWidth - width - EDGE_PX);
    const below = from.bottom + GAP_PX;
    const fits = below + height <= innerHeight - EDGE_PX;
    const top = fits ? below : Math.max(EDGE_PX, from.top - GAP_PX - height);
    Object.assign(this.content.style, { left: `${Math.max(EDGE_PX, left)}px`, top: `${top}px` });
  }
}
