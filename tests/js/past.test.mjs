// The list of conversations: parts of it, what this page knows sooner, what was deleted and came back, what was found.

import assert from "node:assert/strict";
import { test } from "node:test";

import { entry, listed, nextOffset, reduce, results, shortened, startPast } from "../../static/js/state/past.js";

const NOON = Date.parse("2026-11-26T12:00:00Z");

/** A conversation as the server tells of it, last used so many minutes before noon. */
function conversation(id, minutes, more = {}) {
  return { session_id: id, title: `title ${id}`, pinned: false, messages: 2, matches: [], updated_at: new Date(NOON - minutes * 60_000).toISOString(), ...more };
}

function page(conversations, { offset = 0, total = conversations.length, asked = NOON, anew = false } = {}) {
  return { type: "page", conversations, offset, total, asked, anew };
}

function after(...events) {
  return events.reduce(reduce, startPast());
}

const ids = (state) => listed(state).map(({ id }) => id).join("");
const three = page([conversation("a", 1), conversation("b", 2), conversation("c", 3)]);

test("parts follow each other without repeating what they share", () => {
  const state = after(page([conversation("a", 1), conversation("b", 2)], { total: 3 }), page([conversation("b", 2), conversation("c", 3)], { offset: 1, total: 3 }));
  assert.deepEqual([ids(state), state.end], ["abc", true]);
});

test("a part that does not reach the end says there is more", () => {
  assert.equal(after(page([conversation("a", 1)], { total: 9 })).end, false);
});

test("the next part begins a little before the end of what is known", () => {
  const many = Array.from({ length: 100 }, (_, at) => conversation(`s${at}`, at));
  assert.equal(nextOffset(after(page(many, { total: 200 }))), 95);
});

test("a part with nothing new in it ends the list: it is not asked for again and again", () => {
  const state = after(page([conversation("a", 1), conversation("b", 2)], { total: 9 }), page([conversation("b", 2)], { offset: 1, total: 9 }));
  assert.equal(state.end, true);
});

test("what was deleted elsewhere goes when its part of the list is read again", () => {
  assert.equal(ids(after(three, page([conversation("a", 1), conversation("c", 3)]))), "ac");
});

test("what was moved up elsewhere is there once", () => {
  const state = after(page([conversation("a", 1), conversation("b", 2), conversation("c", 3)], { total: 4 }), page([conversation("c", 0), conversation("a", 1)], { total: 4 }));
  assert.equal(ids(state), "cab");
});

test("where the newest part has nothing known in it, the rest is read anew", () => {
  const state = after(three, page([conversation("x", 0), conversation("y", 0)], { total: 500 }));
  assert.deepEqual([ids(state), state.end], ["xy", false]);
});

test("where the number tells of more than the newest part, the rest is read anew", () => {
  const state = after(three, page([conversation("a", 1), conversation("b", 2)], { total: 40 }));
  assert.deepEqual([ids(state), state.end], ["ab", false]);
});

test("after an import nothing of before is kept", () => {
  assert.equal(ids(after(three, page([conversation("a", 1), conversation("b", 2)], { total: 9, anew: true }))), "ab");
});

test("conversations of the same moment stay in the server's order", () => {
  const same = ["a", "b", "c", "d"].map((id) => conversation(id, 1));
  assert.equal(ids(after(page(same.slice(0, 2), { total: 4 }), page(same.slice(1), { offset: 1, total: 4 }))), "abcd");
});

// Told by the conversation shown

test("a new conversation is on top before the server was asked", () => {
  const state = after(three, { type: "told", id: "n", title: "new\n one", ended: false, at: NOON });
  assert.deepEqual([ids(state), entry(state, "n").title], ["nabc", "new one"]);
});

test("an existing one moves up and keeps its name", () => {
  const state = after(three, { type: "told", id: "c", title: "its question", ended: false, at: NOON });
  assert.deepEqual([ids(state), entry(state, "c").title], ["cab", "title c"]);
});

test("it is on top also where this computer's clock is behind", () => {
  assert.equal(ids(after(three, { type: "told", id: "n", title: "", ended: false, at: NOON - 86_400_000 })), "nabc");
});

test("a pinned one moves up among the pinned", () => {
  const pinned = page([conversation("p", 9, { pinned: true }), conversation("q", 10, { pinned: true }), conversation("a", 1)]);
  assert.equal(ids(after(pinned, { type: "told", id: "q", title: "", ended: false, at: NOON })), "qpa");
});

