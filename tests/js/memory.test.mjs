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

test("two tabs keep their own drafts, and a new one begins with what was typed last", () => {
  const shared = storage(), tabs = [storage(), storage()];
  const [first, second] = tabs.map((tab) => new Memory(() => shared, () => tab));
  first.set("draft", "of the first");
  second.set("draft", "of the second");
  const reloaded = tabs.map((tab) => new Memory(() => shared, () => tab).get("draft"));
  assert.deepEqual(reloaded, ["of the first", "of the second"]);
  assert.equal(new Memory(() => shared, storage).get("draft"), "of the second");
});

test("what another tab changes is told, once for each that follows it", () => {
  const shared = storage(), listeners = [], told = [];
  const memory = new Memory(() => shared);
  memory.set("theme", "light");
  memory.follow({ addEventListener: (_, act) => listeners.push(act) }, "theme", (value) => told.push([value, memory.get("theme")]));
  shared.setItem("neuralbridge.theme", "dark");
  listeners[0]({ key: "neuralbridge.theme", newValue: "dark", storageArea: shared });
  listeners[0]({ key: "neuralbridge.draft", newValue: "x", storageArea: shared });
  assert.deepEqual(told, [["dark", "dark"]]);
});

test("everything of ours can be forgotten, and nothing else", () => {
  const kept = { "neuralbridge.theme": "dark", "another.page": "1" };
  const shared = Object.defineProperties(kept, {
    getItem: { value: (name) => kept[name] ?? null },
    setItem: { value: (name, value) => (kept[name] = value) },
    removeItem: { value: (name) => delete kept[name] },
  });
  const memory = new Memory(() => shared);
  memory.set("draft", "half");
  memory.clear();
  assert.deepEqual([memory.get("draft"), memory.get("theme"), Object.keys(kept)], [null, null, ["another.page"]]);
});

test("what is the device's own outlasts the person, and what comes next is known", () => {
  const kept = { "neuralbridge.theme": "dark", "neuralbridge.draft": "half", "neuralbridge.user": "ana" };
  const shared = Object.defineProperties(kept, {
    getItem: { value: (name) => kept[name] ?? null },
    setItem: { value: (name, value) => (kept[name] = value) },
    removeItem: { value: (name) => delete kept[name] },
  });
  const memory = new Memory(() => shared);
  memory.clear({ keeping: ["theme"], then: { user: "ben" } });
  memory.set("draft", "said while the page is left");
  assert.deepEqual({ ...kept }, { "neuralbridge.theme": "dark", "neuralbridge.user": "ben" });
});

test("ids are long and never the same", () => {
  const ids = new Set(Array.from({ length: 100 }, newId));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
