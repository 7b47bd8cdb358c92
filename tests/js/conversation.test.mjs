// The conversation under every event the wire and the person have, in the orders a real connection brings them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { earliest, reduce, startConversation, stoppable, unfinished, unsent } from "../../static/js/state/conversation.js";

const after = (state, ...events) => events.reduce(reduce, state);
const fresh = (...events) => after(startConversation(), ...events);
const last = (state) => state.turns.at(-1);
const shape = (state) => state.turns.map(({ question, answer, status }) => [question, answer, status]);

const joined = (more = {}) => ({ type: "joined", running: [], ...more });
const history = (messages = [], more = {}) => ({ type: "history", messages, total_messages: messages.length, ...more });
const asked = (query, key = query) => ({ type: "asked", key, query });
const sent = (key, ref = "5") => ({ type: "sent", key, ref });
const start = (query, more = {}) => ({ type: "stream_start", stream_id: "s", ref: "5", seq: 1, query, ...more });
const token = (seq, text, more = {}) => ({ type: "stream_token", stream_id: "s", ref: "5", seq, token: text, ...more });
const complete = (seq, response, metadata = { finish_reason: "stop", message_id: "a1" }, more = {}) => ({
  type: "stream_complete",
  stream_id: "s",
  ref: "5",
  seq,
  response,
  metadata,
  ...more,
});
const row = (id, role, content, more = {}) => ({ id, role, content, parent: null, status: "complete", metadata: {}, ...more });
const pair = (n, question, answer, more = {}) => [
  row(`q${n}`, "user", question),
  row(`a${n}`, "assistant", answer, { parent: `q${n}`, ...more }),
];
const connected = [joined(), history()];
const drop = { type: "waiting", since: 1000, retry_at: 3000 };

test("a question has its name as soon as its answer begins, so that it can be edited", () => {
  const state = fresh(...connected, asked("why"), sent("why"), start("why", { question_id: "q1", message_id: "a1" }), complete(2, "so"));
  assert.deepEqual([last(state).id, last(state).answer_id], ["q1", "a1"]);
  assert.deepEqual(shape(after(state, history(pair(1, "why", "so")))), [["why", "so", "complete"]]);
});

test("a question is answered token by token and ends with its metadata", () => {
  const metadata = { finish_reason: "stop", message_id: "a1", model_used: "small" };
  const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"), token(3, "cause"), complete(4, "because", metadata));
  assert.deepEqual(shape(state), [["why", "because", "complete"]]);
  assert.equal(last(state).metadata, metadata);
});

test("an event heard before changes nothing", () => {
  const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"));
  assert.equal(reduce(state, token(2, "be")), state);
});

test("the closing event heals an answer that missed something", () => {
  const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"), complete(9, "because"));
  assert.equal(last(state).answer, "because");
});

test("an answer that takes another's place is in its turn, and the first is shown until it begins", () => {
  const replaced = complete(3, "no idea", { finish_reason: "stop", superseded_by: "s-2" });
  const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "no idea"), replaced);
  assert.deepEqual(shape(state), [["why", "no idea", "started"]]);
  assert.deepEqual(unfinished(state), { stream_id: "s-2", seq: 3 });
  const second = { stream_id: "s-2" };
  const events = [start("why", { ...second, seq: 4 }), { ...token(5, "because"), ...second }];
  assert.deepEqual(shape(events.reduce(reduce, state)), [["why", "because", "streaming"]]);
  const end = { ...complete(6, "because", { finish_reason: "stop" }), ...second };
  assert.deepEqual(shape([...events, end].reduce(reduce, state)), [["why", "because", "complete"]]);
});

test("how an answer ended is its status", () => {
  for (const [reason, status] of [["stop", "complete"], ["length", "complete"], ["cancelled", "cancelled"], ["error", "error"]]) {
    const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"), complete(3, "be", { finish_reason: reason }));
    assert.equal(last(state).status, status);
  }
});

test("a question asked before the connection is there waits, and is the first to be sent", () => {
  const state = fresh(asked("one"), asked("two"));
  assert.deepEqual(unsent(state).map((turn) => turn.question), ["one", "two"]);
  assert.equal(stoppable(state).question, "one");
});

test("a second question shows its place in line until its turn comes", () => {
  const second = { stream_id: "t", ref: "6" };
  const waiting = fresh(
    ...connected,
    asked("one"), sent("one"), start("one"),
    asked("two"), sent("two", "6"), { type: "queued", place: 1, seq: 1, ...second },
  );
  assert.equal(last(waiting).status, "queued");
  assert.equal(last(waiting).place, 1);
  const begun = after(waiting, complete(2, "done"), start("two", { seq: 2, ...second }));
  assert.deepEqual(begun.turns.map((turn) => turn.status), ["complete", "started"]);
  assert.equal(last(begun).place, null);
});

