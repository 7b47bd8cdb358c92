// Puts MathML in the place of TeX sources. Temml is loaded when the first formula appears; until then, and where it
// cannot read a formula, the source is shown.

import { Work } from "./work.js";
import { mathsFragment } from "./sanitise.js";
import { element } from "./shape.js";

const LONGEST = 4000;
const KEPT = 400;
const AT_ONCE = 8;
const OPTIONS = { throwOnError: true, strict: false, trust: false, maxExpand: 500, maxSize: [20, 20], annotate: false };

const made = new Map(); // source and display -> what is shown, or null: cannot be read
let library = null;
let loading = null;

const waiting = [];
const work = new Work(
  () => {
    const { code, done } = waiting.shift();
    if (code.isConnected) typeset(code);
    done();
    return waiting.length > 0;
  },
  { whenIdle: true },
);

/** Typeset what has formulas: a few at once, so that text which grows does not flicker, others when there is time. */
export async function typesetIn(content) {
  const sources = [...content.querySelectorAll("code.tex")];
  if (sources.length === 0) return;
  const ready = library === null ? [] : sources.filter((code, place) => place < AT_ONCE || isKnown(code));
  for (const code of ready) typeset(code);
  const others = sources.filter((code) => !ready.includes(code));
  if (others.length === 0) return;
  loading ??= import("../../vendor/temml.mjs");
  library ??= (await loading).default;
  await Promise.all(others.map((code) => new Promise((done) => waiting.push({ code, done }) && work.start())));
}

function typeset(code) {
  const shown = formula(code.textContent, code.classList.contains("display"));
  if (shown === null) code.classList.add("unreadable");
  else code.replaceWith(shown.cloneNode(true));
}

function isKnown(code) {
  return made.has(key(code.textContent, code.classList.contains("display")));
}

function formula(source, display) {
  const name = key(source, display);
  if (!made.has(name)) {
    if (made.size >= KEPT) made.delete(made.keys().next().value);
    made.set(name, make(source, display));
  }
  return made.get(name);
}

function make(source, display) {
  const html = source.length > LONGEST ? null : markup(source, display);
  const math = html && mathsFragment(html).querySelector("math");
  if (!math) return null;
  return element("span", { className: display ? "maths display" : "maths", dir: "ltr" }, math);
}

/** MathML without inline styles, which the page's policy forbids; null for what Temml cannot read. Sources come from models, so its own failures (depth) count as such. */
function markup(source, display) {
  try {
    return library.renderToString(source, { ...OPTIONS, displayMode: display }).replace(/ style="[^"]*"/g, "");
  } catch (failure) {
    if (failure instanceof library.ParseError || failure instanceof RangeError || failure instanceof TypeError) return null;
    throw failure;
  }
}

function key(source, display) {
  return `${display ? "d" : "i"}${source}`;
}
