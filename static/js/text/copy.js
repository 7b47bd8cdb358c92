// Puts text on the clipboard, on pages without https too; and the copy buttons of code blocks.

const SAID_MS = 2000;

/** Whether it was copied. */
export async function copyText(text) {
  if (navigator.clipboard && isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch (refusal) {
      if (refusal.name !== "NotAllowedError") throw refusal;
    }
  }
  return copyOverField(text);
}

/** For addresses in the home network, where browsers have no navigator.clipboard. */
function copyOverField(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "copy-field";
  field.value = text;
  field.readOnly = true;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}

/** A click on a code block's button copies the code and says so for a moment. */
export function listenForCopying(root, words) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy-code");
    if (button === null || !root.contains(button)) return;
    if (!(await copyText(button.closest(".code-block").querySelector("code").textContent))) return;
    button.textContent = words.copied;
    button.classList.add("copied");
    setTimeout(() => {
      button.textContent = words.copyCode;
      button.classList.remove("copied");
    }, SAID_MS);
  });
}
