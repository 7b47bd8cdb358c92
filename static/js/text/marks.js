// Marks on the sentences of a rendered text: numbers that lead to sources, and lines under words no document says.

import { lettersOf, locate, spell } from "./letters.js";
import { element as make } from "./shape.js";

const SVG = "http://www.w3.org/2000/svg";
const ICONS = "/static/vendor/icons.svg";
const UNSAID = new Set(["unsupported", "contradicted"]);
const NOT_TEXT = ".code-header, .image-refused, .maths, code.tex, button";
const NOT_SPLIT = "a, code, kbd, summary, button"; // a mark stands after these, never inside
const BLOCK = "p, li, h4, h5, h6, td, th, summary, blockquote, caption, pre, dd, div";

/**
 * Mark `sentences`, [{start, end, verdict, number, label}], places in the Markdown `text` in UTF-16 units, in the element
 * that shows it. Call it once the text has settled.
 */
export function mark(element, text, sentences) {
  unmark(element);
  const nodes = textNodes(element);
  const rendered = spellNodes(nodes);
  const source = lettersOf(text);
  const order = sentences.map((_, index) => index).sort((one, other) => sentences[one].start - sentences[other].start);
  const found = locate(source.letters, order.map((index) => rangeOf(source.places, sentences[index])), rendered.letters);
  const spots = spotsOf(found, rendered, nodes);
  // From the end, so that splitting a text leaves the places before it as they are.
  for (const [place, index] of [...order.entries()].reverse()) {
    const sentence = sentences[index];
    const button = citation(sentence, index);
    insert(element, spots[place].end, button);
    if (UNSAID.has(sentence.verdict)) underline(spots[place].words, sentence.verdict, index);
  }
}

/** The text as it was before it was marked. */
export function unmark(element) {
  for (const button of element.querySelectorAll("button.citation")) button.remove();
  for (const span of element.querySelectorAll("span[data-sentence]")) span.replaceWith(...span.childNodes);
  for (const block of element.querySelectorAll(BLOCK)) if (!block.matches("pre")) block.normalize();
}

function citation({ verdict, number, label }, index) {
  const button = make("button", { type: "button", className: "citation" });
  button.dataset.sentence = index;
  button.dataset.verdict = verdict;
  button.setAttribute("aria-label", label);
  if (UNSAID.has(verdict)) button.append(icon(verdict === "contradicted" ? "triangle-alert" : "circle-help"));
  else button.append(number === null ? icon("text-quote") : String(number)); // it rests on a passage of an earlier answer
  return button;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

// Finding the place

function textNodes(element) {
  const filter = (node) => (node.parentElement.closest(NOT_TEXT) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT, filter);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  return nodes;
}

/** Letters of all nodes; homes[i] is the node of letters[i], places[i] its place in that node. */
function spellNodes(nodes) {
  const letters = [];
  const homes = [];
  const places = [];
  for (const [home, node] of nodes.entries()) {
    const spelt = spell(node.data);
    letters.push(spelt.letters);
    for (const place of spelt.places) {
      homes.push(home);
      places.push(place);
    }
  }
  return { letters: letters.join(""), homes, places };
}

function rangeOf(places, { start, end }) {
  return { from: firstFrom(places, start), to: firstFrom(places, end) };
}

function firstFrom(places, wanted) {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Per sentence {words: pieces of text nodes, end: {node, offset}}; without a place, the end of the last block found. */
function spotsOf(found, { homes, places }, nodes) {
  let last = null;
  return found.map((range) => {
    if (range === null) return { words: [], end: last };
    const words = pieces(range, homes, places, nodes);
    last = { node: nodes[homes[range.to - 1]], offset: null };
    return { words, end: withPunctuation(words.at(-1), nodes, homes[range.to - 1]) };
  });
}

function pieces({ from, to }, homes, places, nodes) {
  const result = [];
  for (let home = homes[from]; home <= homes[to - 1]; home += 1) {
    const node = nodes[home];
    const start = home === homes[from] ? places[from] : 0;
    const end = home === homes[to - 1] ? afterLetter(node.data, places[to - 1]) : node.data.length;
    if (node.data.slice(start, end).trim() !== "") result.push({ node, start, end });
  }
  return result;
}

function afterLetter(text, place) {
  return place + String.fromCodePoint(text.codePointAt(place)).length;
}

/** Past the full stop, the bracket and the quotation mark that follow in the same block. */
function withPunctuation(piece, nodes, home) {
  let { node, end } = piece;
  const block = node.parentElement.closest(BLOCK);
  for (let next = home; ; next += 1) {
    const rest = nodes[next].data.slice(next === home ? end : 0);
    const marks = /^[^\p{L}\p{N}\s]*/u.exec(rest)[0].length;
    if (marks > 0) [node, end] = [nodes[next], (next === home ? end : 0) + marks];
    if (marks < rest.length || nodes[next + 1]?.parentElement.closest(BLOCK) !== block) return { node, offset: end };
  }
}

// Changing the text

function insert(element, spot, button) {
  if (spot === null) return (element.lastElementChild?.matches("p") ? element.lastElementChild : element).append(button);
  const code = spot.node.parentElement.closest(".code-block");
  if (code) return code.after(button);
  if (spot.offset === null) return spot.node.parentElement.closest(BLOCK).append(button);
  const whole = outermost(spot.node, NOT_SPLIT);
  if (whole) return whole.after(button);
  if (spot.offset < spot.node.length) spot.node.splitText(spot.offset);
  spot.node.after(button);
}

function outermost(node, selector) {
  let found = null;
  for (let inside = node.parentElement.closest(selector); inside; inside = inside.parentElement?.closest(selector)) found = inside;
  return found;
}

function underline(words, verdict, index) {
  for (const { node, start, end } of words.toReversed()) {
    if (node.parentElement.closest("pre")) continue;
    if (end < node.length) node.splitText(end);
    const inner = start > 0 ? node.splitText(start) : node;
    const span = make("span", { className: verdict });
    span.dataset.sentence = index;
    inner.replaceWith(span);
    span.append(inner);
  }
}
