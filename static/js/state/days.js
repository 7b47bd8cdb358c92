// When conversations were last used, as people say it: today, yesterday, the week before, then months, in local time. Pure.

/** `entries` in their order as [{key, entries}]: "pinned", "today", "yesterday", "week", then "2026-10". */
export function groupsOf(entries, now) {
  const starts = startsOf(now);
  const groups = [];
  for (const each of entries) {
    const key = each.pinned ? "pinned" : keyOf(each.updated, starts);
    if (groups.at(-1)?.key === key) groups.at(-1).entries.push(each);
    else groups.push({ key, entries: [each] });
  }
  return groups;
}

/** When the groups are others although nothing happened. */
export function nextMidnight(now) {
  return startOfDay(now, 1);
}

function startsOf(now) {
  return { today: startOfDay(now, 0), yesterday: startOfDay(now, -1), week: startOfDay(now, -7) };
}

/** Days by the calendar: some have 23 hours, some 25, and some do not begin at midnight. */
function startOfDay(now, days) {
  const at = new Date(now);
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() + days).getTime();
}

function keyOf(time, starts) {
  for (const [key, start] of Object.entries(starts)) if (time >= start) return key;
  const at = new Date(time);
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}`;
}
