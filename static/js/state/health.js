// How the server is, from what it says of itself to rows a person reads: {label, told, is}. Pure.

import { size } from "./size.js";

const WRONG = ["failed", "unavailable"];

/** Outgoing connections since the start: `is` "none" or "some". */
export function sayOutgoing(count, words) {
  return count === 0 ? { is: "none", told: words.noOutgoing } : { is: "some", told: words.outgoing(count) };
}

/** A length of time in its two largest units that count. */
export function saySpan(seconds, words) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  const { span } = words.settings;
  if (minutes === 0) return span.seconds(Math.floor(seconds));
  if (hours === 0) return span.minutes(minutes);
  if (days === 0) return [span.hours(hours), minutes % 60 > 0 && span.minutes(minutes % 60)].filter(Boolean).join(" ");
  return [span.days(days), hours % 24 > 0 && span.hours(hours % 24)].filter(Boolean).join(" ");
}

/** The server itself: version, time since its start, memory, and its parts. */
export function serverRows(health, memory, words) {
  const { settings } = words;
  return [
    { label: settings.version, told: health.version },
    { label: settings.uptime, told: saySpan(health.uptime_seconds, words) },
    ...(memory?.process_bytes ? [{ label: settings.memory, told: sayMemory(memory, words) }] : []),
    ...Object.entries(health.components).map(([name, component]) => componentRow(name, component, words)),
  ];
}

export function modelRows({ models }, words) {
  return models.map((model) => ({ label: model.name, told: sayModel(model, words), is: model.failure ? "wrong" : "ok" }));
}

/** What was asked and what there is. */
export function figureRows(stats, words) {
  const { settings, lang } = words;
  const count = (number) => number.toLocaleString(lang);
  const { questions, mean, tokens, conversations, messages, documents } = stats;
  return [
    { label: settings.questions, told: count(questions.total) },
    ...(mean.answer_ms === null ? [] : [{ label: settings.meanTime, told: words.duration(mean.answer_ms / 1000) }]),
    { label: settings.tokens, told: settings.tokensReadWritten(tokens.prompt, tokens.completion) },
    { label: settings.conversations, told: settings.messagesIn(messages, conversations) },
    { label: settings.documents, told: count(documents) },
  ];
}

export function sayCache(cache, words) {
  const { settings } = words;
  if (!cache.enabled) return settings.cacheOff;
  return cache.entries === 0 ? settings.cacheEmpty : settings.cacheHolds(cache.entries, cache.hits);
}

function sayMemory({ process_bytes: used, total_bytes: total }, words) {
  const own = size(used, words.lang);
  return total ? words.settings.memoryOf(own, size(total, words.lang)) : own;
}

function componentRow(name, { status, reason, waiting = 0 }, words) {
  const { component, state, waiting: line } = words.settings;
  const told = [state[status] ?? status, reason, waiting > 0 && line(waiting)].filter(Boolean).join(" \u00b7 ");
  return { label: component[name] ?? name, told, is: WRONG.includes(status) ? "wrong" : status };
}

function sayModel(model, words) {
  const state = model.failure ?? (model.loaded ? words.loaded : model.loading ? words.loading : words.loadedWhenAsked);
  const parts = [
    model.default && words.settings.standard,
    words.size(model.file_bytes),
    words.local,
    state,
    model.context && words.settings.context(model.context),
  ];
  return parts.filter(Boolean).join(" \u00b7 ");
}
