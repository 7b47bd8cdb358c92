// Asks for a token, over everything else: what is behind it is somebody's, and waits.

import { element } from "./dom.js";

export class SignInPanel {
  /** `onSignIn(text)`: this was put into the field. */
  constructor(document, words, { onSignIn }) {
    this.document = document;
    this.words = words.signIn;
    this.kept = element("p", { class: "sign-in-kept", hidden: true }, this.words.kept);
    this.field = element("input", { type: "password", id: "token", class: "field", required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "9000", "aria-describedby": "token-wrong token-from", oninput: () => this.sayWrong("") });
    this.wrong = element("p", { id: "token-wrong", class: "wrong", role: "alert" });
    this.act = element("button", { type: "submit", class: "accent" }, this.words.act);
    const form = element("form", { class: "sign-in-form" }, element("label", { for: "token" }, this.words.token), this.field, this.wrong, this.act);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.field.value.trim() !== "") onSignIn(this.field.value);
    });
    this.element = element("dialog", { id: "sign-in", class: "sign-in", "aria-labelledby": "sign-in-title", closedby: "none" }, this.#frame(form));
    this.element.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(this.element);
  }

  #frame(form) {
    const { words } = this;
    return element(
      "div",
      { class: "sign-in-frame" },
      element("p", { class: "sign-in-name" }, element("img", { src: "/static/icon.svg", alt: "", width: "28", height: "28" }), "NeuralBridge"),
      element("h2", { id: "sign-in-title" }, words.title),
      element("p", { class: "sign-in-lead" }, words.lead),
      this.kept,
      form,
      element(
        "section",
        { id: "token-from", class: "sign-in-ways" },
        element("h3", {}, words.from),
        element("ul", {}, element("li", {}, words.fromTerminal), element("li", {}, ...aroundCode(words.fromCommand)), element("li", {}, words.fromDevice)),
      ),
    );
  }

  get isOpen() {
    return this.element.open;
  }

  /** `wasIn`: somebody was signed in before, and what they were doing is behind the panel. */
  open({ wasIn }) {
    if (this.isOpen) return;
    this.kept.hidden = !wasIn;
    this.back = this.document.activeElement;
    this.element.showModal();
    this.field.focus();
  }

  close() {
    this.field.value = "";
    this.sayWrong("");
    this.element.close();
    if (this.back?.isConnected) this.back.focus({ preventScroll: true });
  }

  wait(is) {
    this.act.disabled = is;
  }

  /** Beside the field, and the field is marked; empty where nothing is wrong. */
  sayWrong(sentence) {
    if (this.wrong.textContent === sentence) return;
    this.wrong.textContent = sentence;
    this.field.setAttribute("aria-invalid", String(sentence !== ""));
    if (sentence !== "") this.field.select();
  }
}

/** The words between backticks are something to type. */
function aroundCode(sentence) {
  return sentence.split("`").map((part, at) => (at % 2 === 1 ? element("code", {}, part) : part));
}
