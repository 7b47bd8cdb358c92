// When a conversation was last used, as the list says it: around midnight, when clocks change, by months.

import assert from "node:assert/strict";
import { test } from "node:test";

import { groupsOf, nextMidnight } from "../../static/js/state/days.js";

/** The groups of conversations last used at these times, in a place's local time. */
function grouped(zone, now, times) {
  process.env.TZ = zone;
  const entries = times.map((time) => ({ pinned: false, updated: Date.parse(time) }));
  return groupsOf(entries, Date.parse(now)).map(({ key, entries }) => `${key} ${entries.length}`);
}

const CASES = [
  ["a second after midnight, the second before it was yesterday", "Europe/Lisbon", "2026-11-26T00:00:01Z", ["2026-11-26T00:00:00Z", "2026-11-25T23:59:59Z"], ["today 1", "yesterday 1"]],
  ["the day is the local one", "America/Sao_Paulo", "2026-11-26T02:00:00Z", ["2026-11-25T04:00:00Z", "2026-11-25T02:59:00Z"], ["today 1", "yesterday 1"]],
  ["seven days before today are one group, then come months", "UTC", "2026-11-26T12:00:00Z", ["2026-11-24T12:00:00Z", "2026-11-19T00:00:00Z", "2026-11-18T23:59:59Z", "2026-10-31T23:00:00Z"], ["week 2", "2026-11 1", "2026-10 1"]],
  ["the same month of other years is another group", "UTC", "2026-11-26T12:00:00Z", ["2025-11-03T12:00:00Z", "2024-11-03T12:00:00Z"], ["2025-11 1", "2024-11 1"]],
  ["the first minutes of a year are after the year before", "UTC", "2026-01-01T00:10:00Z", ["2026-01-01T00:05:00Z", "2025-12-31T23:55:00Z", "2025-12-20T12:00:00Z"], ["today 1", "yesterday 1", "2025-12 1"]],
  ["a day of 25 hours has one yesterday", "Europe/Berlin", "2026-10-26T00:30:00+01:00", ["2026-10-25T00:05:00+02:00", "2026-10-24T23:55:00+02:00"], ["yesterday 1", "week 1"]],
  ["a day of 23 hours has one too", "Europe/Berlin", "2026-03-30T00:30:00+02:00", ["2026-03-29T00:05:00+01:00", "2026-03-28T23:55:00+01:00"], ["yesterday 1", "week 1"]],
  ["a day that begins at one o'clock begins there", "Asia/Beirut", "2026-03-29T12:00:00+03:00", ["2026-03-29T01:00:00+03:00", "2026-03-28T23:59:00+02:00"], ["today 1", "yesterday 1"]],
  ["a clock that is ahead of ours says today", "UTC", "2026-11-26T12:00:00Z", ["2026-11-27T12:00:00Z"], ["today 1"]],
  ["nothing makes no group", "UTC", "2026-11-26T12:00:00Z", [], []],
];

for (const [name, zone, now, times, groups] of CASES) {
  test(name, () => assert.deepEqual(grouped(zone, now, times), groups));
}

test("pinned ones are a group of their own, whenever they were used", () => {
  process.env.TZ = "UTC";
  const now = Date.parse("2026-11-26T12:00:00Z");
  const entries = [{ pinned: true, updated: 0 }, { pinned: true, updated: now }, { pinned: false, updated: now }];
  assert.deepEqual(groupsOf(entries, now).map(({ key }) => key), ["pinned", "today"]);
});

test("the next midnight of a day of 25 hours is 25 hours away", () => {
  process.env.TZ = "Europe/Berlin";
  const now = Date.parse("2026-10-25T00:00:00+02:00");
  assert.equal(nextMidnight(now) - now, 25 * 3_600_000);
});
