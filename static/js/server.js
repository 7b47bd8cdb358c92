// The server's HTTP API: JSON in, JSON out, files up. Knows no page.

/** What the server refused, or that it cannot be reached (code "unreachable"). */
export class Refusal extends Error {
  constructor(status, code, sentence, reason = null, retryAfterSeconds = null) {
    super(sentence ?? code);
    this.status = status;
    this.code = code;
    this.sentence = sentence; // the server's own, English
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class Server {
  /**
   * `onSignedOut()` is told when the server no longer knows who asks; `onCopy(path, time)` when it is away and the service
   * worker answered with what it kept.
   */
  constructor({ onSignedOut = () => {}, onCopy = () => {} } = {}) {
    this.onSignedOut = onSignedOut;
    this.onCopy = onCopy;
  }

  get(path, query = {}) {
    const wanted = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const search = new URLSearchParams(wanted).toString();
    return this.#ask(search ? `${path}?${search}` : path, { cache: "no-store" });
  }

  post(path, body) {
    return this.#ask(path, json("POST", body));
  }

  patch(path, body) {
    return this.#ask(path, json("PATCH", body));
  }

  /** `lasting`: carried out even when the page is being left. */
  delete(path, { lasting = false } = {}) {
    return this.#ask(path, { method: "DELETE", keepalive: lasting });
  }

  /** Send a form or a file. `onProgress(sent, total)` in bytes; `signal` gives up. fetch cannot tell how far it is. */
  upload(path, body, { onProgress = () => {}, signal } = {}) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", path);
      request.upload.onprogress = ({ loaded, total }) => onProgress(loaded, total);
      request.onload = () => {
        const told = parsed(request.responseText);
        if (request.status < 400) resolve(told);
        else reject(this.#refusal(request.status, told, request.getResponseHeader("Retry-After")));
      };
      request.onerror = () => reject(unreachable());
      request.onabort = () => reject(new DOMException("given up", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      request.send(body);
    });
  }

  async #ask(path, options) {
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw unreachable();
    }
    const told = parsed(await response.text());
    if (!response.ok) throw this.#refusal(response.status, told, response.headers.get("Retry-After"));
    const kept = response.headers.get("x-from-cache");
    if (kept !== null) this.onCopy(path, kept);
    return told;
  }

  #refusal(status, told, retryAfter) {
    if (status === 401) this.onSignedOut();
    const code = status === 401 ? "signed_out" : (told?.error ?? "unknown");
    return new Refusal(status, code, told?.message ?? null, told?.reason ?? null, Number(retryAfter) || null);
  }
}

function json(method, body) {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function parsed(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null; // a proxy's page, or a server that broke off
  }
}

function unreachable() {
  return new Refusal(0, "unreachable", null);
}
