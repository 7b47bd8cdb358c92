// One conversation as the page shows it, and what each event makes of it. Pure: no DOM, no network, no clock.

import { merged, prepended, turnsOf } from "./history.js";
import { endOf, isLive, newTurn } from "./turn.js";

export function startConversation({ draft = "" } = {}) {
  return {
    connection: { is: "connecting" },
    loaded: false, // the history has been read at least once
    total: 0, // messages in the history, shown or not
    turns: [],
    draft,
    notice: null, // a failure that belongs to no turn: {code, sentence}
    reread: 0, // grows whenever the history has to be read anew
  };
}

/** Events are {type, ...}; those of the wire keep their names and fields. */
export function reduce(state, event) {
  const step = STEPS[event.type];
  if (step === undefined) throw new Error(`no step for the event ${event.type}`);
  return step(state, event);
}

/** What to resume at the next join: the answer being given, else the first in line. */
export function unfinished(state) {
  const live = state.turns.filter((turn) => turn.stream_id !== null && turn.seq > 0 && isLive(turn));
  const turn = live.find((turn) => turn.status !== "queued") ?? live[0];
  return turn ? { stream_id: turn.stream_id, seq: turn.seq } : null;
}

/** The turn that a plain "stop" means, null when nothing is under way. */
export function stoppable(state) {
  const live = state.turns.filter((turn) => isLive(turn) || turn.status === "unsent");
  return live.find((turn) => turn.status === "started" || turn.status === "streaming") ?? live[0] ?? null;
}

/** Questions waiting for a connection, in the order they were asked. */
export function unsent(state) {
  return state.turns.filter((turn) => turn.status === "unsent");
}

/** The message before which the history goes on, null when all of it is on the page. */
export function earliest(state) {
  const shown = state.turns.filter((turn) => turn.first_row !== null);
  const rows = shown.reduce((sum, turn) => sum + (turn.question === null ? 1 : 2), 0);
  return shown.length > 0 && rows < state.total ? shown[0].first_row : null;
}