test("a list asked for before something was told does not take it away", () => {
  const state = after({ type: "told", id: "n", title: "new", ended: false, at: NOON + 5 }, page([conversation("a", 1)], { asked: NOON }));
  assert.equal(ids(state), "na");
});

test("an answer that ended changes nothing until its entry is read", () => {
  const state = after(three);
  assert.equal(reduce(state, { type: "told", id: "c", title: "", ended: true, at: NOON }), state);
});

test("its entry takes the server's name and time", () => {
  const state = after(three, { type: "told", id: "c", title: "", ended: false, at: NOON }, { type: "entry", conversation: conversation("c", 1.5, { title: "named" }), at: NOON });
  assert.deepEqual([ids(state), entry(state, "c").title], ["acb", "named"]);
});

test("the one shown that is further down than was read has a name, and no line in a gap", () => {
  const opened = { type: "opened", id: "z" };
  const state = after(page([conversation("a", 1)], { total: 900 }), opened, { type: "entry", conversation: conversation("z", 9000), at: NOON });
  assert.deepEqual([ids(state), entry(state, "z").title], ["a", "title z"]);
});

// Changed by the person

test("what is pinned stands above, and goes back where it was", () => {
  const pin = (pinned) => ({ type: "edited", id: "b", changes: { pinned }, at: NOON });
  assert.deepEqual([ids(after(three, pin(true))), ids(after(three, pin(true), pin(false)))], ["bac", "abc"]);
});

test("a name just given is not undone by a list asked for before", () => {
  const state = after(three, { type: "edited", id: "b", changes: { title: "mine" }, at: NOON + 5 }, three);
  assert.equal(entry(state, "b").title, "mine");
});

test("a deleted one is not listed, comes back by undo, and is forgotten once it is gone", () => {
  const deleted = after(three, { type: "deleted", id: "b" });
  const said = [deleted, reduce(deleted, { type: "restored", id: "b" }), reduce(deleted, { type: "gone", id: "b" })];
  assert.deepEqual(said.map(ids), ["ac", "abc", "ac"]);
});

test("a list read while it can still be undone does not bring it back", () => {
  assert.equal(ids(after(three, { type: "deleted", id: "b" }, three)), "ac");
});

test("the deleted ones count for where the next part begins: the server still has them", () => {
  const many = page(Array.from({ length: 100 }, (_, at) => conversation(`s${at}`, at)), { total: 200 });
  assert.equal(nextOffset(after(many, { type: "deleted", id: "s3" })), 95);
});

// Searched

const searched = [{ type: "searched", q: "salt" }, { type: "found", q: "salt", conversations: [conversation("c", 3), conversation("y", 900)], total: 2, asked: NOON }];
const found = (state) => results(state)?.map(({ id }) => id).join("") ?? null;

test("what was found is there until the search is cleared", () => {
  assert.deepEqual([found(after(three, ...searched)), found(after(three, ...searched, { type: "searched", q: "" }))], ["cy", null]);
});

test("an answer to an earlier search is dropped", () => {
  assert.equal(found(after(three, { type: "searched", q: "salty" }, searched[1])), null);
});

test("what was found before stays while the next search runs, and when it fails", () => {
  const state = after(three, ...searched, { type: "searched", q: "salty" }, { type: "found", q: "salty", failure: new Error("away") });
  assert.deepEqual([found(state), state.search.failure.message], ["cy", "away"]);
});

test("what is changed or deleted is so among what was found too", () => {
  const state = after(three, ...searched, { type: "edited", id: "y", changes: { title: "mine" }, at: NOON }, { type: "deleted", id: "c" });
  assert.deepEqual(results(state).map(({ title }) => title), ["mine"]);
});

// Titles

test("a first question is one line, shortened between characters", () => {
  const told = shortened(` a\n${"\u{1f4a5}".repeat(200)}`);
  assert.deepEqual([[...told].length, told.endsWith("\u{1f4a5}\u2026")], [80, true]);
});

test("a title of any length is kept short", () => {
  assert.equal(entry(after(page([conversation("a", 1, { title: "x".repeat(10_000) })])), "a").title.length, 300);
});

test("what is unknown fails loudly", () => {
  assert.throws(() => after({ type: "nonsense" }), /nonsense/);
});
