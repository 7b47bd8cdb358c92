// The list of conversations: read in parts, laid beside what this page knows sooner. Pure: no DOM, no network; times are arguments.

const OVERLAP = 5; // read again with every part: what was deleted elsewhere meanwhile must not make a gap
const LONGEST_TITLE = 80; // as the server shortens a first question
const SHOWN_TITLE = 300; // of a title that came from elsewhere; no line of a list is longer

/** `entries` are the beginning of the server's list; `going` are deleted here and perhaps not there yet. */
export function startPast() {
  return { entries: [], read: false, end: false, away: null, current: null, apart: null, going: [], search: null };
}

export function reduce(state, event) {
  switch (event.type) {
    case "page":
      return read(state, event);
    case "away":
      return { ...state, away: event.failure };
    case "told":
      return told(state, event);
    case "entry":
      return put(state, entryOf(event.conversation, event.at));
    case "edited":
      return edited(state, event);
    case "opened":
      return { ...state, current: event.id, apart: state.apart?.id === event.id ? state.apart : null };
    case "deleted":
      return { ...state, going: [...state.going, event.id] };
    case "restored":
      return { ...state, going: state.going.filter((id) => id !== event.id) };
    case "gone":
      return gone(state, event.id);
    case "searched":
      return { ...state, search: event.q === "" ? null : { ...state.search, q: event.q, reading: true } };
    case "found":
      return found(state, event);
    default:
      throw new Error(`unknown event ${event.type}`);
  }
}

/** What is listed: without those being deleted. */
export function listed({ entries, going }) {
  return going.length === 0 ? entries : entries.filter(({ id }) => !going.includes(id));
}

/** What a search found, null while there is none to show. */
export function results({ search, going }) {
  return search?.entries?.filter(({ id }) => !going.includes(id)) ?? null;
}

/** Where the next part of the list begins. */
export function nextOffset({ entries }) {
  return Math.max(0, entries.length - OVERLAP);
}

/** The entry of a conversation, wherever it was read. */
export function entry(state, id) {
  const among = (entries) => entries?.find((each) => each.id === id);
  return among(state.entries) ?? among(state.search?.entries) ?? (state.apart?.id === id ? state.apart : null);
}

// What happens

function read(state, event) {
  const { offset, conversations, total, asked, anew = false } = event;
  const page = conversations.map((conversation) => entryOf(conversation, asked));
  const before = anew ? state.entries.filter((each) => each.touched > asked) : state.entries;
  if (!anew && offset === 0 && !meets(before, page)) return read(state, { ...event, anew: true });
  const toEnd = offset + page.length >= total;
  const entries = merged(before, page, { asked, fromStart: offset === 0, toEnd });
  const known = !anew && state.end;
  if (known && !toEnd && entries.length !== total) return read(state, { ...event, anew: true }); // more happened elsewhere than this part tells
  const stuck = offset > 0 && entries.length <= before.length; // rather a list that ends than one that is asked for ever
  return { ...state, entries, end: toEnd || known || stuck, read: true, away: null };
}

/** Whether what was known can go on where the newest part ends. */
function meets(entries, page) {
  const known = new Set(entries.map(({ id }) => id));
  return entries.length === 0 || page.some(({ id }) => known.has(id));
}

/** A part of the server's list is what stands between its first and its last: what was known there and is not in it is gone. */
function merged(entries, page, { asked, fromStart, toEnd }) {
  const there = new Map(page.map((each) => [each.id, each]));
  const [first, last] = [page[0], page.at(-1)];
  const within = (each) => (fromStart || (first && order(first, each) < 0)) && (toEnd || (last && order(each, last) < 0));
  const kept = entries.filter((each) => each.touched > asked || (!there.has(each.id) && !within(each)));
  const newer = new Set(kept.map(({ id }) => id));
  return sorted([...kept, ...page.filter(({ id }) => !newer.has(id))]);
}

function told(state, { id, title, at, ended }) {
  const known = entry(state, id);
  if (known && ended) return state; // its entry is read again
  const fresh = known ?? { id, title: shortened(title), pinned: false, messages: 0, matches: [] };
  const first = state.entries.find(({ pinned }) => pinned === fresh.pinned);
  const updated = Math.max(at, (first?.updated ?? 0) + 1); // on top, also where the clocks of two computers differ
  return put(state, { ...fresh, updated, touched: at });
}

/** An entry as it is now, in its place. One from beyond what was read stays apart: the list has no gaps. */
function put(state, changed) {
  const others = state.entries.filter(({ id }) => id !== changed.id);
  const beyond = !state.end && others.length > 0 && order(others.at(-1), changed) < 0;
  const search = state.search?.entries
    ? { ...state.search, entries: state.search.entries.map((each) => (each.id === changed.id ? { ...changed, matches: each.matches } : each)) }
    : state.search;
  const apart = beyond && changed.id === state.current ? changed : state.apart;
  return { ...state, search, apart, entries: beyond ? others : sorted([...others, changed]) };
}

function edited(state, { id, changes, at }) {
  const known = entry(state, id);
  return known ? put(state, { ...known, ...changes, touched: at }) : state;
}

function gone(state, id) {
  const without = (entries) => entries?.filter((each) => each.id !== id);
  const search = state.search && { ...state.search, entries: without(state.search.entries) };
  return { ...state, search, entries: without(state.entries), going: state.going.filter((each) => each !== id) };
}

function found(state, { q, conversations, total, asked, failure = null }) {
  if (state.search?.q !== q) return state; // something else is looked for by now
  if (failure) return { ...state, search: { ...state.search, reading: false, failure } };
  const entries = conversations.map((conversation) => entryOf(conversation, asked));
  return { ...state, search: { q, entries, total, reading: false, failure: null } };
}

// Entries

function entryOf({ session_id, title, pinned, messages, updated_at, matches }, touched) {
  return { id: session_id, title: title.slice(0, SHOWN_TITLE), pinned, messages, updated: Date.parse(updated_at) || 0, matches, touched };
}

function order(one, other) {
  return Number(other.pinned) - Number(one.pinned) || other.updated - one.updated;
}

function sorted(entries) {
  return entries.toSorted(order);
}

/** A first question as a title, until the server has told its own. */
export function shortened(text) {
  const line = text.slice(0, 4 * SHOWN_TITLE).split(/\s+/).filter(Boolean).join(" ");
  const points = [...line];
  return points.length <= LONGEST_TITLE ? line : `${points.slice(0, LONGEST_TITLE - 1).join("")}\u2026`;
}
