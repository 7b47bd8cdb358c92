// authToken of 1.8: among the subprotocols of a WebSocket, in a header of LongPoll.
import { LongPoll, Socket, WebSocket, answered, more, say, url } from "./lib.mjs";

const [transport] = more;
const socket = new Socket(url, { transport: transport === "longpoll" ? LongPoll : WebSocket, authToken: "a token/+" });
socket.connect();
const joined = await answered(socket.channel("proxy:s", {}).join());
say("joined", { joined, protocol: socket.conn.protocol ?? null });
process.exit();
