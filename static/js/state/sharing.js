// Whom a document is shared with: nobody, everybody, or some by name. Pure.

export const AUDIENCES = ["nobody", "everybody", "some"];
const EVERYBODY = "*";
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}_.@+-]{0,63}$/u; // as neuralbridge/access/users.py has it

export function audienceOf(sharedWith) {
  if (sharedWith.length === 0) return "nobody";
  return sharedWith.includes(EVERYBODY) ? "everybody" : "some";
}

export function namesOf(sharedWith) {
  return sharedWith.filter((name) => name !== EVERYBODY);
}

/** What a person wrote, as the server takes it, or what is wrong with it: {sharedWith} or {wrong: name | null}. */
export function readAudience(audience, text) {
  if (audience === "nobody") return { sharedWith: [] };
  if (audience === "everybody") return { sharedWith: [EVERYBODY] };
  const names = [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
  const wrong = names.find((name) => !NAME.test(name));
  if (wrong !== undefined || names.length === 0) return { wrong: wrong ?? null };
  return { sharedWith: names };
}

/** What is said of it beside the document; empty for one that is its owner's alone. */
export function saySharing({ mine = true, owner, shared_with: sharedWith = [] }, words) {
  if (!mine) return words.sharedBy(owner);
  if (audienceOf(sharedWith) === "everybody") return words.sharedWithAll;
  return sharedWith.length === 0 ? "" : words.sharedWithSome(sharedWith);
}
