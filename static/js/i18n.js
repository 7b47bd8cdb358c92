// Which language the page speaks. Each is one file in i18n/, named by its BCP 47 tag; the server lists them in <html>.

import { isHere } from "./state/account.js";

const FALLBACK = "en";

/** The languages there are, from the page's own element. */
export function languagesOf(document) {
  const listed = document.documentElement.dataset.languages.split(" ").filter(Boolean);
  return listed.length > 0 ? listed : [FALLBACK];
}

/** The first of the wanted languages that there is, by its tag or else by its first part; English otherwise. */
export function chosen(wanted, available) {
  const base = (tag) => tag.toLowerCase().split("-")[0];
  for (const tag of wanted) {
    const exact = available.find((each) => each.toLowerCase() === tag.toLowerCase());
    const found = exact ?? available.find((each) => base(each) === base(tag));
    if (found) return found;
  }
  return FALLBACK;
}

/** The words that this person reads. */
export function wordsFor(document, memory) {
  const { location, navigator } = document.defaultView;
  const named = new URLSearchParams(location.search).get("language"); // where the browser keeps nothing
  const wanted = [memory.get("language"), named, ...navigator.languages].filter(Boolean);
  return wordsOf(chosen(wanted, languagesOf(document)), isHere(location) ? null : location.hostname);
}

/** The words of a language; what it lacks is said in English. `host`: another computer than this one, where the server is. */
export async function wordsOf(language, host = null) {
  const [english, own] = await Promise.all([import(`./i18n/${FALLBACK}.js`), import(`./i18n/${language}.js`)]);
  const words = { ...completed(own.default, english.default), lang: language };
  return host === null ? words : completed(words.elsewhere(host), words);
}

function completed(own, english) {
  const words = { ...english, ...own };
  for (const [name, word] of Object.entries(english)) {
    if (typeof word === "object" && !Array.isArray(word) && own[name]) words[name] = completed(own[name], word);
  }
  return words;
}
