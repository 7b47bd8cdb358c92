// The server's history, laid beside what the page already shows. Pure: no DOM, no network.

import { readMetadata } from "./metadata.js";
import { isLive, newTurn } from "./turn.js";

/** Rows as they come, chronological, to turns. An unfinished answer's text is left to its stream. */
export function turnsOf(rows) {
  const turns = [];
  let open = null; // the turn still without an answer
  for (const row of rows) {
    if (row.role === "user") {
      open = newTurn(row.id, { id: row.id, first_row: row.id, question: row.content, status: "interrupted" });
      open.siblings = { question: several(row), answer: [] };
      turns.push(open);
    } else if (row.role === "assistant") {
      if (open === null || (row.parent && row.parent !== open.id)) {
        // The page of history begins between a question and its answer.
        open = newTurn(row.id, { id: row.parent ?? row.id, first_row: row.id });
        turns.push(open);
      }
      open.answer_id = row.id;
      open.status = row.status ?? "complete";
      open.answer = row.status === "streaming" ? "" : row.content;
      open.metadata = readMetadata(row.metadata);
      open.thoughts = open.metadata?.thoughts ?? "";
      open.rating = row.rating ?? null;
      open.siblings = { ...open.siblings, answer: several(row) };
      open = null;
    }
  }
  return turns;
}

/** The ids in this place of the tree, itself included; none where it is alone. */
function several({ siblings = [] }) {
  return siblings.length > 1 ? siblings : [];
}

/** Older turns put before those shown; a question may meet the answer it was cut from. */
export function prepended(turns, older) {
  const known = new Map(turns.filter((turn) => turn.id !== null).map((turn) => [turn.id, turn]));
  const fresh = older.filter((turn) => !known.has(turn.id));
  const questions = new Map(older.map((turn) => [turn.id, turn.question]));
  return [
    ...fresh,
    ...turns.map((turn) => (turn.question === null && questions.has(turn.id) ? { ...turn, question: questions.get(turn.id) } : turn)),
  ];
}

/**
 * The newest part of the history, merged into the turns on the page. Rows carry no stream_id: an answer is known by its
 * message_id once it is complete, before that by its question, newest first. What is adrift after that is not in it.
 */
export function merged(turns, rows) {
  const known = new Map(turns.filter((turn) => turn.id !== null).map((turn) => [turn.id, turn]));
  const strays = turns.filter((turn) => turn.id === null);
  const pairs = new Map();
  const pair = (fits) => {
    for (const row of [...rows].reverse()) {
      if (known.has(row.id) || pairs.has(row)) continue;
      const at = strays.findLastIndex((turn) => turn.question === row.question && fits(turn, row));
      if (at >= 0) pairs.set(row, strays.splice(at, 1)[0]);
    }
  };
  pair((turn, row) => turn.answer_id !== null && turn.answer_id === row.answer_id);
  pair((turn) => isLive(turn) || (turn.status === "error" && turn.answer_id === null));

  const shown = new Set(rows.map((row) => row.id));
  // Rows that meet nothing we show leave a hole before them; what is above it can be asked for again.
  const meets = rows.length === 0 || rows.some((row) => known.has(row.id));
  return [
    ...turns.filter((turn) => turn.id !== null && !shown.has(turn.id) && meets),
    ...rows.map((row) => reconciled(known.get(row.id) ?? pairs.get(row), row)),
    ...strays,
  ];
}

function reconciled(turn, row) {
  if (turn === undefined) return row;
  const ahead = isLive(turn) ? !turn.adrift : row.status === "streaming";
  const { id, first_row, answer_id, siblings } = row;
  if (ahead) return { ...turn, id, first_row, answer_id, siblings };
  if (row.status === "streaming") return { ...turn, id, first_row, answer_id, siblings, status: "streaming" };
  const { key, stream_id, seq, error } = turn;
  return { ...row, key, stream_id, seq, error };
}
