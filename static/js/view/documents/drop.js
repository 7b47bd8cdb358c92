// The whole page is a place to drop files and folders on. Tells which files those are, folders walked through.

/** `onFiles(files)` hears {file, path} of all that was dropped; the place for it is only shown while `may()`. */
export function takeDrops(document, overlay, onFiles, may = () => true) {
  const shown = (is) => (overlay.hidden = !is);
  document.addEventListener("dragenter", (event) => brings(event) && (event.preventDefault(), shown(may())));
  document.addEventListener("dragover", (event) => {
    if (!brings(event)) return;
    event.preventDefault(); // else the browser would open the file in place of the page
    event.dataTransfer.dropEffect = "copy";
    shown(may());
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && shown(false));
  document.addEventListener("drop", async (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    shown(false);
    onFiles(await filesOf(event.dataTransfer.items));
  });
}

function brings(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** All files of a drop. The items themselves are gone after the first wait, so they are looked at before. */
export async function filesOf(items) {
  const dropped = [...items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of dropped) {
    if (entry) await walk(entry, found);
    else if (file) found.push({ file, path: file.name });
  }
  return found;
}

/** One after another: a folder may hold many thousands. What the system does not let us read is left to be refused by name. */
async function walk(entry, found) {
  if (entry.isFile) {
    const file = await asked((tell, fail) => entry.file(tell, fail), null);
    found.push({ file: file ?? new File([], entry.name), path: entry.fullPath });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await asked((tell, fail) => reader.readEntries(tell, fail), []); // a hundred at a time, none at the end
    if (some.length === 0) return;
    for (const each of some) await walk(each, found);
  }
}

function asked(ask, otherwise) {
  return new Promise((resolve) => ask(resolve, () => resolve(otherwise)));
}

/** Let the person choose files, or a folder. */
export function choose(document, { folder = false }, onFiles) {
  const field = document.createElement("input");
  Object.assign(field, { type: "file", multiple: true, webkitdirectory: folder });
  field.addEventListener("change", () => onFiles([...field.files]));
  field.click();
}
