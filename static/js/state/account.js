// Who uses the page, as far as the server tells, and what they may do here. Pure.

const PAIRING = /#\/pair\/([^/?#\s]+)\s*$/;
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;
const BROWSERS = [["Edg", "Edge"], ["OPR/", "Opera"], ["SamsungBrowser", "Samsung Internet"], ["Firefox", "Firefox"], ["FxiOS", "Firefox"], ["CriOS", "Chrome"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["CrOS", "ChromeOS"], ["Mac OS X", "Mac"], ["Linux", "Linux"]];

/** As long as the server has said nothing, nobody is kept from bringing anything: it refuses by itself. */
export function startAccount() {
  return { known: false, authentication: false, user: null, role: null };
}

/** What `GET /api/session` tells. */
export function withSession({ authentication, user, role }) {
  return { known: true, authentication, user, role };
}

export function hasToSignIn({ known, authentication, user }) {
  return known && authentication && user === null;
}

/** Whether documents and conversations may be brought in, changed and shared. */
export function mayBring({ role }) {
  return role !== "guest";
}

/** Whether how the server is, as a whole, is this person's business. */
export function isAdmin({ role }) {
  return role === "admin";
}

/** The code in an address that another device shows; null in all others. */
export function codeIn(address) {
  const code = PAIRING.exec(address)?.[1];
  return code === undefined ? null : decoded(code);
}

/** What was put into the field: a token, or the whole address that another device shows. */
export function credentialOf(text) {
  const code = codeIn(text);
  return code === null ? { token: text.trim() } : { code };
}

/** Why nobody was let in, in a sentence that says what helps. `at`: now, in ms. */
export function sayNotSignedIn({ code, retryAfterSeconds, sentence }, { isCode, at }, words) {
  const { signIn } = words;
  if (code === "unreachable") return signIn.unreachable;
  if (code === "signed_out") return isCode ? signIn.usedUp : signIn.wrong;
  if (code === "rate_limited") return signIn.tooMany(new Date(at + (retryAfterSeconds ?? 60) * 1000).toLocaleTimeString(words.lang));
  return sentence ?? words.failures.unknown;
}

/** A device by the name of its browser and system, where its label tells them. */
export function deviceName(label) {
  const find = (table) => table.find(([sign]) => label.includes(sign))?.[1];
  const browser = find(BROWSERS), system = find(SYSTEMS);
  return browser && system ? `${browser} \u00b7 ${system}` : label;
}

/** What stands in the list of devices and tokens, the newest first; `name` is what it is called. */
export function tokenRows(tokens, me, words) {
  const { account } = words;
  return tokens.toReversed().map(({ id, user, kind, label, current, created_at: since, expires_at: until }) => ({
    id,
    name: kind === "device" ? deviceName(label) || account.device : label || `${account.token} ${id}`,
    told: [current && account.thisOne, user !== me && account.of(user), account.since(since), until === null ? account.forGood : account.until(until)].filter(Boolean).join(" \u00b7 "),
  }));
}

/** Seconds a code is still good for, 0 once it is not. */
export function secondsLeft(expires, at) {
  return Math.max(0, Math.ceil((Date.parse(expires) - at) / 1000));
}

export function sayClock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What of one's own went, in one sentence; kinds the page has no word for are left out. */
export function sayDeleted(told, words) {
  const { deleted } = words.yours;
  const parts = Object.entries(deleted.counts).filter(([name]) => told[name] > 0).map(([name, say]) => say(told[name]));
  return parts.length === 0 ? deleted.nothing : deleted.went(new Intl.ListFormat(words.lang, { type: "conjunction" }).format(parts));
}

/** Whether the page came from the computer it is read on. */
export function isHere({ hostname }) {
  return LOOPBACK.test(hostname);
}

/** Whether others on the way could read what the page and the server tell each other. */
export function isOpenToReaders(location) {
  return location.protocol === "http:" && !isHere(location);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
