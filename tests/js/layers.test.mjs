// Arrows point down: what each part of the page may import, as one table. Read as text, so nothing is run.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../static/js/", import.meta.url);
const OUT = ["channel", "memory", "server"]; // the doors to the world outside of the page
const MAY_IMPORT = {
  state: ["state"],
  text: ["text", "state", "vendor"],
  view: ["view", "text", "state"],
  i18n: ["state"],
  channel: ["vendor"],
  controllers: ["controllers", ...OUT, "view", "text", "state", "i18n"],
};
// Of the browser's: who may touch it at all
const ONLY_IN = {
  "\\bdocument\\.[a-z]": ["text", "view", "controllers"],
  "localStorage": ["controllers"],
  "\\bfetch\\(": ["server", "controllers"],
  "innerHTML": ["text"],
  "outerHTML": [],
  "insertAdjacentHTML": [],
  "setAttribute\\(.style": [],
  "new Socket\\(": ["channel"],
};

const files = (await readdir(ROOT, { recursive: true })).filter((file) => file.endsWith(".js")).sort();
const sources = new Map(await Promise.all(files.map(async (file) => [file, await readFile(new URL(file, ROOT), "utf8")])));

function partOf(file) {
  const [folder, inside] = file.split("/");
  if (inside) return folder;
  const name = folder.replace(/\.js$/, "");
  return OUT.includes(name) ? name : "controllers";
}

function imports(file, source) {
  const found = [...source.matchAll(/(?:from|import)\s*\(?\s*["'`]([^"'`$]+)/g)].map(([, path]) => path).filter((path) => path.startsWith("."));
  return found.map((path) => fileURLToPath(new URL(path, new URL(file, ROOT))).slice(fileURLToPath(new URL("..", ROOT)).length));
}

const withoutComments = (source) => source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");

test("every module of the page imports only from where its part may", () => {
  const wrong = files.flatMap((file) =>
    imports(file, sources.get(file))
      .map((path) => (path.startsWith("vendor/") ? "vendor" : partOf(path.replace(/^js\//, ""))))
      .filter((part) => !(MAY_IMPORT[partOf(file)] ?? []).includes(part))
      .map((part) => `${file} imports ${part}`),
  );
  assert.deepEqual(wrong, []);
});

test("only those touch the page, storage and the network whose business it is", () => {
  const wrong = files.flatMap((file) =>
    Object.entries(ONLY_IN)
      .filter(([what, parts]) => new RegExp(what).test(withoutComments(sources.get(file))) && !parts.includes(partOf(file)))
      .map(([what]) => `${file} uses ${what}`),
  );
  assert.deepEqual(wrong, []);
});

test("every import leads to a file there is", () => {
  const there = new Set(files.map((file) => `js/${file}`));
  const lost = files.flatMap((file) => imports(file, sources.get(file)).filter((path) => !path.startsWith("vendor/") && !path.endsWith("/") && !there.has(path)));
  assert.deepEqual(lost, []);
});

test("main.js stays wiring", () => {
  assert.ok(sources.get("main.js").split("\n").length <= 70);
});
