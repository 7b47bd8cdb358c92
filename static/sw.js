// The service worker: keeps the page and what was read of conversations, and answers with it while the server is away.
//
// How old and new files never mix: a page that came from the server gets its files from the server, and this worker does not
// touch them; a page that came from the copy gets its files from the copy. A copy is taken whole, after a page has loaded:
// every file it named is asked for again (the server says 304 for what is known), and only when all are here does the copy
// take the old one's place. So this worker holds no list of files and has no version of its own: any copy of it serves any
// page, and a new one may take over at once.

const FILES = "files-"; // + when the copy was begun; the first in the list of caches is the whole one
const SAID = "conversations"; // lists and histories as the server last told them
const PATIENCE_MS = 2000; // for the page and a history, where there is a copy
const MOST_KEPT = 200; // conversations
const READ = /^\/api\/conversations(?:\/(?!export$|import$)[^/]+(?:\/history)?)?$/;
const ONE = /^\/api\/conversations\/([^/]+)$/;
const HISTORY = /^\/api\/conversations\/[^/]+\/history$/;

const sources = new Map(); // client id -> "server" or "copy"; what was forgotten asks the server first

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", (event) => event.waitUntil(hear(event.data)));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== location.origin) return;
  const { pathname } = url;
  if (request.method === "DELETE" && ONE.test(pathname)) event.waitUntil(dropConversation(pathname));
  if (request.method !== "GET") return;
  if (request.mode === "navigate" && pathname === "/") event.respondWith(page(event));
  else if (pathname.startsWith("/static/") && sources.get(event.clientId) !== "server") event.respondWith(file(event, pathname));
  else if (READ.test(pathname) && !url.searchParams.has("q")) event.respondWith(said(event));
});

async function takeOver() {
  await self.registration.navigationPreload?.enable(); // the page is not to wait until this worker is awake
  await self.clients.claim();
}

function hear({ type, urls, url }) {
  if (type === "loaded") return takeCopy(urls);
  if (type === "changed") return readAgain(url);
  if (type === "forget") return forget();
  throw new Error(`no such message: ${type}`);
}

// The page and its files

async function page(event) {
  const copy = await copied("/");
  const fresh = fromServer(event);
  const response = copy ? await Promise.race([fresh.catch(() => copy), later(copy)]) : await fresh;
  const useCopy = copy && (response === copy || response.status >= 500); // a proxy answers for a server that is away
  sources.set(event.resultingClientId, useCopy ? "copy" : "server");
  if (response.status === 401) event.waitUntil(forget());
  return useCopy ? copy : response;
}

async function fromServer(event) {
  return (await event.preloadResponse) ?? fetch(event.request);
}

function later(copy) {
  return new Promise((resolve) => setTimeout(() => resolve(copy), PATIENCE_MS));
}

async function file({ clientId, request }, pathname) {
  if (sources.get(clientId) === "copy") return (await copied(pathname)) ?? fetch(request);
  try {
    return await fetch(request);
  } catch (failure) {
    const copy = await copied(pathname);
    if (copy) return copy;
    throw failure;
  }
}

async function copied(path) {
  const [whole] = await copies();
  return whole && caches.match(path, { cacheName: whole });
}

async function copies() {
  return (await caches.keys()).filter((name) => name.startsWith(FILES));
}

let taking = Promise.resolve(); // two pages that loaded at once take one copy after the other

function takeCopy(urls) {
  taking = taking.then(() => renewCopy(urls));
  return taking;
}

/** What was ever used stays: a formula may come up for the first time while the server is away. */
async function renewCopy(urls) {
  const [whole, ...unfinished] = await copies();
  await Promise.all(unfinished.map((name) => caches.delete(name)));
  const kept = whole ? (await (await caches.open(whole)).keys()).map(({ url }) => new URL(url).pathname) : [];
  const wanted = new Set(urls);
  const earlier = kept.filter((path) => !wanted.has(path));
  let files;
  try {
    files = await Promise.all([...urls.map((path) => ask(path)), ...earlier.map((path) => ask(path, { mayBeGone: true }))]);
  } catch {
    return; // the server went away: the copy stays as it is
  }
  const there = files.filter(([, response]) => response.ok);
  if (whole && (await areTheSame(there, kept))) return;
  const name = FILES + Date.now();
  const copy = await caches.open(name);
  await Promise.all(there.map(([path, response]) => copy.put(path, response)));
  if (whole) await caches.delete(whole);
}