test("stop means the answer being given, not the one in line behind it", () => {
  const state = fresh(
    ...connected,
    asked("one"), sent("one"), start("one"),
    asked("two"), sent("two", "6"), { type: "queued", place: 1, seq: 1, stream_id: "t", ref: "6" },
  );
  assert.equal(stoppable(state).stream_id, "s");
  assert.deepEqual(unfinished(state), { stream_id: "s", seq: 1 });
});

test("a refused question goes back to the composer with the reason", () => {
  const state = fresh(...connected, asked("why"), sent("why"), {
    type: "stream_error", ref: "5", error: "The queue is full.", code: "server_busy", message: "The queue is full.",
  });
  assert.deepEqual(state.turns, []);
  assert.equal(state.draft, "why");
  assert.deepEqual(state.notice, { code: "server_busy", sentence: "The queue is full." });
});

test("a refused question stays on the page when something new is being typed", () => {
  const state = fresh(...connected, asked("why"), sent("why"), { type: "typed", text: "new" }, {
    type: "stream_error", ref: "5", error: "The queue is full.", code: "server_busy",
  });
  assert.equal(last(state).status, "refused");
  assert.equal(state.draft, "new");
});

test("a refused question asked again takes the place of itself", () => {
  const refused = fresh(...connected, asked("why"), sent("why"), { type: "typed", text: "new" }, {
    type: "stream_error", ref: "5", error: "The queue is full.", code: "server_busy",
  });
  const state = reduce(refused, { type: "asked", key: "again", query: "why", instead: "why" });
  assert.deepEqual(state.turns.map((turn) => [turn.key, turn.status]), [["again", "unsent"]]);
});

test("a question that failed in line, before it began, goes back to the composer", () => {
  const state = fresh(...connected, asked("long"), sent("long"), {
    type: "stream_error", stream_id: "s", ref: "5", seq: 1, error: "Too long.", code: "context_length_exceeded",
  });
  assert.equal(state.draft, "long");
  assert.equal(state.notice.sentence, "Too long.");
});

test("a failure in mid-answer keeps the text and says so in its turn", () => {
  const state = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"), {
    type: "stream_error", stream_id: "s", ref: "5", seq: 3, error: "The model failed.", code: "processing_failed",
  });
  assert.deepEqual(shape(state), [["why", "be", "error"]]);
  assert.equal(last(state).error.sentence, "The model failed.");
});

test("an error of no question is a notice, gone with the next keystroke", () => {
  const state = fresh(...connected, { type: "error", error: "unknown_event", message: "There is no such event." });
  assert.equal(state.notice.sentence, "There is no such event.");
  assert.equal(reduce(state, { type: "typed", text: "a" }).notice, null);
});

test("a question taken out of the line goes back to the composer", () => {
  const state = fresh(
    ...connected,
    asked("two"), sent("two"), { type: "queued", place: 1, stream_id: "s", ref: "5", seq: 1 },
    complete(2, "", { finish_reason: "cancelled", message_id: null }),
  );
  assert.deepEqual(state.turns, []);
  assert.equal(state.draft, "two");
});

test("what another device asks and gets is shown", () => {
  const state = fresh(
    ...connected,
    { type: "question", stream_id: "s", query: "why" }, start("why", { ref: "77" }), token(2, "be", { ref: "77" }),
  );
  assert.deepEqual(shape(state), [["why", "be", "streaming"]]);
});

test("another device's ref is not taken for our own", () => {
  const state = fresh(
    ...connected,
    asked("ours"), sent("ours", "5"),
    { type: "question", stream_id: "theirs", query: "theirs" }, start("theirs", { stream_id: "theirs", ref: "5" }),
    start("ours", { stream_id: "ours", ref: "5" }),
  );
  assert.deepEqual(state.turns.map((turn) => [turn.question, turn.stream_id]), [["ours", "ours"], ["theirs", "theirs"]]);
});

test("after a reload the running answer is shown once, whichever comes first: its stream or the history", () => {
  const rows = history(pair(1, "why", "", { status: "streaming" }));
  const stream = [{ type: "question", stream_id: "s", query: "why" }, start("why"), token(2, "be")];
  for (const events of [[rows, ...stream], [...stream, rows], [stream[0], rows, stream[1], stream[2]]]) {
    const state = fresh(joined({ running: ["s"] }), ...events);
    assert.deepEqual(shape(state), [["why", "be", "streaming"]]);
    assert.equal(last(state).id, "q1");
  }
});

