// Before the first paint: the theme that was chosen, so that the other one never flashes. The one script that is no module.

try {
  const theme = window.localStorage.getItem("neuralbridge.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme it is.
}
