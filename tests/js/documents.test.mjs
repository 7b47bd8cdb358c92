// Documents on their way into the library, the list of them, and what is said of both.

import assert from "node:assert/strict";
import { test } from "node:test";

import en from "../../static/js/i18n/en.js";
import ptBR from "../../static/js/i18n/pt-BR.js";
import { sayEnd, sayEntry, sayFolders, sayRefusal, saySummary, sayUnavailable } from "../../static/js/state/documents.js";
import { stagesOf, verdictOf } from "../../static/js/state/explanation.js";
import { isSkipped, modifiedOf, named, sorted } from "../../static/js/state/files.js";
import { Intake } from "../../static/js/state/intake.js";
import { fitting } from "../../static/js/state/found.js";
import { PAGE, documentAt, hiding, rowsNear, rowsOf, stale, startLibrary, wanted, withPage } from "../../static/js/state/library.js";
import { Pace } from "../../static/js/state/pace.js";
import { snippetOf, termsOf } from "../../static/js/state/snippet.js";

const words = en.documents;

function file(path, size = 100_000) {
  return { path, file: { size, name: path } };
}

function intakeOf(count, size) {
  const intake = new Intake();
  intake.add(Array.from({ length: count }, (_, at) => file(`f${at}.txt`, size)), 0, 0);
  return intake;
}

function job(id, state, more = {}) {
  return { processing_job_id: id, source_document: `${id}.txt`, state, progress: 0, passages: 0, document_id: null, code: null, error: null, updated_at: "2026-01-01T00:00:00Z", ...more };
}

function send(intake, id, at = 0) {
  const entry = intake.next(at);
  intake.sending(entry, at);
  intake.accepted(entry, id, at);
  return entry;
}

// ---- which files

for (const [path, skipped] of [
  ["notes.txt", false],
  ["folder/sub/notes.txt", false],
  [".DS_Store", true],
  ["folder/.git/config", true],
  ["folder/Thumbs.db", true],
  ["folder/desktop.ini", true],
  ["folder/~$letter.docx", true],
  ["folder/node_modules/a/readme.md", true],
  ["node_modules", false],
]) {
  test(`${path} is ${skipped ? "left out" : "taken"}`, () => assert.equal(isSkipped(path), skipped));
}

test("a file's key is its path in the folder that was given", () => {
  const chosen = named({ name: "a.txt", webkitRelativePath: "folder/sub/a.txt" });
  const dropped = named({ file: {}, path: "/folder/sub/a.txt" });
  assert.deepEqual([chosen.path, dropped.path, named({ name: "a.txt" }).path], ["folder/sub/a.txt", "folder/sub/a.txt", "a.txt"]);
});

test("what is left out is counted", () => {
  const { files, skipped } = sorted([{ name: "a.txt" }, { name: ".hidden" }]);
  assert.deepEqual([files.length, skipped], [1, 1]);
});

// ---- how fast

test("the rate counts what happened in the window only", () => {
  const pace = new Pace(1000);
  for (const [at, done] of [[0, 0], [1000, 9000], [2000, 9100], [3000, 9200]]) pace.tell(at, done);
  assert.equal(Math.round(pace.rate(3000)), 100);
});

test("as long as it is a guess there is no rate and no time left", () => {
  const pace = new Pace(5000);
  pace.tell(0, 0);
  pace.tell(500, 100);
  assert.deepEqual([pace.rate(500), pace.left(500, 1000)], [null, null]);
});

test("a file that is sent says how far, how fast and for how long", () => {
  const intake = intakeOf(1, 10_000_000);
  const entry = intake.next(0);
  intake.sending(entry, 0);
  intake.sent(entry, 2_000_000, 1000);
  intake.sent(entry, 4_000_000, 2000);
  assert.equal(sayEntry(entry, 2000, words), "sending 40 % \u00b7 2 MB/s \u00b7 3 s left");
});

test("nothing that stands still says when it will end", () => {
  const intake = intakeOf(1, 10_000_000);
  const entry = intake.next(0);
  intake.sending(entry, 0);
  intake.sent(entry, 1_000_000, 1000);
  intake.sent(entry, 1_000_000, 9000);
  intake.sent(entry, 1_000_000, 18_000);
  assert.equal(sayEntry(entry, 18_000, words), "sending 10 %");
});