test("the history of a reload keeps how each answer ended", () => {
  const state = fresh(joined(), history([
    ...pair(1, "one", "first"),
    ...pair(2, "two", "sec", { status: "cancelled" }),
    ...pair(3, "three", "thi", { status: "interrupted" }),
    ...pair(4, "four", "", { status: "error" }),
  ]));
  assert.deepEqual(state.turns.map((turn) => turn.status), ["complete", "cancelled", "interrupted", "error"]);
});

test("a resumed answer goes on where it was", () => {
  const lost = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "be"), drop);
  assert.deepEqual(unfinished(lost), { stream_id: "s", seq: 2 });
  const rows = history(pair(1, "why", "be", { status: "streaming" }));
  const state = after(lost, joined({ resume: "ok", running: ["s"] }), token(3, "cause"), rows, complete(4, "because"));
  assert.deepEqual(shape(state), [["why", "because", "complete"]]);
});

test("an answer that ended while the connection was gone is told to the end by its resumption", () => {
  const lost = fresh(...connected, asked("why"), sent("why"), start("why"), drop);
  const state = after(lost, joined({ resume: "ok" }), history(pair(1, "why", "because")), token(2, "because"), complete(3, "because"));
  assert.deepEqual(shape(state), [["why", "because", "complete"]]);
  assert.equal(last(state).answer_id, "a1");
});

test("after a restart of the server the history says what is left of an answer", () => {
  const lost = fresh(...connected, asked("why"), sent("why"), start("why"), token(2, "because"), drop);
  const state = after(lost, joined({ resume: "gone" }), history(pair(1, "why", "becau", { status: "interrupted" })));
  assert.deepEqual(shape(state), [["why", "becau", "interrupted"]]);
  assert.equal(unfinished(state), null);
});

test("a question lost with the connection goes back to the composer", () => {
  const state = fresh(...connected, asked("why"), sent("why"), drop, joined(), history());
  assert.deepEqual(state.turns, []);
  assert.equal(state.draft, "why");
  assert.equal(state.notice.code, "not_received");
});

test("a question that arrived although the connection broke at once is recognised", () => {
  const lost = fresh(...connected, asked("why"), sent("why"), drop, joined({ running: ["s"] }));
  const told = [{ type: "question", stream_id: "s", query: "why" }, start("why"), token(2, "be")];
  assert.deepEqual(shape(after(lost, ...told, history(pair(1, "why", "", { status: "streaming" })))), [["why", "be", "streaming"]]);
  const ended = fresh(...connected, asked("why"), sent("why"), drop, joined(), history(pair(1, "why", "because")));
  assert.deepEqual(shape(ended), [["why", "because", "complete"]]);
  assert.equal(ended.draft, "");
});

test("a lost question is not taken for an equal one answered before", () => {
  const answered = fresh(...connected, asked("why", "k1"), sent("k1"), start("why"), complete(2, "because"));
  const state = after(answered, asked("why", "k2"), sent("k2", "9"), drop, joined(), history(pair(1, "why", "because")));
  assert.deepEqual(shape(state), [["why", "because", "complete"]]);
  assert.equal(state.draft, "why");
});

test("two questions lost together both stay: one in the composer, one on the page", () => {
  const state = fresh(...connected, asked("one"), sent("one"), asked("two"), sent("two", "6"), drop, joined(), history());
  assert.equal(state.draft, "one");
  assert.deepEqual(shape(state), [["two", "", "refused"]]);
});

test("an answer that ends while the history is on its way stays complete", () => {
  const state = fresh(
    joined({ running: ["s"] }),
    { type: "question", stream_id: "s", query: "why" }, start("why"), complete(2, "because"),
    history(pair(1, "why", "", { status: "streaming" })),
  );
  assert.deepEqual(shape(state), [["why", "because", "complete"]]);
});

test("turns keep their keys through every reading of the history", () => {
  const first = fresh(...connected, asked("why", "k"), sent("k"), start("why"), complete(2, "because"));
  const state = after(first, drop, joined(), history(pair(1, "why", "because")));
  assert.deepEqual(state.turns.map((turn) => turn.key), ["k"]);
});

test("earlier messages are put before the rest, also where a page cut a turn in two", () => {
  const newest = fresh(joined(), history(pair(2, "two", "second").slice(1), { total_messages: 4 }));
  assert.equal(earliest(newest), "a2");
  const whole = reduce(newest, history([...pair(1, "one", "first"), row("q2", "user", "two")], { total_messages: 4, earlier: true }));
  assert.deepEqual(shape(whole), [["one", "first", "complete"], ["two", "second", "complete"]]);
  assert.equal(earliest(whole), null);
});

