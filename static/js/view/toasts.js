// Short messages at the bottom of the page, above the composer, perhaps with one thing to do about them ("Undo").

import { button, element } from "./dom.js";

const SHOWN_MS = 8000;

export class Toasts {
  constructor(region, words) {
    this.region = region;
    this.words = words;
    region.setAttribute("role", "status");
    const foot = region.ownerDocument.querySelector("#chat .foot");
    if (foot) new ResizeObserver(() => region.style.setProperty("--foot", `${foot.offsetHeight}px`)).observe(foot);
  }

  /** Show `text` for a while. `action` is {label, act}; `onGone` is called when it went without that. Returns a closer. */
  say(text, { action = null, onGone = () => {}, ms = SHOWN_MS } = {}) {
    let open = true;
    const end = (then) => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      toast.remove();
      then();
    };
    const toast = element(
      "div",
      { class: "toast" },
      element("span", { dir: "auto" }, text),
      action && button(action.label, { class: "quiet", onclick: () => end(action.act) }),
      button(this.words.dismiss, { icon: "x", bare: true, onclick: () => end(onGone) }),
    );
    let timer = setTimeout(() => end(onGone), ms);
    const wait = () => clearTimeout(timer); // whoever is at it needs the time
    const goOn = () => (timer = setTimeout(() => end(onGone), ms));
    toast.addEventListener("pointerenter", wait);
    toast.addEventListener("pointerleave", goOn);
    toast.addEventListener("focusin", wait);
    toast.addEventListener("focusout", goOn);
    this.region.append(toast);
    return () => end(onGone);
  }
}
