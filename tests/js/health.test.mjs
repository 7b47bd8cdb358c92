// The server is asked how it is while somebody could see the answer, and never while it is away. What it says is put in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { followHealth } from "../../static/js/health.js";
import { wordsOf } from "../../static/js/i18n.js";
import { figureRows, modelRows, sayCache, sayOutgoing, saySpan, serverRows } from "../../static/js/state/health.js";

const english = await wordsOf("en");
const portuguese = await wordsOf("pt-BR");
const HEALTH = {
  version: "0.1.0",
  uptime_seconds: 7384,
  components: { models: { status: "ok", waiting: 2 }, documents: { status: "unavailable", reason: "no model for them" } },
};

function following({ visibilityState = "visible", reachable = true, health = HEALTH } = {}) {
  const told = [], listeners = [], timers = [], asked = [];
  const document = { visibilityState, addEventListener: (event, act) => listeners.push([event, act]) };
  const get = async (path) => {
    asked.push(path);
    if (health instanceof Error) throw health;
    return health;
  };
  const look = followHealth(document, {
    server: { get },
    reachable: () => reachable,
    tell: (health) => told.push(health),
    every: (act, ms) => timers.push([act, ms]),
  });
  return { look, told, listeners, timers, asked };
}

test("what the server says of itself is told", async () => {
  const { look, told, asked } = following();
  await look();
  assert.deepEqual([told, asked], [[HEALTH], ["/api/proxy/health"]]);
});

test("it is asked again every few seconds, and when the page is looked at again", async () => {
  const { timers, listeners, told } = following();
  const [[again, ms]] = timers;
  const [[event, back]] = listeners;
  await again();
  await back();
  assert.deepEqual([event, ms, told.length], ["visibilitychange", 5000, 2]);
});

test("nothing is asked while nobody looks, or the server is away", async () => {
  for (const state of [{ visibilityState: "hidden" }, { reachable: false }]) {
    const { look, told, asked } = following(state);
    await look();
    assert.deepEqual([told, asked], [[], []]);
  }
});

test("a server that does not answer is taken as it is", async () => {
  for (const health of [null, new Error("unreachable")]) {
    const { look, told } = following({ health });
    await look();
    assert.deepEqual(told, []);
  }
});

test("attempts to leave the computer are told in words", () => {
  assert.deepEqual(sayOutgoing(0, english), { is: "none", told: "No outgoing connections since start" });
  assert.deepEqual(sayOutgoing(1, english), { is: "some", told: "1 attempt to leave this computer since start" });
  assert.equal(sayOutgoing(0, portuguese).told, "Sem conexões externas desde o início");
});

test("a time since the start has the two units that count", () => {
  const cases = [[0.4, "0 s"], [59, "59 s"], [60, "1 min"], [3600, "1 h"], [7384, "2 h 3 min"], [86_400, "1 day"], [180_000, "2 days 2 h"]];
  for (const [seconds, said] of cases) assert.equal(saySpan(seconds, english), said);
});

test("the server's parts are told in words, what is wrong with its reason", () => {
  const memory = { process_bytes: 310_000_000, available_bytes: 9e9, total_bytes: 24_000_000_000 };
  assert.deepEqual(serverRows(HEALTH, memory, english), [
    { label: "Version", told: "0.1.0" },
    { label: "Running for", told: "2 h 3 min" },
    { label: "Memory", told: "process uses 310 MB of 24 GB" },
    { label: "Answering", told: "ready \u00b7 2 under way", is: "ok" },
    { label: "Documents", told: "not available \u00b7 no model for them", is: "wrong" },
  ]);
});

test("memory is left out where the system does not tell it", () => {
  const silent = { process_bytes: null, available_bytes: null, total_bytes: null };
  for (const memory of [null, silent]) assert.equal(serverRows(HEALTH, memory, english).some(({ label }) => label === "Memory"), false);
});

test("a model is told with its size, its state and its context", () => {
  const model = { name: "small", default: true, file_bytes: 98_000_000, context: 8192, loaded: true, loading: false, failure: null };
  const broken = { ...model, name: "broken", default: false, loaded: false, context: null, file_bytes: null, failure: "The file is incomplete." };
  assert.deepEqual(modelRows({ models: [model, broken] }, english), [
    { label: "small", told: "answers unless another is chosen \u00b7 98 MB \u00b7 on this computer \u00b7 loaded \u00b7 context 8,192 tokens", is: "ok" },
    { label: "broken", told: "on this computer \u00b7 The file is incomplete.", is: "wrong" },
  ]);
});

test("figures leave out what there is none of yet", () => {
  const stats = { questions: { total: 0 }, mean: { answer_ms: null }, tokens: { prompt: 0, completion: 0 }, conversations: 1, messages: 1, documents: 0 };
  assert.equal(figureRows(stats, english).some(({ label }) => label === "Mean time of an answer"), false);
  assert.equal(figureRows({ ...stats, mean: { answer_ms: 2340 } }, portuguese)[1].told, "2,3 s");
});

test("the answers kept are told in words", () => {
  assert.equal(sayCache({ enabled: false, entries: 3, hits: 0 }, english), "Switched off.");
  assert.equal(sayCache({ enabled: true, entries: 0, hits: 0 }, english), "None at present.");
  assert.equal(sayCache({ enabled: true, entries: 1200, hits: 1 }, english), "1,200 kept, given again once.");
  assert.equal(sayCache({ enabled: true, entries: 1, hits: 2 }, portuguese), "1 guardada, dada de novo 2 vezes.");
});
