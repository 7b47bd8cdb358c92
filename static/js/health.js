// How the server's configuration stands, asked now and then while somebody could see it. Knows no page.

const EVERY_MS = 5000;

/** `reachable()` says whether asking makes sense; `tell({error, pending})` hears each answer. */
export function followConfig(document, { reachable, tell, ask = askServer, every = setInterval }) {
  const look = async () => {
    if (document.visibilityState === "hidden" || !reachable()) return;
    const health = await ask();
    if (health?.config) tell(health.config);
  };
  document.addEventListener("visibilitychange", look);
  every(look, EVERY_MS);
  return look;
}

/** Null when the server cannot be reached: the line about the connection says so. */
async function askServer() {
  try {
    const response = await fetch("/api/proxy/health", { cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