const STEPS = {
  // ---- the person
  typed: (state, { text }) => ({ ...state, draft: text, notice: null }),

  // `instead` names a refused turn that is asked anew, `edits` the question whose place this one takes.
  asked: (state, { key, query, instead, edits = null }) => ({
    ...state,
    turns: [...above(state.turns, edits).filter((turn) => turn.key !== instead), newTurn(key, { question: query, edits })],
    draft: state.draft.trim() === query ? "" : state.draft, // an example leaves what is being written alone
    notice: null,
  }),

  // Answer again, or go on with an answer: what stands below it belongs to the other branch.
  requested: (state, { key, ref, event }) => {
    const at = state.turns.findIndex((turn) => turn.key === key);
    if (at < 0) return state;
    const turn = { ...state.turns[at], status: "sent", ref, request: event, stream_id: null, seq: 0, error: null };
    const cleared = event === "continue" ? turn : { ...turn, answer: "", thoughts: "", metadata: null, sources: null, rating: null };
    return { ...state, turns: [...state.turns.slice(0, at), cleared], notice: null };
  },

  withdrawn: (state, { key }) => returned(state, state.turns.find((turn) => turn.key === key)),

  dismissed: (state) => ({ ...state, notice: null }),

  // ---- the connection
  sent: (state, { key, ref }) => changed(state, (turn) => turn.key === key, { status: "sent", ref }),

  waiting: (state, { since, retry_at }) => reconnecting(state, { is: "waiting", since: state.connection.since ?? since, retry_at }),

  signed_out: (state) => ({ ...state, connection: { ...state.connection, is: "signed_out" } }),

  signed_in: (state) => ({ ...state, connection: { is: "connecting" } }),

  // The server answered and said no; phoenix.js goes on asking.
  turned_away: (state, { reason }) => reconnecting(state, { ...state.connection, is: "refused", reason }),

  joined: (state, { running = [], resume }) => {
    const resumed = resume === "ok" ? unfinished(state)?.stream_id : null;
    const goesOn = (turn) => turn.stream_id !== null && (turn.stream_id === resumed || running.includes(turn.stream_id));
    return {
      ...state,
      connection: { is: "connected" },
      turns: state.turns.map((turn) => (isLive(turn) ? { ...turn, adrift: !goesOn(turn) } : turn)),
    };
  },

  // `copy`: read over HTTP, perhaps kept from another day; the channel's own comes after it.
  history: (state, { messages, total_messages = messages.length, earlier = false, copy = false }) => {
    const rows = turnsOf(messages);
    const read = { ...state, loaded: !copy || state.loaded || rows.length > 0, total: total_messages };
    if (earlier) return { ...read, turns: prepended(state.turns, rows) };
    const turns = merged(state.turns, rows);
    return turns
      .filter((turn) => turn.adrift && turn.id === null)
      .reduce(lost, { ...read, turns: turns.map((turn) => (turn.id === null ? turn : { ...turn, adrift: false })) });
  },

  // Another branch is the active one: what stands below the message where they part is read anew.
  branch: (state, { message_id }) => {
    const at = state.turns.findIndex((turn) => partsAt(turn, message_id));
    const kept = at < 0 ? state.turns : state.turns.slice(0, at + 1);
    const turns = kept.map((turn, index) => (index === at ? chosenIn(turn, message_id) : turn));
    return { ...state, turns, reread: state.reread + 1 };
  },

  feedback: (state, { message_id, rating }) => changed(state, (turn) => turn.answer_id === message_id, { rating }),

  // ---- a question on the server
  // Said before the events of an answer that this page, or this page's present connection, did not ask for.
  question: (state, event) => {
    const answer = event.regenerates ?? event.continues;
    const at = answer ? state.turns.findIndex((turn) => partsAt(turn, answer)) : -1;
    if (at >= 0) {
      const request = event.continues ? "continue" : "regenerate";
      const cleared = event.continues ? {} : { answer: "", thoughts: "", metadata: null, sources: null };
      const turn = { ...state.turns[at], ...cleared, status: "sent", request, stream_id: event.stream_id, seq: 0, ref: null };
      return { ...state, turns: [...state.turns.slice(0, at), turn] };
    }
    const cut = event.edits && ownerOf(state, event) === undefined ? { ...state, turns: above(state.turns, event.edits) } : state;
    return heard(cut, event, (turn) => ({ question: turn.question ?? event.query, edits: turn.edits ?? event.edits ?? null }));
  },

  queued: (state, event) => heard(state, event, () => ({ status: "queued", place: event.place })),

  // Its turn's rows are known from now on; the text of an answer that goes on comes once more, at its beginning.
  stream_start: (state, event) =>
    heard(state, event, (turn) => ({
      status: "started",
      question: turn.question ?? event.query,
      place: null,
      answer: turn.request === "continue" ? turn.answer : "",
      thoughts: "",
      sources: null,
      id: event.question_id ?? turn.id,
      first_row: event.question_id ?? turn.first_row,
      answer_id: event.message_id ?? turn.answer_id,
    })),

  // Not numbered, and of no use once the answer has begun.
  progress: (state, { stream_id, read, total }) =>
    changed(state, (turn) => turn.stream_id === stream_id && isLive(turn) && turn.status !== "streaming", { read: { read, total } }),

  sources: (state, event) => heard(state, event, () => ({ sources: event.sources })),

  stream_thought: (state, event) => heard(state, event, (turn) => ({ thoughts: turn.thoughts + event.token, read: null })),

  stream_token: (state, event) =>
    heard(state, event, (turn) => ({
      status: "streaming",
      place: null,
      read: null,
      answer: turn.status === "started" ? event.token : turn.answer + event.token,
    })),

  // They come once more with the closing event, a moment later.
  citations: (state, event) => heard(state, event, () => ({})),

  // The whole answer comes once more at the end; it is the truth whatever was missed before.
  stream_complete: (state, event) => {
    const asked = ownerOf(state, event);
    const next = event.metadata?.superseded_by;
    // Another answer takes this one's place; until it begins, this one stays to be read.
    if (next !== undefined) return heard(state, event, () => ({ stream_id: next, status: "started", answer: event.response }));
    const status = endOf(event.metadata);
    // Taken out of the line: the server kept nothing of it, so the words go back to where they can be used.
    if (status === "cancelled" && isUnstored(asked) && asked.request === null && state.draft.trim() === "") {
      return returned({ ...state, reread: state.reread + (asked.edits ? 1 : 0) }, asked);
    }
    return heard(state, event, (turn) => ({
      status,
      place: null,
      answer: turn.request === "continue" && !event.response ? turn.answer : (event.response ?? turn.answer),
      read: null,
      request: null,
      thoughts: event.metadata?.thoughts || turn.thoughts,
      metadata: event.metadata ?? null,
      answer_id: event.metadata?.message_id ?? turn.answer_id,
    }), asked?.request || asked?.edits ? 1 : 0); // who their siblings are, the history tells
  },

  response: (state, event) => STEPS.stream_complete(state, event),

  stream_error: (state, event) => failed(state, event, { code: event.code, sentence: event.error }),

  error: (state, event) => failed(state, event, { code: event.error, sentence: event.message }),
};

