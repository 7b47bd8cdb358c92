// Wiring: channel -> conversation -> page, and back.

import { Channel } from "./channel.js";
import { reduce, startConversation, stoppable, unfinished, unsent } from "./conversation.js";
import { followConfig } from "./health.js";
import { Memory, newId } from "./memory.js";
import { Page } from "./view/page.js";
import { wordsFor } from "./words.js";

let state, channel;
const memory = new Memory(() => window.localStorage);
const page = new Page(document, wordsFor(navigator.languages), {
  onAsk: ask,
  onAgain: ({ key, question }) => ask(question, key),
  onTyped: (text) => tell({ type: "typed", text }),
  onEdit: ({ key }) => tell({ type: "withdrawn", key }),
  onLeave: ({ stream_id }) => channel.stop(stream_id),
  onStop: stop,
  onDismiss: () => tell({ type: "dismissed" }),
  onEarlier: (id) => channel.readEarlier(id),
  onTryNow: () => channel.tryNow(),
  onNewConversation: () => enter(newId(), state.turns.length > 0 ? memory.get("session") : state.previous),
  onGoBack: () => enter(state.previous, null),
});
const lookAtConfig = followConfig(document, {
  reachable: () => state.connection.is === "connected" && navigator.onLine,
  tell: (config) => page.showConfig(config),
});
enter(memory.get("session") ?? newId(), memory.get("previous") || null);

function enter(id, previous) {
  channel?.close();
  memory.set("session", id);
  memory.set("previous", previous ?? "");
  state = startConversation({ draft: memory.get("draft") ?? "", previous });
  channel = new Channel(id, { tell, resume: () => unfinished(state) });
  channel.open();
  page.open(state);
}

function tell(event) {
  state = reduce(state, event);
  memory.set("draft", state.draft);
  if (event.type === "joined") channel.readHistory();
  if (event.type === "joined") lookAtConfig();
  if (event.type === "joined" || event.type === "asked") sendWaiting();
  page.show(state);
}

function ask(query, instead) {
  page.goToEnd();
  tell({ type: "asked", key: newId(), query, instead });
}

function sendWaiting() {
  for (const { key, question } of unsent(state)) {
    const ref = channel.ask(question); // null while there is no one to ask
    if (ref !== null) tell({ type: "sent", key, ref });
  }
}

function stop() {
  const turn = stoppable(state);
  if (turn?.status === "unsent") tell({ type: "withdrawn", key: turn.key });
  else if (turn) channel.stop(turn.stream_id);
}
