/* Own patches that the server has not acknowledged yet: kept, sent in order, sent again after a cut.

   A patch gets its number (1, 2, 3, … for this client) when it first leaves, so what waits for the network can still
   be merged: a slider that was dragged while the server was away becomes one patch. At most WINDOW patches are on their
   way at a time. Nothing here knows BokehJS or sockets. */

const WINDOW = 64;

/* A visitor's patches stay for as long as his page is open. Of those that add up, such as rows streamed by a script, the
   newest are kept. */
const MOST = 1_000;

/* A click that could not be sent for this long (ms) is let go: nobody expects an answer to it any more. */
const STALE = 10_000;

/* The content of a patch as it goes over the wire, and the binary buffers that it names. */
export function pack(patch, Buffer) {
  const buffers = [];
  const content = JSON.stringify(patch, (_, value) => {
    if (!(value instanceof Buffer)) return value;
    const id = `${buffers.length}`;
    buffers.push([id, value.buffer.slice(0)]);
    return { id };
  });
  return { content, buffers };
}

/* Bytes that the server counts for a packed patch, or a few more: with the header, and that of each buffer. */
export function weight({ content, buffers }) {
  return buffers.reduce((sum, [, { byteLength }]) => sum + 100 + byteLength, 1_000 + new Blob([content]).size);
}

/* What an event changes: an attribute, the columns of a source, the list of roots, the title. */
export function touched({ kind, model, attr }) {
  switch (kind) {
    case "ModelChanged": return attr === "data" ? [`${model.id}.data`, `columns ${model.id}`] : [`${model.id}.${attr}`];
    case "ColumnDataChanged":
    case "ColumnsStreamed":
    case "ColumnsPatched": return [`columns ${model.id}`];
    case "RootAdded":
    case "RootRemoved": return ["roots"];
    case "TitleChanged": return ["title"];
    default: return [];
  }
}

export class Pending {
  #patches = [];
  #last = 0;
  #touched = new Set();

  get size() {
    return this.#patches.length;
  }

  /* How many would be missed: what only this window shows, and clicks, are nothing to lose. */
  get edits() {
    return this.#patches.filter((patch) => patch.edit).length;
  }

  touches(key) {
    return this.#touched.has(key);
  }

  /* Take in a packed patch that was made at `now` (ms); `edit` says whether it changes what others see, `stays` whether
     it is never sent. */
  add({ content, buffers }, { edit, now, stays = false }) {
    const { events } = JSON.parse(content);
    const defines = content.includes('"type":"object"');
    const sets = events.every((event) => event.kind === "ModelChanged");
    const plain = sets && buffers.length === 0 && !defines;
    const touches = events.flatMap(touched);
    const patch = { number: null, sent: false, plain, defines, edit, now, content, buffers, events, touches };
    if (stays && sets) this.#keep((old) => old.defines || old.touches.some((key) => !touches.includes(key)));
    const last = this.#patches.at(-1);
    if (plain && last?.plain && last.number === null) merge(last, patch);
    else this.#patches.push(patch);
    for (const key of touches) this.#touched.add(key);
    if (stays && this.#patches.length > MOST) this.drop(this.#patches.find((old) => !old.plain));
  }

  /* The next patch to send, with its number, or null where there is none or enough are on their way. */
  take() {
    const next = this.#patches.findIndex((patch) => !patch.sent);
    if (next < 0 || next >= WINDOW) return null;
    const patch = this.#patches[next];
    patch.number ??= ++this.#last;
    patch.sent = true;
    return patch;
  }

  /* The server holds everything up to `number`. Returns how many patches that settles. */
  acknowledged(number) {
    return this.#keep((patch) => patch.number === null || patch.number > number);
  }

  /* The server refused patch `number`. */
  refused(number) {
    return this.#keep((patch) => patch.number !== number);
  }

  /* The document can't take `refused` any more. */
  drop(refused) {
    return this.#keep((patch) => patch !== refused);
  }

  /* Let go of everything. */
  clear() {
    return this.#keep(() => false);
  }

  /* There is a new socket: nothing is on its way. Clicks that have waited too long are let go. */
  cut(now) {
    for (const patch of this.#patches) patch.sent = false;
    this.#keep((patch) => patch.number !== null || patch.touches.length > 0 || now - patch.now < STALE);
  }

  [Symbol.iterator]() {
    return [...this.#patches].values();
  }

  #keep(wanted) {
    const before = this.#patches.length;
    this.#patches = this.#patches.filter(wanted);
    this.#touched = new Set(this.#patches.flatMap((patch) => patch.touches));
    return before - this.#patches.length;
  }
}

/* `patch` comes right after `into`, and neither was ever sent: the newest value of each attribute is enough. */
function merge(into, patch) {
  const key = ({ model, attr }) => `${model.id}.${attr}`;
  const events = new Map(into.events.map((event) => [key(event), event]));
  for (const event of patch.events) {
    events.delete(key(event));
    events.set(key(event), event);
  }
  into.events = [...events.values()];
  into.content = JSON.stringify({ events: into.events });
  into.touches = into.events.flatMap(touched);
  into.edit ||= patch.edit;
}
