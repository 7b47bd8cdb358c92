// What settings have of the person: their devices and tokens, another device to be signed in, and an end to all of theirs.

import { isAdmin, mayBring, secondsLeft } from "./state/account.js";
import { sayRefused } from "./state/wording.js";
import { AccountSection } from "./view/account.js";
import { YoursSection } from "./view/yours.js";

const TOKENS = "/api/tokens";
const SECOND_MS = 1000;
const LOOK_SECONDS = 3; // between two looks whether the other device has come

export class Devices {
  constructor({ words, server, account }) {
    Object.assign(this, { words, server, account });
    this.section = null; // both made when first wanted
    this.yours = null;
    this.pairing = null; // {expires, devices: their ids before, clock}
  }

  /** The sections that settings show. */
  get elements() {
    const { words } = this;
    this.section ??= new AccountSection(words, {
      onSignOut: () => this.#say(this.account.signOut()),
      onRevoke: (id) => this.revoke(id),
      onPair: () => this.pair(),
    });
    this.yours ??= new YoursSection(words, { onDelete: () => this.deleteAll(), onEnd: () => this.account.leave() });
    return [this.section.element, this.yours.element];
  }

  known() {
    const { state } = this.account;
    this.section?.draw(state, { mayPair: mayBring(state), isAdmin: isAdmin(state) });
  }

  /** Settings were opened. */
  show() {
    this.known();
    this.#look();
  }

  /** Read the list anew; what of it is a device, null where it cannot be read. */
  async #look() {
    const { state } = this.account;
    if (!state.authentication || state.user === null) return null;
    try {
      const { tokens } = await this.server.get(TOKENS);
      this.section.drawTokens(tokens, state.user);
      return tokens.filter(({ kind }) => kind === "device");
    } catch (refusal) {
      this.section.sayWrong(this.#sentence(refusal));
      return null;
    }
  }

  async revoke(id) {
    try {
      await this.server.delete(`${TOKENS}/${encodeURIComponent(id)}`);
    } catch (refusal) {
      if (refusal.code !== "not_found") return void this.section.sayWrong(this.#sentence(refusal));
    }
    await this.account.look(); // it may have been this page's own
    await this.#look();
  }

  // Another device

  async pair() {
    this.#endPairing();
    try {
      const before = (await this.#look()) ?? [];
      const { url, svg, reachable, expires_at: expires } = await this.server.post("/api/session/pairing", {});
      this.section.showPairing({ url, svg, reachable });
      this.pairing = { expires, before: new Set(before.map(({ id }) => id)), clock: setInterval(() => this.#tick(), SECOND_MS) };
      this.#tick();
    } catch (refusal) {
      this.section.sayWrong(this.#sentence(refusal));
    }
  }

  #tick() {
    const left = secondsLeft(this.pairing.expires, Date.now());
    if (!this.section.isSeen || left === 0) return this.#endPairing(left === 0 ? this.words.account.expired : "");
    this.section.drawTimeLeft(left);
    if (left % LOOK_SECONDS === 0) this.#lookForDevice(this.pairing);
  }

  async #lookForDevice(pairing) {
    const devices = (await this.#look()) ?? [];
    const come = devices.find(({ id }) => !pairing.before.has(id));
    if (come && this.pairing === pairing) this.#endPairing(this.words.account.paired);
  }

  #endPairing(sentence = "") {
    clearInterval(this.pairing?.clock);
    this.pairing = null;
    this.section.hidePairing(sentence);
  }

  // All of theirs

  async deleteAll() {
    try {
      const told = await this.server.delete("/api/me");
      await this.account.forget();
      this.yours.showDeleted(told);
    } catch (refusal) {
      this.yours.sayWrong(this.#sentence(refusal));
    }
  }

  async #say(act) {
    const refusal = await act;
    if (refusal !== null) this.section.sayWrong(this.#sentence(refusal));
  }

  #sentence(refusal) {
    if (refusal.code === "unreachable") return this.words.account.unreachable;
    return sayRefused(refusal, this.words) ?? refusal.sentence ?? this.words.failures.unknown;
  }
}
