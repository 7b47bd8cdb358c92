// Joins, and tells of every join, close and error from then on. Obeys: ask, garbage, sum, and the plain code of the
// documents where it is asked for.
import { LongPoll, Socket, WebSocket, more, next, say, told, url } from "./lib.mjs";

const socket = new Socket(url, { transport: more.includes("longpoll") ? LongPoll : WebSocket });
const channel = socket.channel("proxy:s", { user_id: "u" });
const counted = { oks: 0, errors: 0, closes: 0, uncaught: [], codes: [] };
let lostAt = 0;

process.on("uncaughtException", (error) => counted.uncaught.push(error.message));
socket.onError(() => say("unreachable"));
socket.onClose((event) => {
  counted.codes.push(event.code);
  lostAt = performance.now();
  say("closed", { code: event.code });
});
channel.onError(() => counted.errors++);
channel.onClose(() => counted.closes++);
if (more.includes("resilience")) setupResilience(channel);
channel.join().receive("ok", (response) => {
  counted.oks++;
  say("joined", { response, after: performance.now() - lostAt });
});
socket.connect();

for (;;) {
  switch (await told()) {
    case "ask":
      channel.push("query", { query: "hi" });
      say("answered", { response: (await next(channel, "response")).response });
      break;
    case "garbage":
      socket.conn.send("this is no frame");
      break;
    case "sum":
      say("summed", { ...counted, state: channel.state });
      break;
    default:
      process.exit();
  }
}

// websocket-interactions.md, section 10, as it stands there
function setupResilience(channel) {
  let reconnectTimer = null

  channel.onError(() => {
    console.error("Erro no canal, tentando reconectar...")
    attemptReconnect()
  })

  channel.onClose(() => {
    console.error("Canal fechado, tentando reconectar...")
    attemptReconnect()
  })

  function attemptReconnect() {
    if (reconnectTimer) return

    reconnectTimer = setTimeout(() => {
      say("trying")
      channel.join()
        .receive("ok", () => {
          console.error("Reconectado com sucesso!")
          reconnectTimer = null
        })
        .receive("error", () => {
          reconnectTimer = null
          attemptReconnect() // Tentar novamente
        })
    }, 2000) // Tentar a cada 2 segundos
  }
}
