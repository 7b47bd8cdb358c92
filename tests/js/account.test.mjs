// Who uses the page, what they may do, and whom a document is shared with.

import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "../../static/js/i18n.js";
import { takeCode } from "../../static/js/router.js";
import { codeIn, credentialOf, deviceName, hasToSignIn, isAdmin, isOpenToReaders, mayBring, sayClock, sayDeleted, sayNotSignedIn, secondsLeft, startAccount, tokenRows, withSession } from "../../static/js/state/account.js";
import { reduce, startConversation } from "../../static/js/state/conversation.js";
import { audienceOf, namesOf, readAudience, saySharing } from "../../static/js/state/sharing.js";
import { sayRefused } from "../../static/js/state/wording.js";

const english = await wordsOf("en");
const portuguese = await wordsOf("pt-BR");
const PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";

// ---- signing in

test("only a server that asks, and knows nobody, has to be signed in to", () => {
  assert.ok(!hasToSignIn(startAccount()));
  assert.ok(!hasToSignIn(withSession({ authentication: false, user: "local", role: "admin" })));
  assert.ok(!hasToSignIn(withSession({ authentication: true, user: "ana", role: "user" })));
  assert.ok(hasToSignIn(withSession({ authentication: true, user: null, role: null })));
});

test("what nobody has said yet keeps nobody from asking, and shows nobody what is for admins", () => {
  assert.deepEqual([mayBring(startAccount()), isAdmin(startAccount())], [true, false]);
  const as = (role) => withSession({ authentication: true, user: "x", role });
  assert.deepEqual(["admin", "user", "guest"].map((role) => [mayBring(as(role)), isAdmin(as(role))]), [[true, true], [true, false], [false, false]]);
});

for (const [text, credential] of [
  ["  nb_abc\n", { token: "nb_abc" }],
  ["https://10.0.0.2:4000/#/pair/nb_x-1", { code: "nb_x-1" }],
  ["  http://bridge.local:4000/?language=en#/pair/nb_x ", { code: "nb_x" }],
  ["#/pair/a%2Fb", { code: "a/b" }],
  ["a.b.c", { token: "a.b.c" }],
]) {
  test(`${text.trim()} signs in by its ${Object.keys(credential)}`, () => assert.deepEqual(credentialOf(text), credential));
}

for (const hash of ["#/pair/", "#/c/pair/x", "#/documents", "", "#/pair/a/b"]) {
  test(`${hash || "nothing"} is no code`, () => assert.equal(codeIn(hash), null));
}

test("a code leaves the address, which keeps the rest", () => {
  const told = [];
  const window = { location: { hash: "#/pair/nb_x", pathname: "/", search: "?language=en" }, history: { replaceState: (...given) => told.push(given.at(-1)) } };
  assert.equal(takeCode(window), "nb_x");
  assert.equal(takeCode(window, "#/c/1"), "nb_x");
  assert.deepEqual(told, ["/?language=en", "/?language=en#/c/1"]);
  assert.equal(takeCode({ ...window, location: { ...window.location, hash: "#/c/1" } }), null);
  assert.equal(told.length, 2);
});

test("why nobody was let in is said with what helps", () => {
  const say = (refusal, isCode = false) => sayNotSignedIn({ sentence: null, retryAfterSeconds: null, ...refusal }, { isCode, at: Date.UTC(2026, 0, 1) }, english);
  assert.match(say({ code: "signed_out" }), /Check that all of it was copied/);
  assert.match(say({ code: "signed_out" }, true), /Make a new one on the other device/);
  assert.match(say({ code: "unreachable" }), /cannot be reached/);
  const at = new Date(Date.UTC(2026, 0, 1) + 42_000).toLocaleTimeString("en");
  assert.ok(say({ code: "rate_limited", retryAfterSeconds: 42 }).includes(at));
  assert.equal(say({ code: "invalid_params", sentence: "token has 9000 characters." }), "token has 9000 characters.");
  assert.equal(say({ code: "unknown" }), english.failures.unknown);
});

test("whoever is signed out comes back by signing in, with draft and question", () => {
  let state = reduce(startConversation({ draft: "half" }), { type: "asked", key: "k", query: "why" });
  state = reduce(state, { type: "signed_out" });
  for (const event of [{ type: "waiting", since: 1, retry_at: 2 }, { type: "turned_away", reason: "unauthorized" }]) {
    state = reduce(state, event);
    assert.equal(state.connection.is, "signed_out");
  }
  state = reduce(reduce(state, { type: "signed_in" }), { type: "waiting", since: 1, retry_at: 2 });
  assert.equal(state.connection.is, "waiting");
  assert.deepEqual([state.draft, state.turns[0].question, state.turns[0].status], ["half", "why", "unsent"]);
});

