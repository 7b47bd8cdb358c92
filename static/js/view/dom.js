// Making elements. Knows nothing of what they are for.

const SVG = "http://www.w3.org/2000/svg";

/**
 * `element("button", { class: "quiet", onclick: act, "aria-label": "Close" }, icon("x"))`. What is null or false is left out;
 * children are nodes or texts. Never takes HTML.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(made, name, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function set(made, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") made.addEventListener(name.slice("on".length), value);
  else if (name === "data") Object.assign(made.dataset, value);
  else made.setAttribute(name, value === true ? "" : value);
}

/** One of the symbols that set-up draws; decoration only, so a name for it has to stand beside. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/vendor/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon; its label is shown beside, or, with `bare`, only read aloud and told by hovering. */
export function button(label, { icon: name, bare = false, class: kind = "quiet", ...properties } = {}) {
  const shape = name ? (bare ? "only-icon" : "with-icon") : "";
  const told = bare ? { "aria-label": label, title: label } : {};
  const made = element("button", { type: "button", class: `${kind} ${shape}`.trim(), ...told, ...properties });
  if (name) made.append(icon(name));
  if (!bare) made.append(element("span", {}, label));
  return made;
}

/** The word at "documents.title" in words.documents.title. */
export function wordAt(words, path) {
  const found = path.split(".").reduce((at, part) => at?.[part], words);
  if (typeof found !== "string") throw new Error(`no word at ${path}`);
  return found;
}