test("a history that meets nothing on the page replaces it: the hole between can be read again", () => {
  const old = fresh(joined(), history(pair(1, "one", "first"), { total_messages: 2 }));
  const state = after(old, drop, joined(), history(pair(9, "nine", "ninth"), { total_messages: 18 }));
  assert.deepEqual(shape(state), [["nine", "ninth", "complete"]]);
  assert.equal(earliest(state), "q9");
});

test("withdrawing an unsent question gives its words back, before those being typed", () => {
  const state = fresh(asked("why", "k"), { type: "typed", text: "and how" }, { type: "withdrawn", key: "k" });
  assert.deepEqual(state.turns, []);
  assert.equal(state.draft, "why\n\nand how");
});

test("the time since when there is no connection survives the failed tries", () => {
  const state = fresh(...connected, drop, { type: "waiting", since: 9000, retry_at: 9500 });
  assert.deepEqual(state.connection, { is: "waiting", since: 1000, retry_at: 9500 });
  assert.deepEqual(reduce(state, joined()).connection, { is: "connected" });
});

test("an event without a step fails loudly", () => {
  assert.throws(() => fresh({ type: "surprise" }), /surprise/);
});

test("asking empties the composer, unless something else was asked than what is in it", () => {
  const typed = fresh({ type: "typed", text: " why\n" });
  assert.equal(reduce(typed, asked("why")).draft, "");
  assert.equal(reduce(typed, asked("an example")).draft, " why\n");
});

// ---- branches

const told = (n, more = {}) => pair(n, `question ${n}`, `answer ${n}`, more);
const three = [...connected.slice(0, 1), history([...told(1), ...told(2), ...told(3)])];
const asks = (state) => state.turns.map(({ question }) => question);

test("an edited question takes the place of the other and of what stands below it", () => {
  const state = fresh(...three, { type: "asked", key: "new", query: "instead", edits: "q2" });
  assert.deepEqual(asks(state), ["question 1", "instead"]);
  assert.equal(last(state).edits, "q2");
});

test("the history names the versions once the edited question is answered", () => {
  const events = [sent("new"), start("instead"), token(2, "so"), complete(3, "so", { finish_reason: "stop", message_id: "a4" })];
  const state = after(fresh(...three, { type: "asked", key: "new", query: "instead", edits: "q2" }), ...events);
  assert.equal(state.reread, 1);
  const rows = [...told(1), row("q4", "user", "instead", { siblings: ["q2", "q4"] }), row("a4", "assistant", "so", { parent: "q4" })];
  const read = reduce(state, history(rows));
  assert.deepEqual(asks(read), ["question 1", "instead"]);
  assert.deepEqual(last(read).siblings.question, ["q2", "q4"]);
  assert.equal(last(read).key, "new");
});

test("an edited question that is refused goes back to the draft, and the branch it left is read again", () => {
  const edited = fresh(...three, { type: "asked", key: "new", query: "instead", edits: "q2" }, sent("new"));
  const state = reduce(edited, { type: "error", ref: "5", error: "server_busy", message: "Later." });
  assert.equal(state.draft, "instead");
  assert.equal(state.reread, 1);
  assert.deepEqual(asks(reduce(state, history([...told(1), ...told(2), ...told(3)]))), ["question 1", "question 2", "question 3"]);
});

const requested = (event, key = "q2") => ({ type: "requested", key, ref: "9", event });

test("answering again empties the answer and what stands below it goes with its branch", () => {
  const state = fresh(...three, requested("regenerate"));
  assert.deepEqual(shape(state), [["question 1", "answer 1", "complete"], ["question 2", "", "sent"]]);
  const again = after(state, start("question 2", { ref: "9", message_id: "a9" }), token(2, "better", { ref: "9" }));
  assert.deepEqual(shape(again).at(-1), ["question 2", "better", "streaming"]);
  assert.equal(last(again).answer_id, "a9");
});

test("an answer that goes on keeps its text on the page until it comes again", () => {
  const state = fresh(...three, requested("continue", "q3"), start("question 3", { ref: "9", message_id: "a3" }));
  assert.equal(last(state).answer, "answer 3");
  const going = after(state, token(2, "answer 3", { ref: "9" }), token(3, " and more", { ref: "9" }));
  assert.equal(last(going).answer, "answer 3 and more");
});

