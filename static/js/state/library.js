// The list of documents, read in pages as one comes near them; some may be hidden, since they are about to be deleted. Pure.

export const PAGE = 100;

export function startLibrary(query = "") {
  return { query, total: null, entries: [], hidden: [], stale: false };
}

/** The server has other documents now: what is shown stays until they are read. */
export function stale(library) {
  return { ...library, stale: true };
}

/** A page as the server told it. Where the number of documents has changed, what was read before stands elsewhere now. */
export function withPage(library, offset, { documents, total }, going = new Set()) {
  const entries = total === library.total && !library.stale ? library.entries.slice() : [];
  documents.forEach((document, at) => (entries[offset + at] = document));
  entries.length = total;
  return hiding({ ...library, entries, total, stale: false }, going);
}

/** Without those in `going`; they keep their places, for their deletion can be undone. */
export function hiding(library, going) {
  const hidden = [];
  if (going.size > 0) library.entries.forEach((entry, at) => going.has(entry.document_id) && hidden.push(at));
  return { ...library, hidden };
}

export function changed(library, edited) {
  const entries = library.entries.slice();
  const at = entries.findIndex((entry) => entry?.document_id === edited.document_id);
  if (at >= 0) entries[at] = edited;
  return { ...library, entries };
}

/** How many rows there are to see; null as long as nothing was read. */
export function rowsOf({ total, hidden }) {
  return total === null ? null : total - hidden.length;
}

/** The document in a row, undefined where it is not read yet. */
export function documentAt(library, row) {
  return library.entries[placeOf(library, row)];
}

/** Where the server has what stands in a row. */
export function placeOf({ hidden }, row) {
  return hidden.reduce((place, gone) => (gone <= place ? place + 1 : place), row);
}

/** The offsets of the pages that rows `from` to `to` need and that are not read. */
export function wanted(library, from, to) {
  if (library.total === null) return [0];
  const offsets = new Set();
  const last = Math.min(to, (rowsOf(library) ?? 0) - 1);
  for (let row = Math.max(0, from); row <= last; row += 1) {
    const place = placeOf(library, row);
    if (library.stale || library.entries[place] === undefined) offsets.add(Math.floor(place / PAGE) * PAGE);
  }
  return library.stale && offsets.size === 0 ? [0] : [...offsets];
}

/** Which rows are near what is seen: `top` and `height` of the window, in pixels from the list's start. */
export function rowsNear(top, height, rowHeight, count, margin = 8) {
  const from = Math.max(0, Math.floor(top / rowHeight) - margin);
  const to = Math.min(count - 1, Math.ceil((top + height) / rowHeight) + margin);
  return { from: Math.min(from, Math.max(0, count)), to };
}