async function ask(path, { mayBeGone = false } = {}) {
  const response = await fetch(path);
  if (!isOurs(response) || !(response.ok || (mayBeGone && response.status === 404))) throw new Error(`${path}: ${response.status}`);
  return [path, response];
}

/** Every answer of our server carries its policy. Another program at this address, or somebody who asks for a sign-in, has
 * other files. */
function isOurs({ redirected, headers }) {
  return !redirected && (headers.get("Content-Security-Policy") ?? "").includes("trusted-types nb");
}

async function areTheSame(files, kept) {
  if (files.length !== kept.length) return false;
  const same = files.map(async ([path, { headers }]) => (await copied(path))?.headers.get("ETag") === headers.get("ETag"));
  return (await Promise.all(same)).every(Boolean);
}

// What was said

let forgotten = 0; // how often: what was asked for before that belongs to somebody who has left

function forget() {
  forgotten += 1;
  return caches.delete(SAID);
}

async function said(event) {
  const { url } = event.request;
  const since = forgotten;
  const fresh = fetch(event.request);
  const kept = fresh.then((response) => keep(url, response.clone(), since));
  event.waitUntil(kept.catch(() => {})); // away, or the browser has no room: what is kept stays as it is
  const copy = await caches.match(url, { cacheName: SAID });
  if (!copy) return fresh;
  const old = await marked(copy);
  // A history is told once more by the channel, so an old one may stand for it meanwhile; a list is not.
  const patient = new URL(url).pathname.endsWith("/history") ? [later(old)] : [];
  return Promise.race([fresh.catch(() => old), ...patient]);
}

async function keep(url, response, since) {
  if (response.status === 401) return forget();
  if (since !== forgotten) return;
  const cache = await caches.open(SAID);
  if (response.status === 404) return cache.delete(url);
  if (!response.ok || !isOurs(response)) return;
  await cache.delete(url); // so that what was read last stands last
  await cache.put(url, response);
  await Promise.all([ONE, HISTORY].map((kind) => dropOldest(cache, kind)));
}

async function dropOldest(cache, kind) {
  const read = (await cache.keys()).filter((request) => kind.test(new URL(request.url).pathname));
  await Promise.all(read.slice(0, -MOST_KEPT).map((request) => cache.delete(request)));
}

/** The page is to say how old it is. */
async function marked(copy) {
  const headers = ofCopy(copy);
  return new Response(await copy.blob(), { headers: { ...headers, "x-from-cache": headers.Date } });
}

/** Not those that speak of how it came here, its length and its compression. */
function ofCopy({ headers }) {
  return { "Content-Type": headers.get("Content-Type") ?? "application/json", Date: headers.get("Date") ?? "" };
}

/** After an answer: the conversation, and the lists it stands in. */
async function readAgain(url) {
  const cache = await caches.open(SAID);
  const lists = (await cache.keys()).map((request) => request.url).filter((each) => new URL(each).pathname === "/api/conversations");
  await Promise.all([new URL(url, location.origin).href, ...lists].map(refresh));
}

async function refresh(url) {
  try {
    const since = forgotten;
    await keep(url, await fetch(url), since);
  } catch {
    // Away: what is kept stays as it is.
  }
}

/** The request itself goes its own way. Should it be refused, the list is read again when the page asks for it. */
async function dropConversation(pathname) {
  const cache = await caches.open(SAID);
  const id = decodeURIComponent(ONE.exec(pathname)[1]);
  for (const request of await cache.keys()) {
    const { pathname: kept } = new URL(request.url);
    if (kept === pathname || kept === `${pathname}/history`) await cache.delete(request);
    if (kept === "/api/conversations") await dropFromList(cache, request, id);
  }
}

async function dropFromList(cache, request, id) {
  const list = await cache.match(request);
  const { conversations, total } = await list.json();
  const others = conversations.filter(({ session_id }) => session_id !== id);
  const body = JSON.stringify({ conversations: others, total: total - (conversations.length - others.length) });
  await cache.put(request, new Response(body, { headers: ofCopy(list) }));
}
