/* The frame's connection to its document: BokehJS' own client connection, and what it lacks.

   It comes back for ever (a new ticket each time), goes on where it was (RESUME), pulls a fresh copy where it can't,
   and keeps its own patches until the server has acknowledged them. A fresh copy becomes a new BokehJS document in the
   place of the old one, so nothing of the old one is left over and nothing is announced back. One rule keeps all copies
   equal: see reconcile.js. A visitor's own patches are pending for ever, and never sent. */

import { Lag } from "./lag.js";
import { pack, Pending, touched, weight } from "./pending.js";
import { definitions, reconcile } from "./reconcile.js";

const { require, logger } = globalThis.Bokeh;
const { ClientConnection } = require("client/connection");
const { ClientSession } = require("client/session");
const { Message } = require("protocol/message");
const { Receiver } = require("protocol/receiver");
const { Document, DocumentEventBatch, documents } = require("document");
const { Buffer } = require("core/serialization");
const { Deserializer } = require("core/serialization/deserializer");
const { ClientReconnected, ConnectionLost } = require("core/bokeh_events");

/* Milliseconds. */
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const STEADY = 5_000; // a connection that lasted this long was a good one
const SILENCE = 25_000; // after this much silence the server is asked whether it is there
const PATIENCE = 10_000; // and has this long to answer
const LOADING = 120_000; // or this long while a copy is on its way: nothing shows of a fragment until it is whole
const SETTLE = 200; // between the last acknowledgement and a look-up

const SIZES = new Set(["inner_width", "inner_height", "outer_width", "outer_height"]);
const RANGES = new Set(["Range1d", "DataRange1d", "FactorRange"]);
const ENDS = new Set(["start", "end"]);

/* BokehJS' session, with its patches given to the link instead of sent and forgotten. */
class Session extends ClientSession {
  _document_changed(event) {
    const batch = event instanceof DocumentEventBatch;
    const events = (batch ? (event.sync ? event.events : []) : [event]).filter(({ sync }) => sync);
    if (events.length > 0) this._connection.changed(this.document, events);
  }
}

export class Link extends ClientConnection {
  #name;
  #shell;
  #stage;
  #math;
  #most;
  #client = random_id();
  #epoch = null;
  #seq = null;
  #writer = true;
  #pending = new Pending();
  #requests = new Map(); // id of each pull on its way -> what it is for: null (all), or keys to look up
  #stale = true; // there is no copy yet, or it must be replaced
  #known = new Set(); // ids of the models that the server has; BokehJS makes others itself, as defaults
  #queue = null; // patches and acknowledgements that came while views are being built
  #doubts = new Set();
  #live = false;
  #failures = 0;
  #heard = 0;
  #unsent = 0;
  #deadline = Infinity;
  #lag = new Lag(() => this.#echo(), (time) => this.#shell.lag(time));
  #resumes = 0; // when RESUME left
  #repulls = { count: 0, last: -Infinity };
  #keep = false;
  #closed = () => {};
  #wake = () => {};

