// What is said of documents, in the words of a language: states, refusals, what a drop came to. Pure.

import { speedOf } from "./intake.js";

const REASONS = { duplicate_document: "duplicate", document_too_large: "too_large", unknown_format: "unknown_format" }; // by code, where no reason is told

const MEASURED = ["too_large", "too_many_passages", "too_slow", "too_much_memory"]; // of which the server's sentence has the numbers

/** How a file on its way stands. */
export function sayEntry(entry, at, words) {
  switch (entry.state) {
    case "waiting":
      return words.waiting;
    case "sending":
      return saySending(entry, at, words);
    case "queued":
      return words.queued;
    case "reading":
      return words.reading;
    case "embedding":
      return words.embedding(percent(entry.progress));
    case "done":
      return words.ready(entry.passages);
    case "failed":
      return words.notRead(sayRefusal(entry.refusal, words, entry.name));
    default:
      throw new Error(`no such state: ${entry.state}`);
  }
}

function saySending(entry, at, words) {
  const { rate, secondsLeft } = speedOf(entry, at);
  const parts = [words.sending(percent(entry.size ? entry.sent / entry.size : 1))];
  if (rate !== null) parts.push(words.rate(rate));
  if (secondsLeft !== null && entry.sent < entry.size) parts.push(words.timeLeft(secondsLeft));
  return parts.join(" \u00b7 ");
}

function percent(part) {
  return Math.floor(Math.min(1, part) * 100);
}

/** Why a document was refused: our words where there are some, else, or for its numbers, the server's sentence without the name. */
export function sayRefusal(refusal, words, name = "") {
  const reason = refusal?.reason ?? REASONS[refusal?.code];
  const own = Object.hasOwn(words.refused, reason ?? "") ? words.refused[reason] : null;
  const sentence = refusal?.sentence ? withoutName(refusal.sentence, name).replace(/\.$/, "") : null;
  if (own !== null && sentence !== null && MEASURED.includes(reason)) return words.refusedBeyond(own, sentence);
  return own ?? sentence ?? words.refusedUnknown;
}

/** The name stands beside it already. */
export function withoutName(sentence, name) {
  return name !== "" && sentence.startsWith(`${name} `) ? sentence.slice(name.length + 1) : sentence;
}

/** How far all of them are. */
export function saySummary({ total, ended, failed, secondsLeft, held }, busy, words) {
  if (!busy) return words.ended(ended - failed, failed);
  const parts = [words.progress(ended, total)];
  if (held !== null) parts.push(words.held[held]);
  else if (secondsLeft !== null) parts.push(words.timeLeft(secondsLeft));
  if (failed > 0) parts.push(words.notReadCount(failed));
  return parts.join(" \u00b7 ");
}

/** What a drop came to, when all of it has ended. */
export function sayEnd({ ready, failed, skipped }, refusals, words) {
  const sentences = [];
  if (ready > 0) sentences.push(words.readyCount(ready));
  if (failed > 0) sentences.push(words.refusedList(failed, refusals.map((entry) => words.named(shortName(entry.name), sayRefusal(entry.refusal, words, entry.name)))));
  if (skipped > 0) sentences.push(words.skipped(skipped));
  return sentences.join(" ");
}

/** A name is shown without its folders, and not at any length. */
export function shortName(name) {
  const last = name.split("/").at(-1);
  return last.length > 60 ? `${last.slice(0, 40)}\u2026${last.slice(-15)}` : last;
}

/** What stands under a document's name. */
export function sayDocument({ kind, size, chunks, modified_at: modified, source_document: name, folder }, words) {
  const folders = name.split("/").slice(0, -1).join("/");
  const place = folder === null ? folders : words.inWatched(folders || folder);
  return [words.kind(kind), words.size(size), words.passages(chunks), words.date(modified), place].filter(Boolean).join(" \u00b7 ");
}

/** Why documents are not to be had here; null when they are. `health` is the server's own word of it. */
export function sayUnavailable(health, words) {
  if (health === null || health.status === "ok") return null;
  if (health.status === "loading") return words.loading;
  return health.status === "off" ? words.off : words.unavailable(health.reason ?? "");
}

/** How all watched folders stand, in one line. */
export function sayFolders(folders, words) {
  const problems = folders.reduce((sum, { problems: found }) => sum + found.length, 0);
  const worst = ["failed", "reading", "looking"].find((code) => folders.some((folder) => folder.code === code)) ?? "up_to_date";
  const count = folders.reduce((sum, folder) => sum + (folder.count ?? 0), 0);
  return [words.folderCount(folders.length), words.folderState[worst](count), problems > 0 && words.notReadCount(problems)].filter(Boolean).join(" \u00b7 ");
}
