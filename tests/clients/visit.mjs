// A whole visit, as the documents show it: join, query, stream, history, ping, errors, leave.
import { LongPoll, Socket, WebSocket, answered, more, next, say, url, version } from "./lib.mjs";

const [transport] = more;
const socket = new Socket(url, {
  transport: transport === "longpoll" ? LongPoll : WebSocket,
  params: { user_id: "user_456", auth_token: undefined, nothing: null },
});
socket.connect();

const channel = socket.channel("proxy:ção 😀", { user_id: "user_456" });
const joined = await answered(channel.join());

channel.push("query", { query: "How to implement JWT authentication?", model: "gpt-4", temperature: 0.7 });
const response = await next(channel, "response");

const tokens = [];
channel.on("stream_token", (payload) => tokens.push(payload.token));
channel.push("stream_query", { query: "Explain it in détail: 漢字", model: "gpt-4-turbo", temperature: 0.6 });
const start = await next(channel, "stream_start");
const complete = await next(channel, "stream_complete");

channel.push("get_history");
const history = await next(channel, "history");

channel.push("ping");
const pong = await next(channel, "pong");

channel.push("query", { query: "" });
const error = await next(channel, "error");
channel.push("stream_query", {});
const streamError = await next(channel, "stream_error");

// 1.7.0 writes only ASCII names into binary frames, and none to LongPoll
const plain = socket.channel("proxy:plain", {});
await answered(plain.join());
plain.push("ping", transport === "longpoll" && version === "1.7.0" ? {} : new Uint8Array([1, 2, 3]).buffer);
const pongToBinary = await next(plain, "pong");

let closes = 0;
channel.onClose(() => closes++);
const left = await answered(channel.leave());
const again = await answered(socket.channel("proxy:ção 😀", {}).join());

say("visited", {
  ...{ joined, response, start, text: tokens.join(""), complete, history, pong, error, streamError, pongToBinary },
  ...{ left, closes, state: channel.state, again },
});
process.exit();
