// Every state has its sentence, in every language.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";

import { newTurn } from "../../static/js/state/turn.js";
import { sayConfig, sayConnection, sayFailure, sayReasons, sayReceipt, sayTurn } from "../../static/js/state/wording.js";
import { chosen, wordsOf } from "../../static/js/i18n.js";

const english = await wordsOf("en");
const portuguese = await wordsOf("pt-BR");
const METADATA = {
  source: "llm",
  model_used: "smollm2-135m",
  processing_time_ms: 1240,
  tokens: { prompt: 30, cached: 0, completion: 143 },
  confidence_score: 0.9,
  confidence: { level: "high", reasons: ["It is so."] },
  finish_reason: "stop",
  messages_omitted: 0,
};

test("the language is the browser's first that we speak", () => {
  const available = ["en", "pt-BR"];
  assert.equal(chosen(["de", "pt-PT", "en"], available), "pt-BR");
  assert.equal(chosen(["de", "en-US", "pt"], available), "en");
  assert.equal(chosen(["de"], available), "en");
  assert.equal(chosen([], available), "en");
});

/** Every word with the way to it; a function is one too. */
function paths(words, way = "") {
  return Object.entries(words).flatMap(([name, word]) =>
    typeof word === "object" && !Array.isArray(word) ? paths(word, `${way}${name}.`) : [`${way}${name}: ${typeof word}`],
  );
}

test("every language has the same words", async () => {
  const tags = (await readdir(new URL("../../static/js/i18n/", import.meta.url))).map((file) => file.replace(/\.js$/, ""));
  assert.ok(tags.includes("en") && tags.includes("pt-BR"));
  const own = (tag) => import(`../../static/js/i18n/${tag}.js`);
  const english = paths((await own("en")).default).sort();
  // English says what the server has sentences for in the server's words.
  const more = /^(failures|documents\.refused|causes)\./;
  for (const tag of tags) {
    const words = paths((await own(tag)).default).sort();
    assert.deepEqual(words.filter((path) => !more.test(path)), english.filter((path) => !more.test(path)), tag);
    assert.deepEqual(english.filter((path) => !words.includes(path)), [], tag);
  }
});

test("a page that came from another computer says nothing of this one", async () => {
  const texts = (words) => Object.values(words).flatMap((word) => (typeof word === "object" && !Array.isArray(word) ? texts(word) : [String(word)]));
  for (const [tag, here] of [["en", "this computer"], ["pt-BR", "ste computador"]]) {
    const words = await wordsOf(tag, "bridge.local");
    assert.deepEqual(paths(words).sort(), paths(await wordsOf(tag)).sort(), tag);
    const { elsewhere, account, ...said } = words;
    const { onlyHere, ...accountSaid } = account; // of an address that no page from another computer is shown
    assert.deepEqual(texts({ ...said, accountSaid }).filter((text) => text.includes(here)), [], tag);
    assert.ok(words.welcome.includes("bridge.local") && words.past.none.includes("bridge.local"), tag);
    assert.notEqual(words.past.search, undefined, tag);
  }
});

test("the connection line counts down to the next try", () => {
  const connection = { is: "waiting", retry_at: 5000 };
  assert.equal(sayConnection(connection, 2001, english), "reconnecting, next try in 3 s");
  assert.equal(sayConnection(connection, 5000, english), "reconnecting");
  assert.equal(sayConnection({ is: "connected" }, 0, portuguese), "conectado");
  assert.match(sayConnection({ is: "refused", reason: "invalid_session_id" }, 0, english), /invalid_session_id/);
  assert.throws(() => sayConnection({ is: "floating" }, 0, english));
});

test("every status of a turn has words or an answer to show", () => {
  const silent = [];
  for (const status of ["unsent", "sent", "queued", "started", "complete", "cancelled", "interrupted", "error", "refused"]) {
    for (const words of [english, portuguese]) if (sayTurn(newTurn("k", { status, place: 2 }), words) === "") silent.push(status);
  }
  assert.deepEqual(silent, []);
  assert.equal(sayTurn(newTurn("k", { status: "complete", answer: "yes" }), english), "");
  assert.match(sayTurn(newTurn("k", { status: "interrupted", answer: "one, two" }), english), /The text up to here is kept/);
  assert.match(sayTurn(newTurn("k", { status: "interrupted" }), english), /before its first word/);
  assert.throws(() => sayTurn(newTurn("k", { status: "lost" }), english));
});