test("what a role or a rate forbids is said in the person's language", () => {
  for (const words of [english, portuguese]) {
    assert.equal(sayRefused({ code: "forbidden" }, words), words.notAllowed);
    assert.ok(sayRefused({ code: "rate_limited", retryAfterSeconds: 7 }, words).includes("7 s"));
    assert.equal(sayRefused({ code: "not_found" }, words), null);
  }
});

// ---- devices

test("a device goes by its browser and system, another by what it says", () => {
  assert.equal(deviceName(PIXEL), "Chrome \u00b7 Android");
  assert.equal(deviceName("curl/8.1"), "curl/8.1");
});

test("tokens are told the newest first, and whose they are where they are another's", () => {
  const token = (more) => ({ id: "1", user: "ana", kind: "token", label: "", created_at: "2026-01-02T00:00:00+00:00", expires_at: null, ...more });
  const rows = tokenRows([token(), token({ id: "2", user: "ben", kind: "device", label: PIXEL, expires_at: "2026-03-02T12:00:00+00:00" })], "ana", english);
  assert.deepEqual(rows.map(({ id, name }) => [id, name]), [["2", "Chrome \u00b7 Android"], ["1", "Token 1"]]);
  assert.match(tokenRows([token({ current: true })], "ana", english)[0].told, /^used here \u00b7 since/);
  assert.match(rows[0].told, /^of ben \u00b7 since .* \u00b7 until 2 Mar 2026$/);
  assert.match(rows[1].told, /^since .* \u00b7 no end$/);
});

test("the time of a code runs out", () => {
  const expires = "2026-01-01T00:10:00+00:00", start = Date.UTC(2026, 0, 1);
  assert.deepEqual([0, 1, 599_500, 700_000].map((ms) => secondsLeft(expires, start + ms)), [600, 600, 1, 0]);
  assert.deepEqual([600, 61, 9].map(sayClock), ["10:00", "1:01", "0:09"]);
});

test("only plain http to another machine can be read on the way", () => {
  const open = (protocol, hostname) => isOpenToReaders({ protocol, hostname });
  assert.ok(open("http:", "192.168.1.5") && open("http:", "bridge.local"));
  for (const host of ["localhost", "127.0.0.1", "[::1]", "a.localhost"]) assert.ok(!open("http:", host), host);
  assert.ok(!open("https:", "192.168.1.5"));
});

test("what went is told by what there was", () => {
  assert.equal(sayDeleted({ conversations: 2, documents: 1, tokens: 0, other: 9 }, english), "Deleted: 2 conversations and 1 document.");
  assert.equal(sayDeleted({ conversations: 1 }, portuguese), "Apagado: 1 conversa.");
  assert.equal(sayDeleted({}, english), english.yours.deleted.nothing);
});

// ---- sharing

test("an audience is nobody, everybody, or some by name", () => {
  assert.deepEqual([[], ["*"], ["ana"]].map(audienceOf), ["nobody", "everybody", "some"]);
  assert.deepEqual(namesOf(["*", "ana"]), ["ana"]);
  assert.deepEqual(readAudience("nobody", "ana"), { sharedWith: [] });
  assert.deepEqual(readAudience("everybody", ""), { sharedWith: ["*"] });
  assert.deepEqual(readAudience("some", " ana, ben;ana  jo\u00e3o@x.org"), { sharedWith: ["ana", "ben", "jo\u00e3o@x.org"] });
});

test("what is no name is named, and so is that there is none", () => {
  assert.deepEqual(readAudience("some", "ana, b/n"), { wrong: "b/n" });
  assert.deepEqual(readAudience("some", "*"), { wrong: "*" });
  assert.deepEqual(readAudience("some", " , "), { wrong: null });
});

test("a document says whose it is and with whom it is shared", () => {
  const say = (document) => saySharing(document, english.documents);
  assert.equal(say({}), ""); // a server that does not tell
  assert.equal(say({ mine: true, owner: "ana", shared_with: [] }), "");
  assert.equal(say({ mine: true, owner: "ana", shared_with: ["*"] }), "shared with everybody");
  assert.equal(say({ mine: true, owner: "ana", shared_with: ["a", "b", "c"] }), "shared with a, b and 1 more");
  assert.equal(say({ mine: false, owner: "ana" }), "shared by ana");
});
