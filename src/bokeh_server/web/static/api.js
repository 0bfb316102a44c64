/* Calls to the server's own interface. What it refuses is thrown as a Problem, in words for people. */

/* `status` 0: our server has said nothing; a proxy in front of it may have. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
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
  const ours = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  const { detail } = ours ? await response.json().catch(() => ({})) : {};
  return new Problem(detail ?? `The server answered ${status}.`, detail === undefined ? 0 : status);
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
