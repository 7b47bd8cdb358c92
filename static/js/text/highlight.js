// Colours a closed code block when nothing else is to be done. The highlighter is loaded when first needed.

import { Work } from "./work.js";

const LONGEST = 16_384; // characters; highlighting is one piece of work and must stay under 50 ms
const PIECES = /<span class="([^"]*)">|<(\/)span>|([^<]+)/g;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'" };

const waiting = [];
let library = null;
let loading = null;

const work = new Work(
  () => {
    const task = waiting.shift();
    if (task?.code.isConnected) task.code.replaceChildren(coloured(task.code.textContent, task.language) ?? task.code.textContent);
    task?.done();
    return waiting.length > 0;
  },
  { whenIdle: true },
);

/** Resolves once the code is coloured, or stays as it is: unknown language, too long. */
export async function highlight(code, language) {
  if (language === "" || code.textContent.length > LONGEST) return;
  loading ??= import("../../vendor/highlight.mjs");
  library ??= (await loading).default;
  if (!library.getLanguage(language)) return;
  await new Promise((done) => {
    waiting.push({ code, language, done });
    work.start();
  });
}

function coloured(text, language) {
  return spans(library.highlight(text, { language, ignoreIllegals: true }).value);
}

/** The highlighter writes nothing but spans and escaped text, so its HTML need not be read as HTML. */
function spans(html) {
  const whole = document.createDocumentFragment();
  let inside = whole;
  for (const [, name, end, text] of html.matchAll(PIECES)) {
    if (text !== undefined) inside.append(text.replace(/&(?:amp|lt|gt|quot|#x27);/g, (entity) => ENTITIES[entity]));
    else if (end) inside = inside.parentNode ?? whole;
    else {
      const span = document.createElement("span");
      span.className = name;
      inside.append(span);
      inside = span;
    }
  }
  return whole;
}
