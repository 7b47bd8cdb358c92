// From what is so to how it is said: sentences for connections, turns, failures and receipts. Pure.

export function sayConnection(connection, now, words) {
  const seconds = Math.ceil((connection.retry_at - now) / 1000);
  switch (connection.is) {
    case "connecting":
      return words.connecting;
    case "connected":
      return words.connected;
    case "waiting":
      return seconds > 0 ? words.reconnectingIn(seconds) : words.reconnecting;
    case "refused":
      return connection.reason === "timeout" ? words.serverSilent : words.turnedAway(connection.reason);
    default:
      throw new Error(`no words for the connection state ${connection.is}`);
  }
}

/** What is happening to a turn, or has; empty when its answer says it all. */
export function sayTurn(turn, words) {
  switch (turn.status) {
    case "unsent":
      return words.willSend;
    case "sent":
      return words.sent;
    case "queued":
      return words.inLine(turn.place);
    case "started":
      return words.reading;
    case "streaming":
      return turn.answer === "" ? words.reading : "";
    case "complete":
      return turn.answer === "" ? words.emptyAnswer : "";
    case "cancelled":
      return turn.answer === "" ? words.stoppedEarly : words.stopped;
    case "interrupted":
      return words.interrupted;
    case "error":
    case "refused":
      return sayFailure(turn.error ?? { code: "processing_failed", sentence: null }, words);
    default:
      throw new Error(`no words for the turn status ${turn.status}`);
  }
}

/** The server's sentence names values and limits, but is English; a language that has its own for the code uses that. */
export function sayFailure({ code, sentence }, words) {
  return words.failures[code] ?? sentence ?? words.failures.unknown;
}

/** What whoever edits the configuration should know; empty when the file is sound and applies. */
export function sayConfig({ error, pending }, words) {
  if (error !== null) return words.configBroken(error);
  return pending.length > 0 ? words.configPending(pending.join(", ")) : "";
}

export function sayReceipt(metadata, words) {
  if (metadata === null) return "";
  const { source, model_used, processing_time_ms, tokens, confidence, finish_reason, messages_omitted } = metadata;
  const parts = [
    words.source[source] ?? model_used,
    Number.isFinite(processing_time_ms) && words.duration(processing_time_ms / 1000),
    source === "llm" && tokens && words.tokens(tokens.completion),
    confidence && words.confidence[confidence.level],
    finish_reason === "length" && words.cutAtLimit,
    messages_omitted > 0 && words.omitted(messages_omitted),
  ];
  return parts.filter(Boolean).join(" \u00b7 ");
}
