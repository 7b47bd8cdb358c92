// longPollFallbackMs: WebSocket hangs or fails, LongPoll takes over by itself.
import { Socket, WebSocket, answered, more, next, say, url } from "./lib.mjs";

const [fate] = more;

class Hanging {
  constructor() {
    Object.assign(this, { readyState: 0, bufferedAmount: 0 });
  }
  send() {}
  close() {
    this.readyState = 3;
    this.onclose?.({ code: 1006 });
  }
}

class Failing extends Hanging {
  constructor() {
    super();
    setTimeout(() => {
      this.onerror?.({ type: "error" });
      this.close();
    });
  }
}

// opens, and then nothing comes through, as behind some proxies
class Deaf extends WebSocket {
  set onmessage(_) {}
}

const stored = {};
const socket = new Socket(url, {
  transport: { hanging: Hanging, failing: Failing, deaf: Deaf, well: WebSocket }[fate],
  longPollFallbackMs: 300,
  sessionStorage: { getItem: (key) => stored[key] ?? null, setItem: (key, value) => (stored[key] = value) },
});
socket.connect();
const channel = socket.channel("proxy:s", {});
const joined = await answered(channel.join());
channel.push("stream_query", { query: "hi" });
const { response } = await next(channel, "stream_complete");
say("visited", { joined, response, stored, transport: socket.conn.constructor.name });
process.exit();
