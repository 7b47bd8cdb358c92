// In settings: who is signed in here, their devices and tokens, and a picture for another device's camera.

import { sayClock, tokenRows } from "../state/account.js";
import { copyText } from "../text/copy.js";
import { button, element, icon } from "./dom.js";

const ICONS = { device: "smartphone", token: "key-round" };

export class AccountSection {
  /** Intents: onSignOut(), onRevoke(id), onPair(). */
  constructor(words, intents) {
    this.words = words;
    this.intents = intents;
    const said = words.account;
    this.who = element("p", { class: "account-who", dir: "auto" });
    this.role = element("p", { class: "small" });
    this.wrong = element("p", { class: "wrong", role: "alert" });
    this.listed = element("h4", {}, said.tokens);
    this.list = element("ul", { class: "tokens" });
    this.element = element(
      "section",
      { class: "settings-section account", id: "account", hidden: true },
      element("h3", {}, said.title),
      element("div", { class: "account-head" }, element("div", {}, this.who, this.role), button(said.signOut, { icon: "log-out", id: "sign-out", class: "plain", onclick: () => intents.onSignOut() })),
      this.wrong,
      this.#pairing(),
      element("div", { class: "part" }, this.listed, this.list),
    );
  }

  get isSeen() {
    return this.element.checkVisibility();
  }

  draw({ authentication, user, role }, { mayPair, isAdmin }) {
    const said = this.words.account;
    this.element.hidden = !authentication || user === null;
    if (this.element.hidden) return;
    this.who.textContent = user;
    this.role.textContent = said.roles[role];
    this.pairingPart.hidden = !mayPair;
    this.listed.textContent = isAdmin ? said.allTokens : said.tokens;
    this.sayWrong("");
  }

  sayWrong(sentence) {
    this.wrong.textContent = sentence;
  }

  // Devices and tokens

  drawTokens(tokens, me) {
    const rows = tokenRows(tokens, me, this.words);
    const shown = JSON.stringify(rows);
    if (shown === this.shown) return; // a question that is open stays open
    this.shown = shown;
    const kinds = new Map(tokens.map(({ id, kind }) => [id, kind]));
    this.list.replaceChildren(...rows.map((row) => this.#row(row, kinds.get(row.id))));
  }

  #row({ id, name, told }, kind) {
    const said = this.words.account;
    const revoke = button(said.revoke, { class: "quiet", "aria-label": said.revokeIt(name), onclick: () => ask(true) });
    const sure = element(
      "div",
      { class: "sure", hidden: true },
      element("p", { id: `revoke-${id}` }, said.revokeQuestion),
      button(said.revoke, { class: "plain danger", "aria-describedby": `revoke-${id}`, onclick: () => this.intents.onRevoke(id) }),
      button(this.words.cancel, { class: "quiet", onclick: () => (ask(false), revoke.focus()) }),
    );
    const ask = (asking) => {
      revoke.hidden = asking;
      sure.hidden = !asking;
      if (asking) sure.querySelector("button").focus();
    };
    return element(
      "li",
      { class: "token", data: { id } },
      icon(ICONS[kind] ?? "key-round"),
      element("div", { class: "token-words" }, element("span", { class: "token-name", dir: "auto" }, name), element("span", { class: "small", dir: "auto" }, told)),
      revoke,
      sure,
    );
  }

  // Another device

  #pairing() {
    const { words, intents } = this;
    const said = words.account;
    this.pair = button(said.pair, { icon: "smartphone", id: "pair", class: "plain", onclick: () => intents.onPair() });
    this.told = element("p", { class: "small", role: "status" });
    this.picture = element("img", { class: "pairing-code", alt: said.picture, width: "200", height: "200" });
    this.url = element("input", { type: "text", id: "pairing-url", readonly: true, "aria-label": said.address, onfocus: () => this.url.select() });
    this.left = element("p", { class: "small pairing-left" });
    this.onlyHere = element("p", { class: "wrong pairing-only-here", hidden: true }, said.onlyHere);
    const copy = button(said.copy, { icon: "copy", onclick: () => this.#copy() });
    this.code = element(
      "div",
      { class: "pairing", tabindex: "-1", hidden: true },
      this.picture,
      element("div", { class: "pairing-words" }, element("p", {}, said.scan), element("div", { class: "pairing-address" }, this.url, copy), this.onlyHere, this.left),
    );
    this.pairingPart = element("div", { class: "part" }, element("h4", {}, said.otherDevice), element("p", { class: "small" }, said.pairHint), this.pair, this.code, this.told);
    return this.pairingPart;
  }

  showPairing({ url, svg, reachable }) {
    this.picture.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    this.url.value = url;
    this.onlyHere.hidden = reachable;
    this.code.hidden = false;
    this.pair.hidden = true;
    this.told.textContent = "";
    this.code.focus();
  }

  drawTimeLeft(seconds) {
    this.left.textContent = this.words.account.timeLeft(sayClock(seconds));
  }

  /** The code is good no longer, or nobody looks. */
  hidePairing(sentence) {
    const inside = this.code.contains(this.element.ownerDocument.activeElement);
    this.picture.removeAttribute("src");
    this.url.value = "";
    this.code.hidden = true;
    this.pair.hidden = false;
    this.told.textContent = sentence;
    if (inside) this.pair.focus();
  }

  async #copy() {
    if (await copyText(this.url.value)) this.told.textContent = this.words.copied;
  }
}