test("a failure is the server's sentence, or that of a language which has its own", () => {
  const failure = { code: "server_busy", sentence: "8 questions wait already." };
  assert.equal(sayFailure(failure, english), "8 questions wait already.");
  assert.equal(sayFailure(failure, portuguese), portuguese.failures.server_busy);
  assert.equal(sayFailure({ code: "new_code", sentence: "New." }, portuguese), "New.");
  assert.equal(sayFailure({ code: undefined, sentence: undefined }, english), english.failures.unknown);
});

test("the receipt names model, time, tokens and speed", () => {
  assert.equal(sayReceipt(METADATA, english), "smollm2-135m · 1.2 s · 143 tokens · 115\u00a0tokens/s");
  assert.equal(sayReceipt(METADATA, portuguese), "smollm2-135m · 1,2 s · 143 tokens · 115\u00a0tokens/s");
});

test("the reasons of a measured confidence end with how often such answers are right, those of another do not", () => {
  const measured = { reasons: ["It is so."], score: 0.4123, features: { mean: 0.7 } };
  assert.deepEqual(sayReasons(measured, english), ["It is so.", "Where it was measured, about 40 of 100 such answers were right."]);
  assert.deepEqual(sayReasons({ ...measured, features: {} }, english), ["It is so."]);
});

test("the reasons of a confidence are the language's own, or else the server's", () => {
  const confidence = { reasons: ["It is so.", "And so."], causes: [{ code: "no_document" }, { code: "unheard_of" }] };
  assert.deepEqual(sayReasons(confidence, portuguese), [portuguese.causes.no_document, "And so."]);
  assert.deepEqual(sayReasons({ reasons: ["Kept from before."] }, english), ["Kept from before."]);
});

test("reading a long prompt says how far it is, and going on with an answer says so above nothing that is there", () => {
  const started = newTurn("k", { status: "started", read: { read: 1240, total: 3100 } });
  assert.equal(sayTurn(started, english), "Reading, 1,240 of 3,100 tokens.");
  assert.equal(sayTurn(newTurn("k", { status: "started", thoughts: "hm" }), english), english.thinking);
});

test("the receipt says what is missing from the answer or its prompt", () => {
  const said = sayReceipt({ ...METADATA, finish_reason: "length", messages_omitted: 2 }, english);
  assert.match(said, /ended at the length limit · 2 earlier messages left out$/);
});

test("the receipt of an unfinished or old answer says only what is known", () => {
  assert.equal(sayReceipt(null, english), "");
  assert.equal(sayReceipt({ status: "interrupted" }, english), "");
  assert.equal(sayReceipt({ ...METADATA, tokens: { completion: 0 }, confidence: null }, english), "smollm2-135m · 1.2 s · 0 tokens");
});

test("the receipt of an answer that was interrupted names no time and no tokens, for nobody counted them", () => {
  const uncounted = { ...METADATA, processing_time_ms: 0, tokens: { completion: 0 }, confidence: null };
  assert.equal(sayReceipt(uncounted, english), "smollm2-135m");
});

test("an answer that no model wrote says where it is from", () => {
  assert.equal(sayReceipt({ ...METADATA, source: "cache" }, english), "answered before · 1.2 s");
  assert.equal(sayReceipt({ ...METADATA, source: "rag" }, portuguese), "dos seus documentos · 1,2 s");
});

test("the configuration is mentioned only where it does not apply as it stands", () => {
  const error = "config.yaml:3:9: routing.default: 'y'; expected a name of model_list or models";
  assert.equal(sayConfig({ error: null, pending: [] }, english), "");
  assert.ok(sayConfig({ error, pending: [] }, english).endsWith(error));
  assert.ok(sayConfig({ error, pending: ["data_dir"] }, portuguese).endsWith(error));
  const pending = sayConfig({ error: null, pending: ["data_dir", "server.port"] }, english);
  assert.equal(pending, "Applies after a restart of the server: data_dir, server.port");
});
