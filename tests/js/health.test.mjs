// The configuration is asked for while somebody could see the answer, and never of a server that is away.

import assert from "node:assert/strict";
import { test } from "node:test";

import { followConfig } from "../../static/js/health.js";

const CONFIG = { error: null, pending: ["data_dir"] };

function following({ visibilityState = "visible", reachable = true, health = { config: CONFIG } } = {}) {
  const told = [], listeners = [], timers = [];
  const document = { visibilityState, addEventListener: (event, act) => listeners.push([event, act]) };
  let asked = 0;
  const ask = async () => ((asked += 1), health);
  const look = followConfig(document, {
    reachable: () => reachable,
    tell: (config) => told.push(config),
    ask,
    every: (act, ms) => timers.push([act, ms]),
  });
  return { look, told, listeners, timers, document, asked: () => asked };
}

test("what the server says of its configuration is told", async () => {
  const { look, told } = following();
  await look();
  assert.deepEqual(told, [CONFIG]);
});

test("it is asked again every few seconds, and when the page is looked at again", async () => {
  const { timers, listeners, told } = following();
  const [[again, ms]] = timers;
  const [[event, back]] = listeners;
  await again();
  await back();
  assert.equal(event, "visibilitychange");
  assert.equal(ms, 5000);
  assert.equal(told.length, 2);
});

test("nothing is asked while nobody looks, or the server is away", async () => {
  for (const state of [{ visibilityState: "hidden" }, { reachable: false }]) {
    const { look, told, asked } = following(state);
    await look();
    assert.deepEqual([told, asked()], [[], 0]);
  }
});

test("a server that does not answer, or is older, is taken as it is", async () => {
  for (const health of [null, {}]) {
    const { look, told } = following({ health });
    await look();
    assert.deepEqual(told, []);
  }
});
