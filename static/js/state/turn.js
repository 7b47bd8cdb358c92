// One question and its answer, as the page knows them. Pure values; conversation.js says how they change.
//
// A turn's status:  unsent -> sent -> queued -> started -> streaming -> complete | cancelled | interrupted | error
//                                  `-> refused (it never became a question on the server)

const LIVE = new Set(["sent", "queued", "started", "streaming"]);

export function newTurn(key, known) {
  return {
    key, // names the turn on this page, for as long as the page lives
    id: null, // the question's row in the history, once that was read
    answer_id: null, // the answer's row
    first_row: null, // the oldest row read of it: its answer's, where a page of the history began between the two
    stream_id: null,
    ref: null, // of the push that asked, until the server answers it with a stream_id
    seq: 0, // of the last event received
    adrift: false, // the connection broke, and only the history can tell what became of it
    question: null,
    answer: "",
    thoughts: "", // of a model that thinks aloud
    status: "unsent",
    place: null, // in the line of questions
    read: null, // {read, total}: tokens of the prompt, while the model reads it
    sources: null, // passages, told before the answer; its metadata has them at the end
    metadata: null,
    rating: null,
    error: null,
    edits: null, // the question whose place this one takes
    request: null, // "regenerate" or "continue", while that is what was asked for
    siblings: { question: [], answer: [] }, // ids of all there are in this place, where there are several
    ...known,
  };
}

/** The server is, as far as we know, still at work on it. */
export function isLive(turn) {
  return LIVE.has(turn.status);
}

/** Whether the server would go on with this answer: it has a text, and did not come to its end. */
export function canContinue(turn) {
  if (turn.answer_id === null || turn.answer === "" || isLive(turn) || turn.metadata?.source === "rag") return false;
  return ["cancelled", "interrupted", "error"].includes(turn.status) || turn.metadata?.finish_reason === "length";
}

/** How an answer ended, from the metadata of its closing event. */
export function endOf(metadata) {
  const reason = metadata?.finish_reason;
  return reason === "cancelled" || reason === "error" ? reason : "complete";
}
