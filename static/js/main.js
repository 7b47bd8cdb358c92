// Wiring: what the page is made of, and who hears of what.

import { Account } from "./account.js";
import { Chat } from "./chat.js";
import { Documents } from "./documents.js";
import { Evidence } from "./evidence.js";
import { wordsFor } from "./i18n.js";
import { Memory } from "./memory.js";
import { Past } from "./past.js";
import { Router, takeCode } from "./router.js";
import { Server } from "./server.js";
import { Settings } from "./settings.js";
import { Toasts } from "./view/toasts.js";
import { label } from "./view/words.js";
import { Worker } from "./worker.js";

const code = takeCode(window);
const memory = new Memory(() => window.localStorage, () => window.sessionStorage);
const words = await wordsFor(document, memory);
label(document, words);

const toasts = new Toasts(document.getElementById("toasts"), words);
const server = new Server({
  onSignedOut: () => account.refused(),
  onCopy: (path, time) => settings.copied(path, time),
});
const worker = new Worker(window);
const outside = { document, words, server, memory, toasts, worker };
const account = new Account({
  ...outside,
  onSignedIn: () => (chat.signedIn(), past.again(), documents.again()),
  onSignedOut: (rest) => (worker.forget(), chat.signedOut(rest)),
  onKnown: () => (documents.known(), settings.known()),
});
const common = { ...outside, account };
const evidence = new Evidence(common);
const chat = new Chat({
  ...common,
  evidence,
  onTold: (change) => (router.stand(path(change.id)), past.told(change), settings.told(change)),
  onLeft: (id) => router.go(id === null ? "/" : path(id)),
  onFiles: (files) => documents.add(files),
  onAttach: () => documents.choose(),
  onConnection: () => settings.connected(),
  onUnsure: () => account.unsure(),
});
const past = new Past({
  ...common,
  onOpen: (id, messageId) => (chat.seek(id, messageId), router.go(path(id))),
  onGone: (id) => chat.gone(id),
  onTitle: (title) => chat.named(title),
});
const documents = new Documents({ ...common, evidence, onOpen: () => router.go("/documents") });
const settings = new Settings({ ...common, chat });
const router = new Router(window, {
  onConversation: (id) => (documents.hide(), evidence.close(), past.opened(chat.enter(id), id !== null), chat.show()),
  onDocuments: (id) => (chat.begin(), chat.hide(), evidence.close(), past.opened(null), documents.show(id)),
  onCode: (code) => account.pair(code),
});
account.start(code);
settings.start();
past.start();
documents.start();
router.start(() => chat.remembered());
performance.mark("interactive"); // scripts/bench --page reads it

function path(id) {
  return `/c/${encodeURIComponent(id)}`;
}
