// The keyboard's shortcuts: one table for what they do and for the sheet that shows them. Pure.

// `in`: where they work. "anywhere", fields included; "page", where nothing is being typed; "empty", there and in an empty
// composer. `by` names who listens for them where that is not settings.js; `keys` are shown as they stand here.
export const SHORTCUTS = [
  { intent: "send", keys: ["Enter"], by: "composer" },
  { intent: "line", keys: ["Shift", "Enter"], by: "composer" },
  { intent: "stop", keys: ["Escape"], by: "page" },
  { intent: "editLast", keys: ["ArrowUp"], in: "composer" },
  { intent: "focusComposer", keys: ["/"], in: "page" },
  { intent: "copyLast", keys: ["Mod", "Shift", "C"], in: "anywhere" },
  { intent: "newConversation", keys: ["Mod", "Shift", "O"], in: "anywhere" },
  { intent: "search", keys: ["Mod", "K"], by: "past" },
  { intent: "previousEvidence", keys: ["Alt", "ArrowUp"], by: "evidence" },
  { intent: "nextEvidence", keys: ["Alt", "ArrowDown"], by: "evidence" },
  { intent: "help", keys: ["?"], in: "page" },
];

const MAC = { Mod: "\u2318", Shift: "\u21e7", Alt: "\u2325" };
const OTHERS = { Mod: "Ctrl" };
const PICTURES = { ArrowUp: "\u2191", ArrowDown: "\u2193", Escape: "Esc" };

/**
 * What a key means, null when it means nothing of ours. `place` says where it was pressed: "composer" (an empty one),
 * "field" (anything else one types into or chooses from), "page", or "dialog" (something is open over the page).
 */
export function intentOf(event, place, isMac) {
  if (place === "dialog" || event.defaultPrevented || event.repeat || composes(event)) return null;
  return SHORTCUTS.find((shortcut) => isOurs(shortcut, place) && fits(shortcut.keys, event, isMac))?.intent ?? null;
}

/** As the keys of this keyboard are marked. */
export function keyNames(keys, isMac) {
  const names = { ...PICTURES, ...(isMac ? MAC : OTHERS) };
  return keys.map((key) => names[key] ?? key);
}

/** An input method is at work: the key is its own. Safari tells so by the number only. */
function composes({ isComposing, keyCode }) {
  return isComposing || keyCode === 229;
}

function isOurs(shortcut, place) {
  return shortcut.by === undefined && (shortcut.in === "anywhere" || shortcut.in === place);
}

function fits(keys, event, isMac) {
  const key = keys.at(-1);
  const held = (name) => keys.includes(name);
  const mod = isMac ? event.metaKey : event.ctrlKey;
  const other = isMac ? event.ctrlKey : event.metaKey;
  if (other || mod !== held("Mod") || event.altKey !== held("Alt")) return false;
  const isSign = key.length === 1 && !/[A-Z]/.test(key); // how a sign is made depends on the keyboard
  return (isSign || event.shiftKey === held("Shift")) && isKey(event, key);
}

/** On keyboards without Latin letters, the place of the letter counts. */
function isKey({ key, code }, wanted) {
  if (key.toLowerCase() === wanted.toLowerCase()) return true;
  return /^[A-Z]$/.test(wanted) && !/^[a-z]$/i.test(key) && code === `Key${wanted}`;
}
