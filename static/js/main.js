// Wiring: channel -> conversation -> page, and back.

import { Channel } from "./channel.js";
import { reduce, startConversation, stoppable, unfinished, unsent } from "./conversation.js";
import { Memory, newId } from "./memory.js";
import { Page } from "./view/page.js";
import { wordsFor } from "./words.js";

let session, state, channel;
const memory = new Memory(() => window.localStorage);
const page = new Page(document, wordsFor(navigator.languages), {
  onAsk: (query) => ask(query),
  onAgain: ({ key, question }) => ask(question, key),
  onTyped: (text) => tell({ type: "typed", text }),
  onEdit: ({ key }) => tell({ type: "withdrawn", key }),
  onLeave: ({ stream_id }) => channel.stop(stream_id),
  onStop: stop,
  onDismiss: () => tell({ type: "dismissed" }),
  onEarlier: (id) => channel.readEarlier(id),
  onTryNow: () => channel.tryNow(),
  onNewConversation: () => enter(newId(), state.turns.length > 0 ? session : state.previous),
  onGoBack: () => enter(state.previous, null),
});
enter(memory.get("session") ?? newId(), memory.get("previous") || null);

function enter(id, previous) {
  channel?.close();
  session = id;
  memory.set("session", session);
  memory.set("previous", previous ?? "");
  state = startConversation({ draft: memory.get("draft") ?? "", previous });
  channel = new Channel(session, { tell, resume: () => unfinished(state) });
  channel.open();
  page.goToEnd();
  page.show(state);
}

function tell(event) {
  const { draft } = state;
  state = reduce(state, event);
  if (state.draft !== draft) memory.set("draft", state.draft);
  if (event.type === "joined") channel.readHistory();
  if (event.type === "joined" || event.type === "asked") sendWaiting();
  page.show(state);
}

function ask(query, instead) {
  if (query === state.draft.trim()) tell({ type: "typed", text: "" });
  page.goToEnd();
  tell({ type: "asked", key: newId(), query, instead });
}

function sendWaiting() {
  for (const { key, question } of unsent(state)) {
    const ref = channel.ask(question);
    if (ref !== null) tell({ type: "sent", key, ref });
  }
}

function stop() {
  const turn = stoppable(state);
  if (turn?.status === "unsent") tell({ type: "withdrawn", key: turn.key });
  else if (turn) channel.stop(turn.stream_id);
}
