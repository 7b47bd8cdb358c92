// Every state has its sentence, in every language.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newTurn } from "../../static/js/turn.js";
import { sayConfig, sayConnection, sayFailure, sayReceipt, sayTurn } from "../../static/js/wording.js";
import { wordsFor } from "../../static/js/words.js";

const english = wordsFor(["en-GB"]);
const portuguese = wordsFor(["pt-BR"]);
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
  assert.equal(wordsFor(["de", "pt-PT", "en"]).lang, "pt-BR");
  assert.equal(wordsFor(["de", "en-US", "pt"]).lang, "en");
  assert.equal(wordsFor(["de"]).lang, "en");
  assert.equal(wordsFor([]).lang, "en");
});

test("both languages have the same words", () => {
  assert.deepEqual(Object.keys(portuguese).sort(), Object.keys(english).sort());
  for (const [name, word] of Object.entries(english)) assert.equal(typeof portuguese[name], typeof word, name);
  for (const code of Object.keys(english.failures)) assert.notEqual(portuguese.failures[code], english.failures[code]);
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
  assert.throws(() => sayTurn(newTurn("k", { status: "lost" }), english));
});

test("a failure is the server's sentence, or that of a language which has its own", () => {
  const failure = { code: "server_busy", sentence: "8 questions wait already." };
  assert.equal(sayFailure(failure, english), "8 questions wait already.");
  assert.equal(sayFailure(failure, portuguese), portuguese.failures.server_busy);
  assert.equal(sayFailure({ code: "new_code", sentence: "New." }, portuguese), "New.");
  assert.equal(sayFailure({ code: undefined, sentence: undefined }, english), english.failures.unknown);
});

test("the receipt names model, time, tokens and confidence", () => {
  assert.equal(sayReceipt(METADATA, english), "smollm2-135m · 1.2 s · 143 tokens · confidence high");
  assert.equal(sayReceipt(METADATA, portuguese), "smollm2-135m · 1,2 s · 143 tokens · confiança alta");
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

test("confidence is the server's word for it", () => {
  for (const level of ["high", "medium", "low"])
    assert.match(sayReceipt({ ...METADATA, confidence: { level } }, english), new RegExp(`confidence ${level}$`));
});

test("an answer that no model wrote says where it is from", () => {
  assert.equal(sayReceipt({ ...METADATA, source: "cache" }, english), "answered before · 1.2 s · confidence high");
  assert.equal(sayReceipt({ ...METADATA, source: "rag" }, portuguese), "dos seus documentos · 1,2 s · confiança alta");
});

test("the configuration is mentioned only where it does not apply as it stands", () => {
  const error = "config.yaml:3:9: routing.default: 'y'; expected a name of model_list or models";
  assert.equal(sayConfig({ error: null, pending: [] }, english), "");
  assert.ok(sayConfig({ error, pending: [] }, english).endsWith(error));
  assert.ok(sayConfig({ error, pending: ["data_dir"] }, portuguese).endsWith(error));
  const pending = sayConfig({ error: null, pending: ["data_dir", "server.port"] }, english);
  assert.equal(pending, "Applies after a restart of the server: data_dir, server.port");
});
