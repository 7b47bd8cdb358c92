// The end of a text that still grows, made presentable: what is begun is closed, what cannot be told yet is held back. Pure.

const FENCE = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})([^\n]*)/gm;
const UNDECIDED = /^[ \t>]*(?:[-=*_#+`~|:>\\[\]!$<. ]*|\d{1,3}[.)]?)$/;
const STARTS_BLOCK = /^[ \t]*(?:[-*+>#|]|\d{1,9}[.)]\s)/;
const LONGEST_TAIL = 4096;
const WORD = /[\p{L}\p{N}]/u;

export function mend(text) {
  const start = text.lastIndexOf("\n") + 1;
  const line = text.slice(start);
  const fence = openFence(text);
  if (fence !== null) return fence >= start || /^[ \t>]*[`~]+[ \t]*$/.test(line) ? text.slice(0, start) : text;
  if (line.startsWith("|")) return mendTable(text, start, line);
  if (UNDECIDED.test(line)) return closeMaths(withoutHead(text.slice(0, start)));
  const whole = closeMaths(text);
  if (whole !== text) return whole;
  const from = tailStart(text, start);
  return text.slice(0, from) + close(text.slice(from));
}

/** Where a code fence begins that is not closed, or null. */
function openFence(text) {
  let open = null;
  for (const found of text.matchAll(FENCE)) {
    const [, marks, rest] = found;
    if (open === null) open = marks[0] === "`" && rest.includes("`") ? null : { at: found.index, marks };
    else if (marks[0] === open.marks[0] && marks.length >= open.marks.length && rest.trim() === "") open = null;
  }
  return open === null ? null : open.at;
}

function closeMaths(text) {
  const tail = text.slice(-8000);
  const block = /(?:^|\n)[ \t]*(\$\$|\\\[)(?:(?!\n[ \t]*\n|\$\$|\\\])[\s\S])*$/.exec(tail);
  if (block === null || block[0].trim() === block[1]) return text;
  if (block[1] === "$$" && (tail.slice(0, block.index + block[0].length).match(/\$\$/g)?.length ?? 0) % 2 === 0) return text;
  return `${text.trimEnd()}\n${block[1] === "$$" ? "$$" : "\\]"}`;
}

/** Rows are shown whole, and a table's first line once the second says that it is one. */
function mendTable(text, start, line) {
  const before = text.slice(0, start);
  const isWhole = line.length > 1 && /\|[ \t]*$/.test(line);
  const goesOn = /(?:^|\n)\|[^\n]*\n$/.test(before.slice(-LONGEST_TAIL)) && (isRule(line) || withoutHead(before) === before);
  return isWhole && goesOn ? text : withoutHead(before);
}

/** Without a last line that may begin a table. */
function withoutHead(text) {
  const [, before, last] = /(?:^|\n)(?:([^\n]*)\n)?([^\n]*)\n$/.exec(text.slice(-LONGEST_TAIL)) ?? [];
  return last?.startsWith("|") && !before?.startsWith("|") ? text.slice(0, text.length - last.length - 1) : text;
}

function isRule(line) {
  return /^\|[\s:|-]*-[\s:|-]*$/.test(line);
}

/** Emphasis ends with its block: where the last paragraph, item, heading or quote begins. */
function tailStart(text, lastLine) {
  let start = lastLine;
  while (start > 0 && text.length - start < LONGEST_TAIL && !STARTS_BLOCK.test(text.slice(start, start + 80))) {
    const previous = text.lastIndexOf("\n", start - 2) + 1;
    if (text.slice(previous, start - 1).trim() === "") break;
    start = previous;
  }
  return start;
}

/** One run of inline text with its open marks closed. */
function close(text) {
  const open = [];
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === "\\") at += 1;
    else if (letter === "`") {
      const marks = run(text, at);
      const end = closingTicks(text, at + marks.length, marks);
      if (end === -1) return closeCode(text, at, marks, open);
      at = end + marks.length - 1;
    } else if (letter === "*" || letter === "_" || letter === "~") {
      const marks = run(text, at);
      if (at + marks.length === text.length) return closed(text.slice(0, at), open);
      step(open, marks, text[at - 1] ?? " ", text[at + marks.length]);
      at += marks.length - 1;
    } else if (letter === "]" && text[at + 1] === "(" && !text.includes(")", at)) {
      return closed(withoutLink(text, at), open);
    } else if (letter === "<" && /^<\/?[a-z][^<>\n]{0,200}$/i.test(text.slice(at, at + 203))) {
      return closed(text.slice(0, at), open);
    }
  }
  return closed(text, open);
}

function run(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}

function closingTicks(text, from, marks) {
  for (let at = text.indexOf(marks, from); at !== -1; at = text.indexOf(marks, at)) {
    const found = run(text, at);
    if (found.length === marks.length) return at;
    at += found.length;
  }
  return -1;
}

function closeCode(text, at, marks, open) {
  const code = text.slice(at + marks.length).replace(/`+$/, "");
  if (code.trim() === "") return closed(text.slice(0, at), open);
  return closed(`${text.slice(0, at)}${marks}${code}${marks}`, open);
}

function step(open, marks, before, after) {
  const closes = !/\s/.test(before);
  const opens = !/\s/.test(after) && !(marks[0] === "_" && WORD.test(before)) && !(marks[0] === "~" && marks.length !== 2);
  if (closes && open.at(-1)?.[0] === marks[0]) open.pop();
  else if (opens) open.push(marks);
}

function closed(text, open) {
  return open.length === 0 ? text : text.trimEnd() + open.toReversed().join("");
}

function withoutLink(text, at) {
  const start = text.lastIndexOf("[", at);
  if (start === -1) return text;
  const isImage = text[start - 1] === "!";
  return isImage ? text.slice(0, start - 1) : text.slice(0, start) + text.slice(start + 1, at);
}
