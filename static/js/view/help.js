// The sheet of the keyboard's shortcuts.

import { SHORTCUTS, keyNames } from "../state/shortcuts.js";
import { Dialog } from "./dialog.js";
import { element } from "./dom.js";

export class Help {
  constructor(words, { isMac }) {
    this.dialog = new Dialog(words.help.title, words, { class: "help" });
    const rows = SHORTCUTS.map(({ intent, keys }) => row(words.help.does[intent], keyNames(keys, isMac)));
    this.dialog.content.append(element("dl", { class: "rows" }, ...rows));
  }

  open() {
    this.dialog.open();
  }
}

function row(does, names) {
  const keys = names.flatMap((name) => [" ", element("kbd", {}, name)]);
  return element("div", { class: "row" }, element("dt", {}, does), element("dd", {}, ...keys));
}
