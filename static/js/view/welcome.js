// The first visit, and every empty conversation: what this is, what answers, three questions, where documents go.

import { answering } from "../state/models.js";
import { button, element } from "./dom.js";

export class Welcome {
  constructor(root, words, { onAsk, onAttach, focusComposer }) {
    this.element = root;
    this.words = words;
    this.model = element("p", { class: "welcome-model" });
    const ask = (example) => () => (onAsk(example), focusComposer());
    const examples = words.examples.map((example) => element("li", {}, element("button", { type: "button", onclick: ask(example) }, example)));
    root.append(
      element("p", { class: "lead" }, words.welcome),
      this.model,
      element("p", { class: "muted" }, words.tryOne),
      element("ul", { id: "examples", class: "examples" }, ...examples),
      element("p", { class: "muted welcome-drop brings" }, words.dropInvitation, " ", button(words.chooseFiles, { class: "quiet inline", onclick: () => onAttach() })),
    );
  }

  drawModel(models) {
    const model = answering(models);
    this.model.textContent = model === null ? "" : this.words.modelAnswers(model.name, model.file_bytes);
  }
}
