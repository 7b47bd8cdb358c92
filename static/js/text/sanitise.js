// The one place where HTML becomes elements. What passes is listed here; everything else is dropped, its words are kept.

import DOMPurify from "../../vendor/dompurify.mjs";

const list = (words) => words.trim().split(/\s+/);
const COMMON = {
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOW_UNKNOWN_PROTOCOLS: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
  ADD_DATA_URI_TAGS: ["img"],
};
const TEXT = Object.freeze({
  ...COMMON,
  ALLOWED_TAGS: list(`#text b i em strong code sub sup br kbd mark del s table thead tbody tfoot tr th td caption details
    summary p ul ol li blockquote pre hr h1 h2 h3 h4 h5 h6 a img`),
  ALLOWED_ATTR: list("href src alt class align start open colspan rowspan"),
});
const TEXT_FRAGMENT = Object.freeze({ ...TEXT, RETURN_DOM_FRAGMENT: true });
const MATHS_FRAGMENT = Object.freeze({
  ...COMMON,
  RETURN_DOM_FRAGMENT: true,
  ALLOWED_NAMESPACES: ["http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xhtml"],
  ALLOWED_TAGS: list(`#text math mrow mi mo mn ms mtext mspace msub msup msubsup mfrac msqrt mroot munder mover munderover
    mtable mtr mtd mpadded mphantom menclose mstyle mmultiscripts mprescripts merror none`),
  ALLOWED_ATTR: list(`class display mathvariant stretchy fence separator lspace rspace minsize maxsize symmetric movablelimits
    accent accentunder linethickness columnalign rowspacing columnspacing columnlines rowlines frame displaystyle
    scriptlevel width height depth voffset notation form largeop columnspan rowspan mathcolor mathbackground`),
});
const CLASS = /^(?:language-[\w+#.-]{1,30}|tex|tex display|tight|task|tml-[a-z-]{1,30}(?: tml-[a-z-]{1,30})*)$/;
const IMAGE = /^data:image\/(?:png|jpeg|gif|webp)[;,]/i;

DOMPurify.addHook("uponSanitizeAttribute", (node, attribute) => {
  if (attribute.attrName === "class" && !CLASS.test(attribute.attrValue)) attribute.keepAttr = false;
});
// In the sanitiser's own inert document: an image with an address would be fetched the moment it came into ours.
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.localName === "img") checkImage(node);
  if (node.localName === "a") checkLink(node);
});

export const policy = namedPolicy({
  createHTML: (html) => DOMPurify.sanitize(html, TEXT),
  createScriptURL(address) {
    if (address === "/sw.js") return address;
    throw new TypeError(`no script may come from ${address}`);
  },
});

/** Harmless elements of any HTML. Images that may not be shown have no `src` but `data-address`; refused links no `href`. */
export function fragment(html) {
  return DOMPurify.sanitize(html, TEXT_FRAGMENT);
}

/** The same for MathML as Temml writes it; no other text is read as MathML. */
export function mathsFragment(html) {
  return DOMPurify.sanitize(html, MATHS_FRAGMENT);
}

function namedPolicy(rules) {
  return globalThis.trustedTypes?.createPolicy("nb", rules) ?? rules;
}

function checkImage(image) {
  const written = image.getAttribute("src") ?? "";
  const address = absolute(written, document.baseURI);
  image.removeAttribute("src");
  if (IMAGE.test(written.trim())) image.setAttribute("src", written.trim());
  else image.setAttribute("data-address", /^https?:$/.test(address?.protocol) ? address.href : "");
}

/** Only whole addresses: relative ones would lead into this page. */
function checkLink(link) {
  const address = absolute(link.getAttribute("href") ?? "");
  if (!/^(?:https?|mailto):$/.test(address?.protocol)) return link.removeAttribute("href");
  link.setAttribute("href", address.href);
  link.setAttribute("title", address.href);
  link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noopener noreferrer nofollow");
}

function absolute(address, base) {
  return URL.canParse(address, base) ? new URL(address, base) : null;
}
