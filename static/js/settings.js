// Language, theme, shortcuts, what this browser keeps, and how the server is: asked for while somebody could see it.

import { Devices } from "./devices.js";
import { followHealth } from "./health.js";
import { languagesOf } from "./i18n.js";
import { Help } from "./view/help.js";
import { followKeys, isMac } from "./view/keys.js";
import { SettingsDialog } from "./view/settings.js";
import { Standing } from "./view/standing.js";
import { showTheme } from "./view/theme.js";

export class Settings {
  constructor({ document, words, server, memory, worker, account, chat }) {
    Object.assign(this, { document, words, server, memory, worker, account, chat });
    this.window = document.defaultView;
    this.devices = new Devices({ words, server, account });
    this.standing = new Standing(document, words);
    this.state = { health: null, models: null, stats: null, away: false };
    this.dialog = null; // made when first wanted, like the sheet of shortcuts
    this.help = null;
  }

  start() {
    const { document, memory, window } = this;
    showTheme(document, this.#theme());
    memory.follow(window, "theme", () => this.#showTheme());
    memory.follow(window, "language", (tag) => tag !== null && tag !== this.words.lang && this.#reload());
    window.addEventListener("pagehide", () => this.chat.keepUnsent());
    document.getElementById("to-settings").addEventListener("click", () => this.open());
    document.getElementById("to-help").addEventListener("click", () => this.openHelp());
    this.look = followHealth(document, {
      server: this.server,
      reachable: () => this.chat.connected && window.navigator.onLine,
      tell: (health) => this.#hear(health),
    });
    this.#followKeys();
    this.worker.start();
  }

  open() {
    this.dialog ??= this.#makeDialog();
    this.dialog.showTheme(this.#theme());
    this.#draw({ away: !this.chat.connected });
    this.dialog.open();
    this.devices.show();
    this.look();
  }

  openHelp() {
    this.help ??= new Help(this.words, { isMac: isMac(this.window.navigator) });
    this.help.open();
  }

  // What others tell

  /** The connection came or went. */
  connected() {
    const { connected } = this.chat;
    if (connected) this.standing.drawAge(null);
    if (connected) this.look();
    this.#draw({ away: !connected });
  }

  /** What is shown is a copy of that time. */
  copied(path, time) {
    if (path.includes("/history") && !this.chat.connected) this.standing.drawAge(time);
  }

  /** Something happened in the conversation. */
  told({ id, ended }) {
    if (ended) this.worker.refresh(id);
  }

  /** It is known what this person may see. */
  known() {
    this.devices.known();
    this.#draw({});
  }

  // How the server is

  async #hear(health) {
    const { isAdmin } = this.account;
    this.standing.draw(isAdmin ? health : { ...health, config: null }); // others cannot mend it
    this.#draw({ health, away: false });
    if (!this.dialog?.isOpen) return;
    try {
      const [models, stats] = await Promise.all([this.server.get("/api/models"), this.server.get("/api/proxy/stats")]);
      this.#draw({ models, stats });
    } catch {
      this.#draw({ away: true });
    }
  }

  #draw(change) {
    this.state = { ...this.state, ...change, isAdmin: this.account.isAdmin };
    if (this.dialog) this.dialog.showServer(this.state);
  }

  async #forgetCache() {
    try {
      const { deleted } = await this.server.delete("/api/cache");
      this.dialog.showForgotten(this.words.settings.forgotten(deleted));
    } catch {
      this.dialog.showForgotten(this.words.settings.notForgotten);
    }
    this.look();
  }

  // What a person chooses

  #makeDialog() {
    const { document, memory, words } = this;
    return new SettingsDialog(words, { languages: languagesOf(document), lasts: memory.lasts, location: this.window.location, own: this.devices.elements }, {
      onLanguage: (tag) => this.#chooseLanguage(tag),
      onTheme: (theme) => (memory.set("theme", theme), this.#showTheme()),
      onClear: () => this.#clear(),
      onForgetCache: () => this.#forgetCache(),
    });
  }

  #theme() {
    return this.memory.get("theme") || "system";
  }

  #showTheme() {
    showTheme(this.document, this.#theme());
    this.dialog?.showTheme(this.#theme());
  }

  #chooseLanguage(tag) {
    this.memory.set("language", tag);
    if (this.memory.lasts) this.#reload();
    else this.window.location.search = new URLSearchParams({ language: tag }); // nothing else outlasts the page
  }

  #reload() {
    this.chat.keepUnsent();
    this.window.location.reload();
  }

  async #clear() {
    await this.worker.remove();
    this.memory.clear();
    this.window.history.replaceState(null, "", "/");
    this.window.location.reload();
  }

  #followKeys() {
    const { chat } = this;
    followKeys(this.document, {
      editLast: () => chat.editLast(),
      focusComposer: () => chat.focusComposer(),
      copyLast: () => chat.copyLast(),
      newConversation: () => chat.enterNew(),
      help: () => this.openHelp(),
    });
  }
}
