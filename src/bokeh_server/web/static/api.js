/* Calls to the server's own interface. What it refuses is thrown as a Problem, in words for people. */

export class Problem extends Error {
  constructor(message, { status = 0, code = "offline" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const PATIENCE = 15_000; // ms for an answer; a dead connection may take minutes to say so

/* The JSON answer to a request (null where there is none); `body` is sent as JSON. */
export async function call(method, url, body) {
  const signal = AbortSignal.timeout(PATIENCE);
  const init = { method, headers: { Accept: "application/json" }, cache: "no-store", signal };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(url, init).catch(() => {
    throw new Problem("The server can't be reached just now.");
  });
  if (!response.ok) throw await problem(response);
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

async function problem(response) {
  const { status } = response;
  const type = response.headers.get("Content-Type") ?? "";
  const { detail, title, code } = type.includes("json") ? await response.json().catch(() => ({})) : {};
  return new Problem(`${detail ?? title ?? `The server answered ${status}.`}`, { status, code: code ?? "unknown" });
}

/* The documents of one server, below `prefix`. */
export class Documents {
  #url;

  constructor(prefix) {
    this.#url = `${prefix}/api/v1/documents`;
  }

  list() {
    return call("GET", this.#url);
  }

  /* `is_public`: as everybody sees it. */
  info(id, is_public = false) {
    return call("GET", `${this.#url}/${encodeURIComponent(id)}/info${is_public ? "?public=true" : ""}`);
  }

  rename(id, title) {
    return call("PATCH", `${this.#url}/${encodeURIComponent(id)}`, { title });
  }

  delete(id) {
    return call("DELETE", `${this.#url}/${encodeURIComponent(id)}`);
  }
}
