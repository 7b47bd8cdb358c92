// Who uses this page: asks for a token where there has to be one, and keeps what is one person's from the next.

import { credentialOf, hasToSignIn, isAdmin, mayBring, sayNotSignedIn, startAccount, withSession } from "./state/account.js";
import { SignInPanel } from "./view/sign_in.js";

const SESSION = "/api/session";
const OF_THE_DEVICE = ["theme", "language"]; // whoever sits at it

export class Account {
  /**
   * `onSignedIn()`; `onSignedOut(rest)`: nobody is, and with `rest` nothing is to be tried until somebody is again; `onKnown()`:
   * it is known, or known anew, who this is and what they may do.
   */
  constructor({ document, words, server, memory, toasts, worker, onSignedIn, onSignedOut, onKnown }) {
    Object.assign(this, { document, words, server, memory, toasts, worker, onSignedIn, onSignedOut, onKnown });
    this.window = document.defaultView;
    this.state = startAccount();
    this.panel = null; // made when first wanted
    this.looking = null;
    this.signedIn = 0; // how often: what was asked before that is answered too late
    const used = memory.get("session") || memory.get("draft"); // before there were users
    this.before = memory.get("user") ?? (used ? "local" : null);
  }

  get mayBring() {
    return mayBring(this.state);
  }

  get isAdmin() {
    return isAdmin(this.state);
  }

  /** With the code that stood in the address, where there was one. */
  async start(code) {
    this.memory.follow(this.window, "user", (user) => this.#followTab(user));
    await this.look();
    if (code !== null) await this.pair(code);
  }

  /** Ask the server who this is. While it is away, what was known holds. */
  look() {
    this.looking ??= this.#look().finally(() => (this.looking = null));
    return this.looking;
  }

  /** A request was refused for want of a token. */
  async refused() {
    const away = !(await this.look());
    if (away || !this.state.authentication) this.onSignedOut(false); // somebody before the server asks for a sign-in
  }

  /**
   * There is no connection, perhaps since this page may not have one; a browser does not tell why. Also where nobody was
   * asked before: whoever runs the server may have changed that.
   */
  unsure() {
    this.look();
  }

  /** Whoever is here already stays: a link must not bring anybody into another's account. */
  async pair(code) {
    if (this.state.known && !hasToSignIn(this.state)) {
      if (this.state.authentication) this.toasts.say(this.words.signIn.already(this.state.user));
      return;
    }
    await this.#signIn({ code });
  }

  async signOut() {
    try {
      await this.server.delete(SESSION);
    } catch (refusal) {
      if (refusal.status !== 401) return refusal;
    }
    await this.leave();
    return null;
  }

  /** Nothing of this person stays in the browser. */
  async forget() {
    await this.worker.forget();
    this.memory.clear({ keeping: OF_THE_DEVICE });
  }

  /** ... and the page begins anew. */
  async leave() {
    await this.worker.forget();
    this.#beginAnew(null);
  }

  async #look() {
    const { signedIn } = this;
    let told;
    try {
      told = await this.server.get(SESSION);
    } catch {
      return false;
    }
    if (typeof told?.authentication !== "boolean") return false; // another program at this address
    if (signedIn === this.signedIn) await this.#know(told);
    return true;
  }

  async #know(told) {
    this.state = withSession(told);
    if (told.user !== null && !(await this.#isSame(told.user))) return;
    this.onKnown();
    if (hasToSignIn(this.state)) this.#ask();
    else if (this.panel?.isOpen) this.#goOn();
  }

  /** Another person than before finds nothing of theirs here. */
  async #isSame(user) {
    const { before } = this;
    if (user === before) return true;
    await this.worker.forget();
    this.memory.set("user", user);
    this.before = user;
    if (before === null) return true;
    this.#beginAnew(user);
    return false;
  }

  #beginAnew(user) {
    this.memory.clear({ keeping: OF_THE_DEVICE, then: user === null ? {} : { user } });
    this.window.history.replaceState(null, "", "/");
    this.window.location.reload();
  }

  /** In another tab somebody signed in, or out: null. */
  async #followTab(user) {
    await this.look();
    const left = user === null && hasToSignIn(this.state);
    const other = user !== null && this.before !== null && user !== this.before;
    if (left || other) this.#beginAnew(user);
  }

  // The panel

  #ask() {
    this.panel ??= new SignInPanel(this.document, this.words, { onSignIn: (text) => this.#signIn(credentialOf(text)) });
    this.onSignedOut(true);
    this.panel.open({ wasIn: this.before !== null });
  }

  async #signIn(credential) {
    this.panel?.wait(true);
    try {
      const told = await this.server.post(SESSION, credential);
      this.signedIn += 1;
      await this.#know(told);
      if (told.authentication) this.toasts.say(this.words.signIn.as(told.user), { ms: 4000 });
    } catch (refusal) {
      await this.look();
      const said = sayNotSignedIn(refusal, { isCode: "code" in credential, at: Date.now() }, this.words);
      if (this.panel?.isOpen) this.panel.sayWrong(said);
      else this.toasts.say(said);
    }
    this.panel?.wait(false);
  }

  #goOn() {
    this.panel.close();
    this.onSignedIn();
  }
}