test("many files say how many have ended and how long the rest takes", () => {
  const intake = intakeOf(340);
  for (let at = 0; at < 12; at += 1) {
    send(intake, `j${at}`, at * 1000);
    intake.merge([job(`j${at}`, "done")], at * 1000 + 500);
  }
  assert.equal(saySummary(intake.summary(12_000), true, words), "12 of 340 \u00b7 about 5 min left");
});

test("files that are sent in a moment do not make the server's work look short", () => {
  const intake = intakeOf(10);
  for (let at = 0; at < 10; at += 1) send(intake, `j${at}`, 100);
  const early = intake.summary(5000).secondsLeft;
  intake.merge([job("j0", "done")], 10_000);
  assert.deepEqual([early, Math.round(intake.summary(10_000).secondsLeft)], [null, 90]);
});

// ---- the server's jobs

test("a job's states are said in words", () => {
  const intake = intakeOf(1);
  const entry = send(intake, "j");
  const said = [sayEntry(entry, 0, words)];
  for (const told of [job("j", "reading"), job("j", "embedding", { progress: 0.4 }), job("j", "done", { passages: 120 })]) {
    intake.merge([told], 0);
    said.push(sayEntry(entry, 0, words));
  }
  assert.deepEqual(said, ["sent, waiting to be read", "reading", "indexing, 40 %", "ready \u00b7 120 passages"]);
});

test("after a reload what is under way is shown, what was done before is not", () => {
  const intake = new Intake();
  intake.merge([job("a", "embedding", { progress: 0.5 }), job("b", "done"), job("c", "queued")], 0);
  assert.deepEqual(intake.listed().entries.map(({ name }) => name), ["c.txt", "a.txt"]);
});

test("a failure of before is shown until it was cleared away", () => {
  const failed = job("a", "failed", { error: "a.txt is empty.", updated_at: "2026-01-01T10:00:00Z" });
  const counts = ["", "2026-01-01T10:00:00Z"].map((since) => {
    const intake = new Intake();
    intake.merge([failed], 0, since);
    return intake.listed().entries.length;
  });
  assert.deepEqual(counts, [1, 0]);
});

test("a failure of before is none of the files sent now", () => {
  const intake = new Intake();
  intake.merge([job("old", "failed", { error: "x" }), job("other", "reading")], 0);
  intake.add([file("new.txt")], 0, 0);
  assert.deepEqual([intake.summary(0).total, intake.summary(0).failed, intake.refusals().length], [2, 0, 0]);
});

test("a job that a look told of before its sender heard of it is one file still", () => {
  const intake = intakeOf(1);
  const entry = intake.next(0);
  intake.sending(entry, 0);
  intake.merge([job("j", "embedding", { progress: 0.5 })], 0);
  intake.accepted(entry, "j", 0);
  assert.deepEqual([intake.entries.size, entry.state, entry.name], [1, "embedding", "f0.txt"]);
});

test("jobs beyond the end of the server's list are asked for one by one, a few at a time", () => {
  const intake = intakeOf(20);
  for (let at = 0; at < 20; at += 1) send(intake, `j${at}`);
  assert.deepEqual(intake.missing([job("j0", "queued")], 3), ["j1", "j2", "j3"]);
});

test("a busy server gets the same file again, when it said, and no other before", () => {
  const intake = intakeOf(2);
  const first = intake.next(0);
  intake.sending(first, 0);
  intake.postponed(first, { until: 5000, why: "busy" }, 0);
  assert.deepEqual([intake.next(4999), intake.next(5000) === first], [null, true]);
});

test("what was given up is gone, whatever is told of it later", () => {
  const intake = intakeOf(2);
  const entry = intake.next(0);
  intake.sending(entry, 0);
  intake.drop(entry);
  intake.sent(entry, 50, 10);
  intake.refused(entry, { code: "x" }, 20);
  assert.deepEqual([intake.summary(20).total, intake.summary(20).failed], [1, 0]);
});

test("files added when all of before have ended begin a count of their own", () => {
  const intake = intakeOf(1);
  send(intake, "j");
  intake.merge([job("j", "done")], 0);
  intake.add([file("b.txt"), file("c.txt")], 1, 0);
  assert.deepEqual([intake.summary(0).total, intake.summary(0).ended, intake.summary(0).skipped], [2, 0, 1]);
});

// ---- which of many are listed

