// A page that loses its connection in mid-stream and goes on where it was: a join payload that changes is a function.
import { Socket, WebSocket, next, say, told, url } from "./lib.mjs";

const got = { stream_id: null, seq: 0 };
const events = [];
const socket = new Socket(url, { transport: WebSocket });
const channel = socket.channel("proxy:s", () => (got.stream_id ? { resume: got } : {}));
for (const event of ["stream_start", "stream_token", "stream_complete"]) {
  channel.on(event, (payload) => {
    Object.assign(got, { stream_id: payload.stream_id, seq: payload.seq });
    events.push({ event, seq: payload.seq, token: payload.token, response: payload.response });
    say("event", { seq: payload.seq });
  });
}
channel.join().receive("ok", ({ resume }) => say("joined", { resume }));
socket.connect();

await told(); // ask
channel.push("stream_query", { query: "a story" });
const complete = next(channel, "stream_complete");
await told(); // lose
socket.conn.terminate();
await complete;
say("finished", { events });
process.exit();
