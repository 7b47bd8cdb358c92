// Which key means what, and where it must mean nothing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "../../static/js/i18n.js";
import { SHORTCUTS, intentOf, keyNames } from "../../static/js/state/shortcuts.js";

const NOTHING_HELD = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

/** "ctrl+shift+O" as the browser tells it. */
function pressed(keys, more = {}) {
  const parts = keys.split("+");
  const held = Object.fromEntries(parts.slice(0, -1).map((name) => [`${name}Key`, true]));
  return { ...NOTHING_HELD, key: parts.at(-1), code: "", keyCode: 0, isComposing: false, repeat: false, ...held, ...more };
}

test("each shortcut works where it should, and nowhere else", () => {
  const cases = [
    ["ctrl+shift+O", { page: "newConversation", field: "newConversation", composer: "newConversation", dialog: null }],
    ["ctrl+shift+o", { page: "newConversation", field: "newConversation", composer: "newConversation", dialog: null }],
    ["ctrl+shift+C", { page: "copyLast", field: "copyLast", composer: "copyLast", dialog: null }],
    ["ArrowUp", { page: null, field: null, composer: "editLast", dialog: null }],
    ["/", { page: "focusComposer", field: null, composer: null, dialog: null }],
    ["shift+/", { page: "focusComposer", field: null, composer: null, dialog: null }],
    ["?", { page: "help", field: null, composer: null, dialog: null }],
    ["shift+?", { page: "help", field: null, composer: null, dialog: null }],
    ["ctrl+O", { page: null, field: null, composer: null, dialog: null }],
    ["ctrl+alt+shift+O", { page: null, field: null, composer: null, dialog: null }],
    ["meta+shift+O", { page: null, field: null, composer: null, dialog: null }],
    ["ctrl+/", { page: null, field: null, composer: null, dialog: null }],
    ["shift+ArrowUp", { page: null, field: null, composer: null, dialog: null }],
    ["alt+ArrowUp", { page: null, field: null, composer: null, dialog: null }],
    ["Enter", { page: null, field: null, composer: null, dialog: null }],
  ];
  for (const [keys, wanted] of cases) {
    for (const [place, intent] of Object.entries(wanted)) {
      assert.equal(intentOf(pressed(keys), place, false), intent, `${keys} in ${place}`);
    }
  }
});

test("on a Mac it is the command key, and control is left to the system", () => {
  assert.equal(intentOf(pressed("meta+shift+O"), "page", true), "newConversation");
  assert.equal(intentOf(pressed("ctrl+shift+O"), "page", true), null);
});

test("a keyboard without Latin letters is read by the place of the key", () => {
  assert.equal(intentOf(pressed("ctrl+shift+Щ", { code: "KeyO" }), "page", false), "newConversation");
  assert.equal(intentOf(pressed("ctrl+shift+R", { code: "KeyO" }), "page", false), null);
});

test("nothing is done while an input method composes, for a key held down, or for one that was used already", () => {
  for (const more of [{ isComposing: true }, { keyCode: 229 }, { repeat: true }, { defaultPrevented: true }]) {
    assert.equal(intentOf(pressed("?", more), "page", false), null);
  }
});

test("keys are named as they are marked on the keyboard", () => {
  assert.deepEqual(keyNames(["Mod", "Shift", "O"], true), ["\u2318", "\u21e7", "O"]);
  assert.deepEqual(keyNames(["Mod", "Shift", "O"], false), ["Ctrl", "Shift", "O"]);
  assert.deepEqual(keyNames(["Alt", "ArrowUp"], false), ["Alt", "\u2191"]);
});

test("every shortcut is explained in every language", async () => {
  for (const language of ["en", "pt-BR"]) {
    const { help } = await wordsOf(language);
    for (const { intent } of SHORTCUTS) assert.equal(typeof help.does[intent], "string", `${language} ${intent}`);
  }
});
