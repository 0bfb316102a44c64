/* The frame's end of the channel to the shell, the only thing outside of the frame that it can talk to.

   The frame says hello; the shell answers with one MessagePort. Everything else goes through that port, as the plain
   messages that shell.js checks. */

export class Shell {
  #port;
  #waiting = [];
  #woken = () => {};
  #state = { state: "connecting", retry: 0, pending: 0 };
  #said = new Map();

  static async greet() {
    const port = await new Promise((resolve) => {
      addEventListener("message", ({ source, data, ports }) => {
        if (source === parent && data?.kind === "port") resolve(ports[0]);
      });
      parent.postMessage({ kind: "hello" }, "*"); // nothing in it; the frame does not know the shell's origin
    });
    return new Shell(port);
  }

  constructor(port) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      if (data.kind === "wake") this.#woken();
      if (data.kind === "ticket") this.#waiting.shift()?.(data);
    };
  }

  /* A fresh single-use ticket to the document's socket. Throws where there is none; `gone`: there never will be. */
  async ticket() {
    const { ticket, gone } = await new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#port.postMessage({ kind: "ticket" });
    });
    if (ticket === undefined) throw Object.assign(new Error("there is no ticket"), { gone });
    return ticket;
  }

  /* Call `woken` when the viewer asks to try again. */
  on_wake(woken) {
    this.#woken = woken;
  }

  /* `state` live or reconnecting, `retry` ms to the next try, `pending` edits on their way; what is left out stays. */
  status(change) {
    this.#state = { retry: 0, ...this.#state, ...change };
    this.#tell("status", this.#state);
  }

  presence({ programs, answering, viewers }) {
    this.#tell("presence", { programs, answering, viewers });
  }

  /* How many ms the page is behind its server. */
  lag(time) {
    this.#tell("lag", { time: Math.round(time) });
  }

  /* Whether the document has widgets that a program must answer. */
  wants(program) {
    this.#tell("wants", { program });
  }

  /* Whether scripts of the document were not run. */
  inert(scripts) {
    this.#tell("inert", { scripts });
  }

  /* Whether there is something to see: "there", "empty", "missing" where the one model to draw is not there, or
     "broken" where BokehJS can't draw it, with its `reason`. */
  content(is, reason = "") {
    this.#tell("content", { is, reason: `${reason}`.slice(0, 500) });
  }

  resize({ height }) {
    this.#tell("resize", { height });
  }

  toast(level, text) {
    this.#port.postMessage({ kind: "toast", level, text: `${text}`.slice(0, 500) });
  }

  open_link(url) {
    this.#port.postMessage({ kind: "open-link", url });
  }

  /* Say something that stays true until it is said again; the same twice is not news. */
  #tell(kind, content) {
    const text = JSON.stringify(content);
    if (this.#said.get(kind) === text) return;
    this.#said.set(kind, text);
    this.#port.postMessage({ kind, ...content });
  }
}
