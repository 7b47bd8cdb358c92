// Sanitised elements into the page's own: headings below its outline, tables that scroll, code with a header, refused
// images and links as text.

import { fragment } from "./sanitise.js";

const DIRECTED = "p, h4, h5, h6, blockquote, summary, td, th, caption, ul, ol";

/** One element with what the HTML of a block means, or null. */
export function blockElement(html, words) {
  const shaped = shape(fragment(html), words);
  const [only] = shaped.childNodes.length === 1 ? shaped.children : [];
  if (only && !only.matches("a, b, i, em, strong, code, sub, sup, br, kbd, mark, del, s, img, .image-refused")) return only;
  return element("div", { dir: "auto" }, ...shaped.childNodes);
}

/** The item of a list or row of a table that the HTML of a whole one holds. */
export function partElement(html, words, name) {
  return shape(fragment(html), words).querySelector(name) ?? element(name);
}

export function shape(content, words) {
  for (const old of content.querySelectorAll("h1, h2, h3, h4, h5, h6")) old.replaceWith(demoted(old));
  for (const link of content.querySelectorAll("a:not([href])")) link.replaceWith(...link.childNodes);
  for (const image of content.querySelectorAll("img")) shapeImage(image, words);
  for (const code of content.querySelectorAll("pre")) code.replaceWith(codeBlock(code.textContent, languageIn(code), words));
  for (const block of content.querySelectorAll(DIRECTED)) direct(block);
  for (const code of content.querySelectorAll("code:not(pre code)")) code.dir = "ltr";
  for (const table of content.querySelectorAll("table")) region(table, words);
  for (const node of [...content.childNodes]) if (node.nodeType === Node.TEXT_NODE && !node.data.trim()) node.remove();
  content.normalize();
  return content;
}

export function codeBlock(text, language, words) {
  const label = element("span", { className: "code-language" });
  label.textContent = language || words.code;
  const copy = element("button", { type: "button", className: "copy-code" });
  copy.textContent = words.copyCode;
  copy.setAttribute("aria-live", "polite");
  const code = element("code", { className: language ? `language-${language}` : "" });
  code.append(new Text(text.replace(/\n$/, "")));
  const pre = element("pre", { tabIndex: 0 }, code);
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", `${words.code} ${language}`.trim());
  return element("div", { className: "code-block", dir: "ltr" }, element("div", { className: "code-header" }, label, copy), pre);
}

/** The table in a frame that scrolls and can be reached by keyboard. */
export function region(table, words) {
  const frame = element("div", { className: "table-region", tabIndex: 0 });
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", words.table);
  table.replaceWith(frame);
  frame.append(table);
  return frame;
}

export function plainBlock(text) {
  const block = element("p", { className: "plain-text", dir: "auto" });
  block.textContent = text;
  return block;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function demoted(heading) {
  const level = Math.min(6, Number(heading.localName[1]) + 3);
  return element(`h${level}`, {}, ...heading.childNodes);
}

/** A list has one direction, of its first words; what is inside it inherits. */
function direct(block) {
  const inherits = block.parentElement?.closest("ul, ol") && !block.matches("blockquote, td, th");
  if (!inherits) block.dir = "auto";
}

function languageIn(pre) {
  return /^language-(\S+)$/.exec(pre.querySelector("code")?.className ?? "")?.[1] ?? "";
}

function shapeImage(image, words) {
  if (image.hasAttribute("src")) {
    image.alt = image.alt || "";
    image.loading = "lazy";
    return;
  }
  const shown = element("span", { className: "image-refused" });
  const { address } = image.dataset;
  shown.textContent = `[${words.imageNotLoaded}: ${image.alt}]${address ? ` (${address})` : ""}`;
  image.replaceWith(shown);
}
