// From what is so to how it is said: sentences for connections, turns, failures and receipts. Pure.

export function sayConnection(connection, now, words) {
  const seconds = Math.ceil((connection.retry_at - now) / 1000);
  switch (connection.is) {
    case "connecting":
      return words.connecting;
    case "connected":
      return words.connected;
    case "signed_out":
      return words.signedOut;
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
    case "streaming":
      if (turn.answer !== "" && turn.request !== "continue") return "";
      if (turn.thoughts !== "") return turn.answer === "" ? words.thinking : "";
      return turn.read ? words.readingProgress(turn.read.read, turn.read.total) : words.reading;
    case "complete":
      return turn.answer === "" ? words.emptyAnswer : "";
    case "cancelled":
      return turn.answer === "" ? words.stoppedEarly : words.stopped;
    case "interrupted":
      return turn.answer === "" ? words.interruptedEarly : words.interrupted;
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

/** Why the server would not, where that is about who asks and how often; null for all else. */
export function sayRefused({ code, retryAfterSeconds }, words) {
  if (code === "rate_limited" || code === "server_busy") return retryAfterSeconds === null ? null : words.tooOften(retryAfterSeconds);
  if (code === "signed_out") return words.signedOut;
  return code === "forbidden" ? words.notAllowed : null;
}

/** What whoever edits the configuration should know; empty when the file is sound and applies. */
export function sayConfig({ error, pending }, words) {
  if (error !== null) return words.configBroken(error);
  return pending.length > 0 ? words.configPending(pending.join(", ")) : "";
}

export function sayReceipt(metadata, words) {
  if (metadata === null) return "";
  const { source, model_used, processing_time_ms, tokens, finish_reason, messages_omitted } = metadata;
  const uncounted = source === "llm" && processing_time_ms === 0; // it is under way, or was interrupted
  const parts = [
    words.source[source] ?? model_used,
    Number.isFinite(processing_time_ms) && !uncounted && words.duration(processing_time_ms / 1000),
    source === "llm" && tokens && !uncounted && words.tokens(tokens.completion),
    source === "llm" && tokens && tokens.completion > 0 && processing_time_ms > 0 && words.speed(tokens.completion / (processing_time_ms / 1000)),
    finish_reason === "length" && words.cutAtLimit,
    messages_omitted > 0 && words.omitted(messages_omitted),
  ];
  return parts.filter(Boolean).join(" \u00b7 ");
}

/**
 * Why an answer is as sure as it is, in sentences; the server's own where this language has none for the cause. What was
 * measured stands last: a small model is often wrong where every single sign is good.
 */
export function sayReasons({ reasons, causes = [], score, features = {} }, words) {
  const said = reasons.map((reason, index) => {
    const { code, value = null } = causes[index] ?? {};
    const own = Object.hasOwn(words.causes, code ?? "") ? words.causes[code] : undefined;
    return typeof own === "function" ? own(value) : own ?? reason;
  });
  return Object.keys(features).length > 0 ? [...said, words.measured(Math.round(score * 20) * 5)] : said;
}
