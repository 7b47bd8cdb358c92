// What the page asks of its channel, and how it takes the answers, without a server.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Channel } from "../../static/js/channel.js";

/** A channel that is joined, what it pushed, and what it told. */
function joined() {
  const pushed = [];
  const told = [];
  const channel = new Channel("s", { tell: (event) => told.push(event), resume: () => null });
  channel.socket.isConnected = () => true;
  channel.channel.state = "joined";
  channel.channel.push = (event, payload) => pushed.push([event, payload]);
  const hear = (event, payload) => channel.channel.trigger(event, payload);
  return { channel, pushed, told, hear };
}

test("a history that is asked for very often is read twice", () => {
  const { channel, pushed, hear } = joined();
  for (let time = 0; time < 300; time += 1) channel.readHistory();
  hear("history", { messages: [], before: null });
  hear("history", { messages: [], before: null });
  assert.deepEqual(pushed, [["get_history", {}], ["get_history", {}]]);
});

test("an earlier part that comes while the newest is being read is still an earlier one", () => {
  const { channel, told, hear } = joined();
  channel.readEarlier("m");
  channel.readHistory();
  hear("history", { messages: [], before: "m" });
  hear("history", { messages: [], before: null });
  assert.deepEqual(told.map(({ earlier }) => earlier), [true, false]);
});