test("a few are all listed, in the order they came", () => {
  const intake = intakeOf(3);
  send(intake, "j");
  intake.merge([job("j", "done")], 0);
  assert.deepEqual(intake.listed().entries.map(({ name }) => name), ["f0.txt", "f1.txt", "f2.txt"]);
});

test("of many only those under way or failed are listed, bounded, and the rest is counted", () => {
  const intake = intakeOf(5000);
  for (let at = 0; at < 100; at += 1) send(intake, `j${at}`);
  intake.merge([...Array.from({ length: 98 }, (_, at) => job(`j${at}`, "done")), job("j98", "failed", { error: "x" }), job("j99", "reading")], 0);
  const { entries, more } = intake.listed(50);
  assert.deepEqual([entries.length, more, entries[0].name, entries[1].name], [50, 4852, "f99.txt", "f98.txt"]);
});

test("the work done is the work there was when all has ended", () => {
  const intake = intakeOf(50);
  for (let at = 0; at < 50; at += 1) send(intake, `j${at}`);
  intake.merge(Array.from({ length: 50 }, (_, at) => job(`j${at}`, at % 2 ? "done" : "failed")), 0);
  assert.ok(Math.abs(intake.work.done - intake.work.total) < 1e-3);
});

// ---- what is said

for (const [refusal, said] of [
  [{ code: "document_refused", reason: "encrypted", sentence: "a.pdf is encrypted." }, words.refused.encrypted],
  [{ code: "document_too_large", reason: null, sentence: "a.pdf has more than 9 bytes." }, "has more than 9 bytes"],
  [{ code: "document_too_large", reason: null, sentence: null }, words.refused.too_large],
  [{ code: "document_refused", reason: null, sentence: "a.pdf is odd." }, "is odd"],
  [{ code: "document_refused", reason: "a_new_one", sentence: "It is odd." }, "It is odd"],
  [{ code: "unknown", reason: "constructor", sentence: null }, words.refusedUnknown],
]) {
  test(`a refusal ${JSON.stringify(refusal)} is said as "${said}"`, () => assert.equal(sayRefusal(refusal, words, "a.pdf"), said));
}

test("what is beyond a limit is said with its numbers in every language", () => {
  const { documents } = ptBR;
  const refusal = { code: "document_too_large", reason: "too_many_passages", sentence: "a.pdf makes 12 passages; a document may have 9." };
  assert.equal(sayRefusal(refusal, documents, "a.pdf"), `${documents.refused.too_many_passages}: makes 12 passages; a document may have 9`);
});

test("the end of a drop says what was refused, why, and what was left out", () => {
  const refused = [{ name: "folder/a.pdf", refusal: { reason: "empty" } }];
  assert.equal(sayEnd({ ready: 11, failed: 2, skipped: 3 }, refused, words), "11 documents are ready. 2 could not be read: a.pdf (empty); and others. 3 hidden or system files were left out.");
});

test("documents that are off, unavailable or loading each say so", () => {
  const said = [null, { status: "ok" }, { status: "off" }, { status: "unavailable", reason: "Run scripts/setup." }, { status: "loading" }].map((health) => sayUnavailable(health, words));
  assert.deepEqual(said, [null, null, words.off, "Documents cannot be used now. Run scripts/setup.", words.loading]);
});

test("the line of the folders tells the worst of them", () => {
  const folders = [{ code: "up_to_date", count: null, problems: [] }, { code: "reading", count: 3, problems: [{ file: "a", reason: "b" }] }];
  assert.equal(sayFolders(folders, words), "2 folders \u00b7 reading 3 files \u00b7 1 could not be read");
});

test("both languages have the same words for documents, and each says something", () => {
  const shape = (value) => (typeof value === "object" ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key])])) : typeof value);
  assert.deepEqual(shape(ptBR.documents), shape(words));
});

// ---- the list

function listed(from, count) {
  return Array.from({ length: count }, (_, at) => ({ document_id: `d${from + at}` }));
}

test("only the pages are read that are near", () => {
  const library = withPage(startLibrary(), 0, { documents: listed(0, PAGE), total: 10_000 });
  assert.deepEqual([wanted(library, 0, 20), wanted(library, 95, 105), wanted(library, 5190, 5205)], [[], [100], [5100, 5200]]);
});

