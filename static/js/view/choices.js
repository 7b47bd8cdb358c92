// What answers, and from what: the model with its parameters, and whether documents are asked. In the bar above a conversation.

import { PARAMETERS, RETRIEVAL, answering, isWithin } from "../state/models.js";
import { button, element, icon } from "./dom.js";
import { Popover } from "./popover.js";

export class Choices {
  constructor(root, words, { onModels, onChoice }) {
    this.words = words;
    this.onChoice = onChoice;
    this.modelName = element("span", { class: "choice-name" });
    this.opener = element("button", { type: "button", id: "model", class: "quiet with-icon choice", "aria-haspopup": "dialog" }, icon("cpu"), this.modelName, icon("chevron-down"));
    this.list = element("div", { class: "options", role: "radiogroup", "aria-label": words.model });
    this.fields = element("div", { class: "parameters" });
    const panel = element("div", { class: "choices-panel", role: "dialog", "aria-label": words.modelAndParameters }, this.list, element("h3", {}, words.parameters), this.fields);
    this.retrieval = element("select", { id: "retrieval", class: "choice", "aria-label": words.retrieval.label, onchange: () => this.#chooseRetrieval() });
    this.retrieval.append(...RETRIEVAL.map((way) => element("option", { value: way }, words.retrieval[way])));
    root.append(this.retrieval, this.opener);
    this.popover = new Popover(this.opener, panel, { onOpen: onModels });
    this.drawn = null;
  }

  draw(models) {
    const { words } = this;
    const model = answering(models);
    this.modelName.textContent = models.choice.model ?? model?.name ?? words.model;
    this.opener.setAttribute("aria-label", words.modelNow(this.modelName.textContent));
    this.retrieval.value = models.choice.retrieval ?? "auto";
    const shown = JSON.stringify(models);
    if (shown === this.drawn) return; // nobody loses the place in a list that has not changed
    this.drawn = shown;
    this.#drawModels(models);
    this.#drawParameters(models.choice);
    if (this.popover?.content.matches(":popover-open")) this.popover.place();
  }

  #drawModels({ models, names, choice, away }) {
    const { words } = this;
    const options = models.map((model) => {
      const state = model.failure ?? (model.loaded ? words.loaded : model.loading ? words.loading : words.loadedWhenAsked);
      const told = [words.size(model.file_bytes), words.local, state].filter(Boolean).join(" \u00b7 ");
      return this.#option(model.name, told, choice.model === model.name || (choice.model === null && model.default), model.default ? null : model.name);
    });
    const others = names.filter(({ name }) => !models.some((model) => model.name === name));
    this.list.replaceChildren(
      ...options,
      ...(others.length > 0 ? [element("h3", {}, words.otherNames)] : []),
      ...others.map(({ name, model }) => this.#option(name, words.leadsTo(model), choice.model === name, name)),
      ...(away ? [element("p", { class: "small" }, words.unreachable)] : []),
    );
  }

  #option(name, told, checked, value) {
    return element(
      "button",
      { type: "button", class: "option", role: "radio", "aria-checked": String(checked), onclick: () => (this.onChoice({ model: value }), this.popover.close()) },
      element("span", { class: "option-name" }, name),
      element("span", { class: "small" }, told),
      checked && icon("check"),
    );
  }

  #drawParameters({ params }) {
    const { words } = this;
    const rows = Object.entries(PARAMETERS).map(([name, { min, max, step }]) => {
      const id = `parameter-${name}`;
      const hint = element("span", { id: `${id}-hint`, class: "small" }, words.parameter[name].hint);
      const field = element("input", { id, type: "number", min, max, step, value: params[name] ?? "", placeholder: words.modelsOwn, "aria-describedby": hint.id, inputmode: "decimal" });
      field.addEventListener("change", () => this.#chooseParameter(name, field, hint));
      return element("div", { class: "parameter" }, element("label", { for: id }, words.parameter[name].name), field, hint);
    });
    const any = Object.keys(params).length > 0;
    this.fields.replaceChildren(...rows, ...(any ? [button(words.resetParameters, { icon: "rotate-ccw", onclick: () => this.onChoice({ params: {} }) })] : []));
    this.params = params;
  }

  #chooseParameter(name, field, hint) {
    const { [name]: _, ...others } = this.params;
    const value = field.value === "" ? null : Number(field.value);
    const wrong = value !== null && !isWithin(name, value);
    field.setAttribute("aria-invalid", String(wrong));
    hint.textContent = wrong ? this.words.outOfRange(PARAMETERS[name].min, PARAMETERS[name].max) : this.words.parameter[name].hint;
    if (!wrong) this.onChoice({ params: value === null ? others : { ...others, [name]: value } });
  }

  #chooseRetrieval() {
    this.onChoice({ retrieval: this.retrieval.value });
  }
}
