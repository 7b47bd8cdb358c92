// How the server is, asked now and then while somebody could see it. Knows no page.

const EVERY_MS = 5000;

/** `reachable()` says whether asking makes sense; `tell(health)` hears each answer. Returns what asks at once. */
export function followHealth(document, { server, reachable, tell, every = setInterval }) {
  const look = async () => {
    if (document.visibilityState === "hidden" || !reachable()) return;
    try {
      const health = await server.get("/api/proxy/health");
      if (health !== null) tell(health);
    } catch {
      // Away, or it does not know us any more: the line about the connection says so.
    }
  };
  document.addEventListener("visibilitychange", look);
  every(look, EVERY_MS);
  return look;
}