test("a document about to be deleted leaves no gap, and comes back to its place", () => {
  const library = withPage(startLibrary(), 0, { documents: listed(0, 5), total: 5 });
  const without = hiding(library, new Set(["d0", "d3"]));
  const rows = (of) => Array.from({ length: rowsOf(of) }, (_, row) => documentAt(of, row).document_id);
  assert.deepEqual([rows(without), rows(hiding(without, new Set())).length], [["d1", "d2", "d4"], 5]);
});

test("what the server has anew is read, and shown as before until then", () => {
  const library = stale(withPage(startLibrary(), 0, { documents: listed(0, 5), total: 5 }));
  assert.deepEqual([documentAt(library, 4).document_id, wanted(library, 0, 4)], ["d4", [0]]);
});

test("rows near the window are those in it and a few beside", () => {
  assert.deepEqual([rowsNear(-300, 800, 64, 10_000), rowsNear(64_000, 640, 64, 10_000), rowsNear(0, 800, 64, 3)], [{ from: 0, to: 16 }, { from: 992, to: 1018 }, { from: 0, to: 2 }]);
});

// ---- what was found, and why not

test("words that were looked for are marked, filters are not looked for", () => {
  assert.deepEqual(termsOf('warranty of XK-204 file:"pump manual" -old after:2023'), ["warranty", "xk-204"]);
});

test("a snippet stands about the first word that was looked for", () => {
  const parts = snippetOf(`${"a long beginning ".repeat(30)}the warranty of the pump`, "warranty");
  assert.deepEqual([parts[0].text.startsWith("\u2026 "), parts.filter(({ hit }) => hit)], [true, [{ text: "warranty", hit: true }]]);
});

test("signs in a question are no pattern", () => {
  const hits = snippetOf("a.body (cable[door axbody", "(cable[door a.body+ \\").filter(({ hit }) => hit);
  assert.deepEqual(hits.map(({ text }) => text), ["a.body", "cable", "door"]);
});

for (const [expected, verdict] of [
  ["found: place 2, with a score of 0.91", { lost: null, place: 2, score: 0.91 }],
  ["lost at the threshold: its score is 6e-05, below 0.5 (place 12)", { lost: "threshold", score: 6e-5, threshold: 0.5, place: 12 }],
  ["lost at the budget: place 7, and the best 5 go into an answer", { lost: "budget", place: 7, most: 5 }],
  ["lost before fusion: it is in the library, and not among the 50 nearest in meaning nor the 50 best by words", { lost: "fusion" }],
  ["lost before fusion: it is in the library, and not among the 50 nearest in meaning nor the 50 best by words, or a filter leaves it out", { lost: "filter" }],
  ["not in the library: no document has that name, that id, or that text", { lost: "library" }],
  ["nothing was found", { lost: "nothing" }],
  ["something new", null],
]) {
  test(`the server's "${expected.slice(0, 40)}" is understood`, () => assert.deepEqual(verdictOf({ expected }), verdict));
}

test("each stage says what became of the expected passage", () => {
  const row = { document_id: "d", source_document: "x/pump.md", text: "The warranty", score: 0.1, start: 0, end: 5 };
  const other = { ...row, document_id: "e", source_document: "old.md" };
  const stage = (name, kept, lost) => ({ stage: name, says: "", kept, lost });
  const stages = [stage("vector", [other, row], []), stage("full_text", [other], []), stage("fusion", [other, row], []), stage("threshold", [other], [row]), stage("budget", [other], [])];
  const told = stagesOf({ stages, expected: "lost at the threshold: its score is 0.1, below 0.5 (place 2)" }, "pump.md");
  assert.deepEqual(told.map(({ fate, place }) => [fate, place]), [["kept", 2], ["absent", null], ["kept", 2], ["lost", 2], ["absent", null]]);
});

test("a date that no calendar of the server has is not sent", () => {
  const dates = [0, 8.64e15, -8.64e15, Number.NaN].map((lastModified) => modifiedOf({ lastModified }));
  assert.deepEqual(dates, ["1970-01-01T00:00:00.000Z", null, null, null]);
});

test("beside passages that fit, those that do not at all are left out; alone they are shown", () => {
  const [good, none] = [{ score: 0.88 }, { score: 0.001 }];
  assert.deepEqual([fitting([good, none]), fitting([none])], [[good], [none]]);
});