  /* `url` of the socket, the document's id, the shell (port.js), the stage (stage.js), mathematical text (math.js), and
     the `most` bytes that the server takes at once. */
  constructor({ url, document, shell, stage, math, most }) {
    super(url, token(document, ""), null);
    this.#name = document;
    this.#shell = shell;
    this.#stage = stage;
    this.#math = math;
    this.#most = most;
    shell.on_wake(() => this.#look());
    addEventListener("online", () => this.#look());
    window.document.addEventListener("visibilitychange", () => {
      if (window.document.visibilityState === "visible") this.#look();
    });
  }

  /* Connect, and connect again whenever it ends, until the document is gone. */
  async run() {
    while (!this.closed_permanently) {
      const lasted = await this.#attempt();
      this.#failures = lasted > STEADY ? 0 : this.#failures + 1;
      const delay = backoff(this.#failures - 1);
      this.#lost(delay);
      if (!this.closed_permanently) await this.#rest(delay);
    }
  }

  /* Whether the server has said hello and still listens. */
  get #open() {
    return this.#live && this.socket?.readyState === WebSocket.OPEN;
  }

  /* BokehJS calls this for "Try to reconnect". */
  async reconnect() {
    this.#wake();
  }

  /* Called by the session: `events` happened to `document` here. */
  changed(document, events) {
    const kept = (this.#writer ? events : events.filter(is_kept_by_visitor)).filter((event) => this.#concerns(event));
    if (document !== this.session?.document || kept.length === 0) return;
    set_news(document, this.#known);
    const patch = pack(document.create_json_patch(kept), Buffer);
    if (patch.content.includes('"type":"object"')) definitions(JSON.parse(patch.content), this.#known);
    if (this.#writer && weight(patch) > this.#most) {
      this.#shell.toast("error", "This change is too large for the server, and is taken back.");
      this.#pull();
      return;
    }
    const edit = this.#writer && kept.some(is_edit);
    this.#pending.add(patch, { edit, now: Date.now(), stays: !this.#writer });
    this.#flush();
  }

  /* Whether the server has what an event is about: not so a range that the stored document leaves to BokehJS. */
  #concerns({ kind, model }) {
    return kind === "RootAdded" || model === undefined || this.#known.has(model.id);
  }

  async #attempt() {
    try {
      this.token = token(this.#name, await this.#shell.ticket());
    } catch (error) {
      this.closed_permanently = error.gone === true;
      return 0;
    }
    const began = performance.now();
    const closed = new Promise((resolve) => { this.#closed = resolve; });
    this._receiver = new Receiver(); // the old one may hold half a message
    this.#hear();
    this.connect().catch(() => this.#closed());
    const watch = setInterval(() => this.#watch(), SILENCE / 10);
    await closed;
    clearInterval(watch);
    return performance.now() - began;
  }

  #rest(delay) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, delay);
    });
  }

  #lost(delay) {
    const { session } = this;
    this.#report({ state: "reconnecting", retry: Math.round(delay) });
    session?.document.event_manager.send_event(new ConnectionLost(new WeakRef(this), this.#failures, delay));
  }

  /* The device woke up, or the network is back. */
  #look() {
    this.#wake();
    if (performance.now() - this.#heard > PATIENCE / 2) this.#ask();
  }

  #watch() {
    const unsent = this.socket?.bufferedAmount ?? 0;
    if (unsent < this.#unsent) this.#hear(); // a large patch is on its way, and our question behind it
    this.#unsent = unsent;
    const now = performance.now();
    if (now > this.#deadline) this.#hang_up();
    else if (now - this.#heard > SILENCE && this.#deadline === Infinity) this.#ask();
  }

  #ask() {
    this.#deadline = performance.now() + (this.#requests.size > 0 ? LOADING : PATIENCE);
    if (this.#open) this.send(Message.create("SERVER-INFO-REQ", {}, {}));
  }

  #hear() {
    this.#heard = performance.now();
    this.#deadline = Infinity;
  }

  /* A dead connection may take minutes to close; let go of it at once. */
  #hang_up() {
    const { socket } = this;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    this._on_close();
  }

  _on_message(event) {
    this.#hear();
    super._on_message(event);
  }

  _on_error() {
    // a close follows
  }

  _on_close() {
    this.socket = null;
    this.#live = false;
    this.#lag.closed();
    for (const { reject } of this._pending_replies.values()) reject("Disconnected");
    this._pending_replies.clear();
    for (const keys of this.#requests.values()) keys?.forEach((key) => this.#doubts.add(key));
    this.#requests.clear();
    this.#closed();
  }

  _awaiting_ack_handler(message) {
    if (message.msgtype() !== "ACK") {
      this._close_bad_protocol("First message was not an ACK");
      return;
    }
    this._current_handler = (next) => this._steady_state_handler(next);
    this.#resumes = performance.now();
    const [epoch, seq] = this.#stale ? [null, null] : [this.#epoch, this.#seq];
    this.send(Message.create("RESUME", {}, { client: this.#client, epoch, seq, answers: false, frames: true }));
  }

  _steady_state_handler(message) {
    switch (message.msgtype()) {
      case "RESUMED": return this.#resumed(message.content);
      case "PULL-DOC-REPLY": return this.#pulled(message);
      case "PATCH-DOC": return this.#patched(message);
      case "OK": return this.#acknowledged(message);
      case "ECHO": return this.#echoed(message);
      case "ERROR": return this.#refused(message);
      case "RESYNC": return this.#resync(message.content);
      case "PRESENCE": return this.#shell.presence(message.content);
      default: return super._steady_state_handler(message);
    }
  }

  #resumed({ epoch, seq, number, fresh, writer }) {
    const again = this.session !== null;
    const unheard = this.#pending.acknowledged(number);
    this.#pending.cut(Date.now());
    const missed = seq !== this.#seq;
    const promoted = !this.#writer && writer;
    this.#live = true;
    this.#epoch = epoch;
    this.#writer = writer;
    this.#report({ state: "live" });
    this.#lag.opened(performance.now() - this.#resumes);
    if (promoted) {
      this.#pending.clear(); // what a visitor tried out was never meant for others
      this.#pull();
      return;
    }
    // Where our own unheard patches stand among those that we missed, only a fresh copy can tell.
    if (fresh || (unheard > 0 && (missed || this.#queue !== null))) this.#pull();
    else this.#flush();
    if (again) this.session.document.event_manager.send_event(new ClientReconnected());
    this.#check();
  }

  #resync({ reason }) {
    this.#keep = reason !== "replaced";
    this.#pull();
  }

  /* Get a fresh copy. One that is on its way already will be newer than what made us ask. */
  #pull() {
    this.#stale = true;
    const asked = [...this.#requests.values()].includes(null);
    if (this.#open && this.#queue === null && !asked) this.#request(null);
  }

  /* A patch or a copy did not work here: get a fresh copy, less and less often where that does not help. */
  #repull(error) {
    logger.warn(`pulling the document again: ${error}`);
    this.#stale = true;
    const now = performance.now();
    const { count, last } = this.#repulls;
    const repeated = now - last < 2 * LONGEST_DELAY ? count + 1 : 0;
    this.#repulls = { count: repeated, last: now };
    setTimeout(() => { if (this.#stale) this.#pull(); }, backoff(repeated));
  }

  #request(keys) {
    const message = Message.create("PULL-DOC-REQ", {}, {});
    this.#requests.set(message.msgid(), keys);
    this.send(message);
  }

  #pulled(message) {
    const keys = this.#requests.get(message.reqid());
    this.#requests.delete(message.reqid());
    if (keys === null) this.#replace(message);
    else if (keys !== undefined && !this.#stale) this.#look_up(keys, message);
  }

  #replace({ header, content, buffers }) {
    const news = [];
    let document;
    this.#math.begins_in(content.doc.roots);
    try {
      document = read(content.doc, news, buffers);
    } catch (error) {
      this.#shell.content("broken", error.message);
      this.#repull(error);
      return;
    }
    const first = this.session === null;
    this.#epoch = header.epoch;
    this.#seq = header.seq;
    this.#stale = false;
    this.#doubts.clear();
    this.#known = definitions(content.doc);
    this.#replay(document);
    this.session?._connection_closed();
    this.session = new Session(this, document);
    if (first) news.forEach((event) => document._trigger_on_change(event));
    this.#queue = [];
    void this.#show(document, { keep: this.#keep });
    this.#keep = true;
    this.#flush();
  }

  /* Put our own pending patches on top of a fresh copy; those that no longer fit are let go. */
  #replay(document) {
    let lost = 0;
    for (const patch of this.#pending) {
      try {
        const events = JSON.parse(patch.content).events.filter(({ kind }) => kind !== "MessageSent");
        document.apply_json_patch({ events }, new Map(patch.buffers));
        if (patch.defines) definitions(events, this.#known);
      } catch (error) {
        logger.warn(`a change of ours no longer fits: ${error}`);
        this.#pending.drop(patch);
        lost += patch.edit ? 1 : 0;
      }
    }
    if (lost > 0) this.#shell.toast("error", "The document was replaced; a change of yours no longer fits it.");
  }

  async #show(document, options) {
    await this.#stage.show(document, options);
    if (this.session.document !== document) return;
    const queue = this.#queue;
    const stale = this.#stale; // what fails below is pulled in its own time
    this.#queue = null;
    for (const message of queue) {
      if (message.msgtype() === "OK") this.#settle(message.header.number);
      else if (message.msgtype() === "ECHO") this.#lag.caught_up(message.reqid());
      else this.#apply(message);
    }
    if (!stale) this.#lag.caught_up(null);
    if (stale) this.#pull();
    this.#check();
  }

  #patched(message) {
    if (this.#stale) return; // the copy that is to come holds it
    this.#seq = message.header.seq ?? this.#seq;
    this.#lag.patched();
    if (this.#queue !== null) this.#queue.push(message);
    else this.#apply(message);
  }

  #apply(message) {
    if (this.#stage.broken) {
      if (!this.#stale) this.#repull("it could not be drawn");
      return;
    }
    const { document } = this.session;
    const before = document._new_models.size;
    try {
      const { content, doubts } = reconcile(message.content, this.#pending);
      document.apply_json_patch(content, message.buffers);
      doubts.forEach((key) => this.#doubts.add(key));
      if (document._new_models.size > before) {
        definitions(message.content.events, this.#known);
        this.#stage.news();
      }
      if (this.#math.begins_in(message.content.events)) this.#pull();
    } catch (error) {
      this.#repull(error);
    }
  }

  #acknowledged(message) {
    const { number, seq } = message.header;
    if (number === undefined) return;
    if (seq !== undefined && !this.#stale) this.#seq = seq;
    // In its turn: a patch that waits in front of it comes before ours, and must still find ours pending.
    if (this.#queue !== null) this.#queue.push(message);
    else this.#settle(number);
  }

  /* Ask for what comes behind all that is on its way; see lag.js. */
  #echo() {
    if (!this.#open || this.#stale) return null;
    const message = Message.create("ECHO", {}, {});
    this.send(message);
    return message.msgid();
  }

  #echoed(message) {
    if (this.#stale) return; // the copy that is to come tells
    if (this.#queue !== null) this.#queue.push(message);
    else this.#lag.caught_up(message.reqid());
  }

  #settle(number) {
    this.#pending.acknowledged(number);
    this.#flush();
    this.#check();
  }

  #refused({ header, content }) {
    if (this.#requests.delete(header.reqid)) {
      this.socket.close(1000, "The document could not be pulled");
      return;
    }
    this.#pending.refused(header.number);
    this.#stale = true; // what was refused is in this copy; RESYNC follows, or a cut, after which RESUME tells
    this.#shell.toast("error", content.text);
    this.#report({ state: "live" });
  }

  #flush() {
    if (this.#open && !this.#stale && this.#writer) {
      for (let patch = this.#pending.take(); patch !== null; patch = this.#pending.take()) transmit(this.socket, patch);
    }
    this.#report({});
  }

  /* Once our own patches are acknowledged, look up what they and others changed at the same time. */
  #check() {
    if (this.#doubts.size === 0 || this.#pending.size > 0) return;
    setTimeout(() => {
      const keys = [...this.#doubts].filter((key) => !this.#pending.touches(key));
      if (keys.length === 0 || !this.#open || this.#stale || this.#queue !== null) return;
      keys.forEach((key) => this.#doubts.delete(key));
      if (keys.includes("roots")) this.#pull();
      else this.#request(keys);
    }, SETTLE);
  }

  /* Take the columns of some sources from a fresh copy, without drawing everything anew. */
  #look_up(keys, { content, buffers }) {
    const { document } = this.session;
    const wanted = new Set(keys);
    try {
      for (const { id, attributes } of objects(content.doc.roots)) {
        const source = document.get_model_by_id(id);
        if (source === null || !wanted.has(`columns ${id}`)) continue;
        const attach = (model) => model.attach_document(document);
        const deserializer = new Deserializer(document.resolver, document._all_models, attach);
        const data = deserializer.decode(attributes?.data ?? { type: "map" }, buffers);
        source.setv({ data }, { sync: false, check_eq: false });
      }
      for (const patch of this.#pending) {
        const concerns = (event) => touched(event).some((key) => wanted.has(key));
        const events = JSON.parse(patch.content).events.filter(concerns);
        document.apply_json_patch({ events }, new Map(patch.buffers));
      }
    } catch (error) {
      this.#repull(error);
    }
  }

  #report(change) {
    this.#shell.status({ ...change, pending: this.#writer ? this.#pending.edits : 0 });
  }
}

function random_id() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return base64url(String.fromCharCode(...bytes));
}

function base64url(text) {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/* What BokehJS expects as second subprotocol; it reads the session id from it. */
function token(document, ticket) {
  return base64url(JSON.stringify({ session_id: document, ticket }));
}

function backoff(failures) {
  if (failures <= 0) return 0;
  return Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1)) * (0.6 + 0.4 * Math.random());
}

/* What stays of a visitor's change: it is never sent, but put on every fresh copy, and holds against what others do. A
   range that follows its data is none: BokehJS sets it whenever it draws. */
function is_kept_by_visitor({ kind, model, attr }) {
  return kind !== "MessageSent" && !SIZES.has(attr) && !(ENDS.has(attr) && follows_data(model));
}

function follows_data({ type, have_updated_interactively }) {
  return type === "DataRange1d" && !have_updated_interactively;
}

/* Whether others would see this change: pan, zoom and sizes are this window's own, and a click is no state. */
function is_edit({ kind, model, attr }) {
  if (kind === "MessageSent") return false;
  const range = kind === "ModelChanged" && RANGES.has(model.type) && ENDS.has(attr);
  return !range && !SIZES.has(attr);
}

/* A new BokehJS document; one that fails half way leaves nothing behind. */
function read(json, news, buffers) {
  const before = documents.length;
  try {
    const document = Document.from_json(json, news, buffers);
    document.config.setv({ notify_connection_status: false }, { sync: false }); // the shell shows it
    return document;
  } catch (error) {
    documents.length = before;
    throw error;
  }
}

/* BokehJS defines in full what is news to the server, where a patch of ours first names it. */
function set_news(document, known) {
  document._new_models.clear();
  for (const model of document._all_models.values()) {
    if (!known.has(model.id)) document._new_models.add(model);
  }
}

function* objects(value) {
  if (Array.isArray(value)) {
    for (const item of value) yield* objects(item);
  } else if (value !== null && typeof value === "object" && !ArrayBuffer.isView(value)) {
    if (value.type === "object" && typeof value.id === "string") yield value;
    for (const item of Object.values(value)) yield* objects(item);
  }
}

function transmit(socket, { number, content, buffers }) {
  const header = { msgid: random_id(), msgtype: "PATCH-DOC", number };
  if (buffers.length > 0) header.num_buffers = buffers.length;
  socket.send(JSON.stringify(header));
  socket.send("{}");
  socket.send(content);
  for (const [id, payload] of buffers) {
    socket.send(JSON.stringify({ id }));
    socket.send(payload);
  }
}