/** Whoever is signed out comes back by signing in, not by waiting. */
function reconnecting(state, connection) {
  return state.connection.is === "signed_out" ? state : { ...state, connection };
}

/** Find whose event this is, drop it if it was heard before, else let `change` say what is new. */
function heard(state, event, change, reread = 0) {
  const turn = ownerOf(state, event) ?? newTurn(event.stream_id, { status: "sent" });
  if (event.seq !== undefined && event.seq <= turn.seq) return state;
  const next = {
    ...turn,
    stream_id: event.stream_id ?? turn.stream_id,
    seq: event.seq ?? turn.seq,
    adrift: false,
    ...change(turn),
  };
  const turns = state.turns.includes(turn)
    ? state.turns.map((other) => (other === turn ? next : other))
    : [...state.turns, next];
  return { ...state, turns, reread: state.reread + reread };
}

/** The turns above a question that is given up for another one. */
function above(turns, edits) {
  const at = edits === null ? -1 : turns.findIndex((turn) => turn.id === edits);
  return at < 0 ? turns : turns.slice(0, at);
}

/** Whether this is the turn at which the branch of that message parts from the one shown. */
function partsAt(turn, messageId) {
  return turn.answer_id === messageId || turn.siblings.answer.includes(messageId) || turn.siblings.question.includes(messageId);
}

/** What is known of the turn on the other branch before its history is read: nothing must be taken for it. */
function chosenIn(turn, messageId) {
  if (turn.answer_id === messageId) return turn;
  const isQuestion = turn.siblings.question.includes(messageId);
  return isQuestion ? { ...turn, id: messageId, first_row: messageId, answer_id: null } : { ...turn, answer_id: messageId };
}

function ownerOf(state, event) {
  const { stream_id, ref, query } = event;
  const newest = (fits) => state.turns.findLast(fits);
  return (
    newest((turn) => stream_id !== undefined && turn.stream_id === stream_id) ??
    // Every page counts its refs for itself. What others ask is named by "question" first, so it never comes to this.
    newest((turn) => ref !== undefined && turn.stream_id === null && turn.ref === ref) ??
    // The connection broke before the server named our question, or the history named it and the stream tells the rest.
    newest((turn) => turn.stream_id === null && turn.question === query && (turn.adrift || turn.status === "streaming"))
  );
}

function failed(state, event, error) {
  const turn = ownerOf(state, event);
  if (turn === undefined && event.stream_id === undefined) return { ...state, notice: error };
  if (event.stream_id === undefined || isUnstored(turn)) return refused(state, turn, error);
  return heard(state, event, () => ({ status: "error", place: null, error }));
}

/** Asked on this page and not begun: the server stores a question when its answer begins. */
function isUnstored(turn) {
  return turn !== undefined && turn.ref !== null && (turn.status === "sent" || turn.status === "queued");
}

/** A question the server did not take goes back to where it was typed, unless something new is there. */
function refused(state, turn, error) {
  // The other branch was given up for nothing: it is read again.
  if (turn.request !== null) {
    const before = changed(state, (other) => other === turn, { status: "interrupted", request: null, ref: null });
    return { ...before, notice: error, reread: state.reread + 1 };
  }
  if (turn.edits !== null) state = { ...state, reread: state.reread + 1 };
  if (state.draft.trim() === "") return { ...returned(state, turn), notice: error };
  return changed(state, (other) => other === turn, { status: "refused", error, adrift: false });
}

function returned(state, turn) {
  if (turn === undefined) return state;
  const draft = [turn.question, state.draft].filter((text) => text.trim() !== "").join("\n\n");
  return { ...state, draft, turns: state.turns.filter((other) => other.key !== turn.key) };
}

/** The connection broke, and the history does not know this turn. */
function lost(state, adrift) {
  const turn = state.turns.find((other) => other.key === adrift.key);
  if (turn.answer !== "") return changed(state, (other) => other === turn, { status: "interrupted", adrift: false });
  return refused(state, turn, { code: "not_received", sentence: null });
}

function changed(state, fits, change) {
  return { ...state, turns: state.turns.map((turn) => (fits(turn) ? { ...turn, ...change } : turn)) };
}
