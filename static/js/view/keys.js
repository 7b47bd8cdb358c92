// Listens for the shortcuts of state/shortcuts.js, wherever on the page they are pressed.

import { intentOf } from "../state/shortcuts.js";

const TYPED_INTO = "input, textarea, select, [contenteditable]";

/** `acts` has what is to be done, by intent. */
export function followKeys(document, acts) {
  const mac = isMac(document.defaultView.navigator);
  document.addEventListener("keydown", (event) => {
    const intent = intentOf(event, placeOf(event.target, document), mac);
    if (intent === null) return;
    event.preventDefault();
    acts[intent]();
  });
}

export function isMac({ platform }) {
  return /^(Mac|iPhone|iPad)/.test(platform);
}

function placeOf(target, document) {
  if (document.querySelector("dialog[open]")) return "dialog";
  if (!target.matches?.(TYPED_INTO)) return "page";
  return target.id === "query" && target.value === "" ? "composer" : "field";
}
