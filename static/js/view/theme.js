// The theme on the page: the system's, or the one chosen; the browser's own frame follows.

const THEMES = ["light", "dark"];

/** Anything but "light" and "dark" is the system's. */
export function showTheme(document, theme) {
  const root = document.documentElement;
  if (THEMES.includes(theme)) root.dataset.theme = theme;
  else delete root.dataset.theme;
  const { backgroundColor } = getComputedStyle(root);
  for (const frame of document.querySelectorAll("meta[name=theme-color]")) {
    frame.dataset.own ??= frame.content;
    frame.content = THEMES.includes(theme) ? backgroundColor : frame.dataset.own;
  }
}
