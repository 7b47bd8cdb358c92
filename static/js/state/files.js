// Files that a person hands over: which of them are nobody's documents, and what tells one from all others. Pure.

const SYSTEM = new Set(["thumbs.db", "desktop.ini", "ehthumbs.db"]);
// As in a watched folder (neuralbridge/retrieval/watcher.py)
const IGNORED = new Set(["node_modules", "__pycache__", "venv", "lost+found", "$recycle.bin", "__macosx"]);

/** `{file, path}` of what came as a File, one of a chosen folder too, or as that already. */
export function named(given) {
  if (given.file) return { file: given.file, path: tidy(given.path) };
  return { file: given, path: tidy(given.webkitRelativePath || given.name) };
}

function tidy(path) {
  return path.replace(/^\/+/, "");
}

/** Hidden files, and what systems and editors leave behind. */
export function isSkipped(path) {
  const parts = path.split("/").filter(Boolean);
  const name = parts.at(-1) ?? "";
  const hidden = parts.some((part) => part.startsWith("."));
  const ignored = parts.slice(0, -1).some((part) => IGNORED.has(part.toLowerCase()));
  return hidden || ignored || name.startsWith("~$") || SYSTEM.has(name.toLowerCase());
}

/** Those that may be documents, and how many are none. */
export function sorted(given) {
  const all = given.map(named);
  const files = all.filter(({ path }) => !isSkipped(path));
  return { files, skipped: all.length - files.length };
}

/** When a file was changed, ISO 8601; null where its clock tells a year that the server's calendar does not have. */
export function modifiedOf({ lastModified }) {
  const date = new Date(lastModified);
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999 ? date.toISOString() : null;
}
