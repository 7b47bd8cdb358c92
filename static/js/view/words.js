// The words in the page's own markup: data-word is an element's text, data-label its name for screen readers.

import { wordAt } from "./dom.js";

export function label(root, words) {
  root.documentElement.lang = words.lang;
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = wordAt(words, element.dataset.word);
  for (const element of root.querySelectorAll("[data-label]")) {
    const name = wordAt(words, element.dataset.label);
    element.setAttribute("aria-label", name);
    if (element.matches("button")) element.title = name;
  }
}
