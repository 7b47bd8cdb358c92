// What the programs share: phoenix.js of either version under Node, and lines of JSON to and from the test.
import { createInterface } from "node:readline";
import WebSocket from "ws";

export const [version, url, ...more] = process.argv.slice(2);

globalThis.self ??= globalThis; // where 1.7.0 looks for its globals
if (version === "1.7.0") globalThis.XMLHttpRequest = FetchedRequest; // all it knows; newer ones use fetch

export const { Socket, LongPoll } = await import(version === "1.7.0" ? "phoenix-1.7.0" : "phoenix");
export { WebSocket };

export const say = (said, more = {}) => process.stdout.write(`${JSON.stringify({ said, ...more })}\n`);

const words = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export const told = async () => (await words.next()).value;

/** Resolves with what a push or join is answered with. */
export const answered = (push) =>
  new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }));
  });

/** Resolves with the payload of the channel's next such event. */
export const next = (channel, event) =>
  new Promise((resolve) => {
    const ref = channel.on(event, (payload) => {
      channel.off(event, ref);
      resolve(payload);
    });
  });

/** As much of XMLHttpRequest as phoenix.js 1.7.0 uses. A function, so that it exists before the import above. */
function FetchedRequest() {
  const headers = {};
  const controller = new AbortController();
  let method, place;
  this.open = (...wanted) => ([method, place] = wanted);
  this.setRequestHeader = (name, value) => (headers[name] = value);
  this.abort = () => controller.abort();
  this.send = async (body) => {
    try {
      const answer = await fetch(place, { method, headers, body, signal: controller.signal });
      this.responseText = await answer.text();
    } catch {
      return controller.signal.aborted || this.onerror();
    }
    this.readyState = 4;
    this.onreadystatechange();
  };
}
