// Memory with storage, without it, and with one that breaks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Memory, newId } from "../../static/js/memory.js";

function storage() {
  const items = new Map();
  return { items, getItem: (name) => items.get(name) ?? null, setItem: (name, value) => items.set(name, value) };
}

test("what was remembered is there at the next visit", () => {
  const shared = storage();
  new Memory(() => shared).set("session", "s1");
  assert.equal(new Memory(() => shared).get("session"), "s1");
  assert.deepEqual([...shared.items.keys()], ["neuralbridge.session"]);
});

test("where storage is blocked, this tab remembers", () => {
  const blocked = () => {
    throw new Error("SecurityError");
  };
  const memory = new Memory(blocked);
  assert.equal(memory.get("session"), null);
  memory.set("session", "s1");
  assert.equal(memory.get("session"), "s1");
});

test("where storage is full, this tab remembers", () => {
  const full = { ...storage(), setItem: () => { throw new Error("QuotaExceededError"); } };
  const memory = new Memory(() => full);
  memory.set("draft", "long");
  assert.equal(memory.get("draft"), "long");
});

test("an empty draft is remembered as empty", () => {
  const shared = storage();
  shared.setItem("neuralbridge.draft", "old");
  const memory = new Memory(() => shared);
  memory.set("draft", "");
  assert.equal(memory.get("draft"), "");
});

test("ids are long and never the same", () => {
  const ids = new Set(Array.from({ length: 100 }, newId));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
