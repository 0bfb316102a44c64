/* How far this page is behind its server. No clocks are compared, so a wrong one deceives nobody.

   While patches come, the server is asked for an ECHO every two seconds. It comes behind all that the document held
   when the question came, so it is through the same sockets, networks and queues at the same time as that. For the way
   of the question, half of the shortest answer time of this socket is taken off: then nothing was in its way. While an
   answer is overdue, the page is at least as far behind as it has been waiting. Nothing here knows BokehJS or sockets. */

/* Milliseconds. */
const EVERY = 2_000;
const BEAT = 500;
const QUIET = 30_000; // after this long without a patch nobody is asked any more

export class Lag {
  #ask;
  #tell;
  #shortest = Infinity;
  #question = null; // the one on its way: its id, and when it left
  #left = -Infinity; // when the last one did
  #patched = -Infinity;
  #told = 0;
  #timer = null;

  /* `ask()` sends a question and returns its id, null where that can't be done now; `tell(ms)` says how far behind. */
  constructor(ask, tell) {
    this.#ask = ask;
    this.#tell = tell;
  }

  /* There is a new socket, whose first question was answered in `time` ms. */
  opened(time) {
    this.#question = null;
    this.#shortest = time;
    this.#say(time / 2);
  }

  /* The socket is gone: nothing is on its way. */
  closed() {
    this.#question = null;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /* A patch came. */
  patched() {
    this.#patched = performance.now();
    if (this.#timer === null) this.#beat();
  }

  /* All that was on its way is shown: the answer `id` came in its turn, or (null) a fresh copy of the document. */
  caught_up(id) {
    if (this.#question === null || (id !== null && id !== this.#question.id)) return;
    const time = performance.now() - this.#question.left;
    this.#question = null;
    if (id !== null) this.#shortest = Math.min(this.#shortest, time);
    this.#say(time - this.#shortest / 2);
  }

  #beat() {
    const now = performance.now();
    if (this.#question !== null) {
      const overdue = now - this.#question.left - this.#shortest / 2;
      if (overdue > this.#told) this.#say(overdue);
    } else if (now - this.#left >= EVERY) {
      const id = this.#ask();
      if (id !== null) {
        this.#question = { id, left: now };
        this.#left = now;
      }
    }
    const goes_on = this.#question !== null || now - this.#patched < QUIET;
    this.#timer = goes_on ? setTimeout(() => this.#beat(), BEAT) : null;
  }

  #say(time) {
    this.#told = Math.max(0, time);
    this.#tell(this.#told);
  }
}