test("a refused request leaves everything to the history", () => {
  const state = reduce(fresh(...three, requested("continue", "q2")), { type: "error", ref: "9", error: "invalid_params", message: "It is complete." });
  assert.equal(state.notice.sentence, "It is complete.");
  assert.equal(state.reread, 1);
  const read = reduce(state, history([...told(1), ...told(2), ...told(3)]));
  assert.deepEqual(shape(read).map(([, answer]) => answer), ["answer 1", "answer 2", "answer 3"]);
});

test("a request that is stopped before its turn does not send the question back to the draft", () => {
  const state = after(fresh(...three, requested("regenerate", "q3")), { type: "queued", ref: "9", stream_id: "s", seq: 1, place: 1 });
  const stopped = reduce(state, complete(2, "", { finish_reason: "cancelled", message_id: null }));
  assert.equal(stopped.draft, "");
  assert.equal(stopped.reread, 1);
});

test("another branch keeps what is above it, and its history fills in the rest", () => {
  const versions = { siblings: ["a2", "a5"] };
  const rows = [...told(1), row("q2", "user", "question 2"), row("a2", "assistant", "answer 2", { parent: "q2", ...versions }), ...told(3)];
  const state = reduce(fresh(joined(), history(rows)), { type: "branch", message_id: "a5" });
  assert.deepEqual(asks(state), ["question 1", "question 2"]);
  assert.equal(state.reread, 1);
  const other = [...told(1), row("q2", "user", "question 2"), row("a5", "assistant", "answer 5", { parent: "q2", ...versions })];
  assert.deepEqual(shape(reduce(state, history(other))).at(-1), ["question 2", "answer 5", "complete"]);
});

test("a follower sees another device answer again, edit and go on", () => {
  const heard = { type: "question", stream_id: "s", query: "question 2" };
  const again = reduce(fresh(...three), { ...heard, regenerates: "a2" });
  assert.deepEqual(shape(again).at(-1), ["question 2", "", "sent"]);
  const on = after(fresh(...three), { ...heard, query: "question 3", continues: "a3" }, start("question 3", { ref: "77" }));
  assert.equal(last(on).answer, "answer 3");
  const edited = reduce(fresh(...three), { ...heard, query: "instead", edits: "q2" });
  assert.deepEqual(asks(edited), ["question 1", "instead"]);
});

// ---- what is told on the way to an answer

const begun = fresh(...connected, asked("why"), sent("why"), start("why"));

test("reading is told until the answer begins", () => {
  const state = reduce(begun, { type: "progress", stream_id: "s", ref: "5", read: 512, total: 3000 });
  assert.deepEqual(last(state).read, { read: 512, total: 3000 });
  assert.equal(last(reduce(state, token(2, "be"))).read, null);
  const late = { type: "progress", stream_id: "s", ref: "5", read: 3000, total: 3000 };
  assert.equal(last(after(state, token(2, "be"), late)).read, null);
});

test("thoughts are kept apart, and the closing event has the last word on them", () => {
  const thinking = after(begun, { type: "stream_thought", stream_id: "s", ref: "5", seq: 2, token: "hm" });
  assert.equal(last(thinking).thoughts, "hm");
  assert.equal(last(thinking).answer, "");
  const metadata = { finish_reason: "stop", message_id: "a1", thoughts: "hm, yes" };
  assert.equal(last(after(thinking, token(3, "yes"), complete(4, "yes", metadata))).thoughts, "hm, yes");
});

test("passages are known before the first word", () => {
  const state = reduce(begun, { type: "sources", stream_id: "s", ref: "5", seq: 2, sources: [{ n: 1 }] });
  assert.deepEqual(last(state).sources, [{ n: 1 }]);
});

test("a rating is shown once the server has it, and is there after a reload", () => {
  const state = reduce(fresh(...three), { type: "feedback", message_id: "a2", rating: "down" });
  assert.deepEqual(state.turns.map(({ rating }) => rating), [null, "down", null]);
  assert.equal(last(fresh(joined(), history(told(1, { rating: "up" })))).rating, "up");
});

test("a copy of the history is shown until the channel's own comes; an empty one is no news", () => {
  const copied = fresh({ ...history(told(1)), copy: true });
  assert.deepEqual([copied.loaded, asks(copied)], [true, ["question 1"]]);
  assert.equal(fresh({ ...history(), copy: true }).loaded, false);
  assert.deepEqual(asks(after(copied, joined(), history([...told(1), ...told(2)]))), ["question 1", "question 2"]);
});

test("who is signed out keeps what was written", () => {
  const state = fresh(...connected, { type: "typed", text: "half a" }, { type: "signed_out" });
  assert.deepEqual([state.connection.is, state.draft], ["signed_out", "half a"]);
});
