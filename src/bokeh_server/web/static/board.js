/* The board: the user's documents, live.

   One list element per document, kept and changed in place: focus, scroll and what is being typed survive every update.
   The order changes only while nobody points at the list or has the focus in it, so that no button moves away under a
   finger. Documents that programs feed keep their places among each other. */

import { Documents } from "./api.js";
import { ask, toast } from "./dialogs.js";
import { ago, glyph, size } from "./words.js";

const { prefix } = JSON.parse(document.getElementById("parameters").textContent);
const documents = new Documents(prefix);
const whose = document.getElementById("whose"); // only where people have accounts
const [list, search, sort, count, empty, nothing, lost] = [
  "documents", "search", "sort", "count", "empty", "nothing", "lost",
].map((name) => document.getElementById(name));
const template = document.getElementById("row");

const PAUSE = 1_000; // ms between two fetches at least; more where showing them takes long,
const SHARE = 10; // so that it is at most a tenth of the time
const LONGEST_PAUSE = 3_000;
const RETRY = [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000];
const AGE = 20_000; // and between two fetches at most, because a connection may die without a word
const RECENT = 60; // s: a document that a program feeds counts as changed now

const rows = new Map();
let held = false; // whether somebody is at the list just now
let late = false; // and the order is out of date

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

class Row {
  constructor(info) {
    this.element = template.content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.parts = {
      glyph: find("use"), name: find(".name"), time: find("time"), kind: find(".kind"), size: find(".size"),
      live: find(".live"), rename: find(".rename"), remove: find(".delete"), owner: find(".owner"),
      published: find(".published"), shared: find(".shared"),
    };
    this.parts.rename.addEventListener("click", () => rename(this));
    this.parts.remove.addEventListener("click", () => void remove(this));
    this.element.row = this;
    this.update(info);
  }

  update(info) {
    const text = JSON.stringify(info);
    if (text === this.text) return;
    this.text = text;
    this.info = info;
    this.words = fold(`${info.title} ${info.kind} ${this.mine ? "" : info.owner}`);
    const { glyph: use, name, kind, size: bytes, live, rename: edit, remove: trash } = this.parts;
    put(name, info.title);
    name.href = `${prefix}/bokeh/doc/${info.id}`;
    put(kind, info.kind || "empty");
    put(bytes, size(info.size));
    use.setAttribute("href", `#glyph-${glyph(info.kind)}`);
    use.closest(".tile").dataset.glyph = glyph(info.kind);
    edit.setAttribute("aria-label", `Rename “${info.title}”`);
    trash.setAttribute("aria-label", `Delete “${info.title}”`);
    this.show_owner();
    live.hidden = info.programs + info.viewers === 0;
    live.classList.toggle("fed", info.programs > 0);
    put(live.querySelector("span"), presence(info));
    this.tick();
  }

  get mine() {
    return this.info.role === "owner";
  }

  /* Whose it is, who else sees it, and what may be done with it. */
  show_owner() {
    const { owner, published, shared, rename: edit, remove: trash } = this.parts;
    const { info, mine } = this;
    put(owner, mine ? "" : `by ${info.owner}`);
    published.hidden = !info.published;
    shared.hidden = !info.shared;
    put(shared.querySelector("b"), mine ? "Shared" : info.role === "editor" ? "You may change it" : "Shared with you");
    edit.hidden = trash.hidden = !mine;
  }

  /* Let the age grow. */
  tick() {
    const { time } = this.parts;
    const changed = new Date(this.info.changed * 1000);
    put(time, ago(changed, new Date()));
    time.dateTime = changed.toISOString();
    time.title = exact.format(changed);
  }
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function presence({ programs, viewers }) {
  const viewing = viewers > 0 ? `${viewers} viewing` : "";
  return [programs > 0 ? "Live" : "", viewing].filter(Boolean).join(" · ");
}

/* Order */

const newest = ({ info }, now) => (info.programs > 0 && now - info.changed < RECENT ? Infinity : info.changed);
const by_title = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const ORDERS = {
  newest: (now) => (a, b) => compare(newest(b, now), newest(a, now)) || compare(b.info.created, a.info.created),
  title: () => (a, b) => by_title.compare(a.info.title, b.info.title),
  viewers: () => (a, b) => b.info.viewers - a.info.viewers || compare(b.info.changed, a.info.changed),
  size: () => (a, b) => b.info.size - a.info.size,
};

function compare(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}

function arrange() {
  late = false;
  const sorted = [...rows.values()].sort(ORDERS[sort.value](Date.now() / 1000));
  let next = list.firstElementChild;
  for (const { element } of sorted) {
    if (element === next) next = next.nextElementSibling;
    else if (element.isConnected && list.moveBefore) list.moveBefore(element, next);
    else list.insertBefore(element, next);
  }
}

/* Show the fetched list: what is gone goes, what is new comes on top, the rest changes in place. */
function show(infos) {
  const present = new Set(infos.map(({ id }) => id));
  for (const [id, { element }] of rows) {
    if (present.has(id)) continue;
    if (element.contains(document.activeElement)) (element.nextElementSibling ?? search).querySelector?.("a")?.focus();
    element.remove();
    rows.delete(id);
  }
  for (const info of infos) {
    const row = rows.get(info.id);
    if (row) row.update(info);
    else rows.set(info.id, new Row(info));
  }
  if (held) {
    for (const { element } of rows.values()) if (!element.isConnected) list.prepend(element);
    late = true;
  } else {
    arrange();
  }
  filter();
}

/* Search, and whose they are */

const WHOSE = {
  all: () => true,
  mine: (row) => row.mine,
  shared: (row) => !row.mine && row.info.shared,
  published: (row) => row.info.published,
};
const NOTHING = {
  all: "No document is called that.",
  mine: "No document of yours is here.",
  shared: "No document that is shared with you is here.",
  published: "No published document is here.",
};

function filter() {
  const words = fold(search.value).split(/\s+/).filter(Boolean);
  const group = whose?.querySelector(":checked").value ?? "all";
  let found = 0;
  for (const row of rows.values()) {
    row.element.hidden = !WHOSE[group](row) || !words.every((word) => row.words.includes(word));
    found += row.element.hidden ? 0 : 1;
  }
  const searched = words.length > 0 || group !== "all";
  put(nothing, NOTHING[group]);
  put(count, rows.size === 0 ? "" : searched ? `${found} of ${rows.size}` : `${rows.size}`);
  empty.hidden = rows.size > 0;
  nothing.hidden = !searched || found > 0 || rows.size === 0;
  document.body.classList.toggle("bare", rows.size === 0);
}

function fold(text) {
  return text.normalize("NFKD").replace(/\p{Diacritic}/gu, "").toLowerCase();
}

/* Rename and delete */

function rename(row) {
  const { name } = row.parts;
  if (!row.mine || row.element.querySelector("input")) return;
  const input = document.createElement("input");
  Object.assign(input, { value: row.info.title, maxLength: 200, className: "name", spellcheck: false });
  input.setAttribute("aria-label", `New name of “${row.info.title}”`);
  name.hidden = true;
  name.after(input);
  input.select();
  input.focus();
  let done = false;
  const end = (focus) => {
    done = true;
    input.remove();
    name.hidden = false;
    if (focus) name.focus();
  };
  const save = async (focus) => {
    const title = input.value.trim();
    if (done) return;
    if (title === "" || title === row.info.title) return end(focus);
    try {
      await documents.rename(row.info.id, title);
      row.update({ ...row.info, title });
      end(focus);
    } catch (problem) {
      input.setAttribute("aria-invalid", "true");
      toast("error", problem.message);
    }
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") void save(true);
    if (event.key === "Escape") end(true);
  });
  input.addEventListener("blur", () => void save(false));
}

async function remove(row) {
  const { id, title } = row.info;
  if (!row.mine) return;
  const text = "Its data and its link are gone for good, for everyone.";
  if (!(await ask({ title: `Delete “${title}”?`, text, action: "Delete", danger: true }))) return;
  try {
    await documents.delete(id);
    toast("info", `“${title}” is deleted.`);
    const next = step(row.element, 1) ?? step(row.element, -1);
    (next?.querySelector("a.name") ?? search).focus();
    show([...rows.values()].map(({ info }) => info).filter((info) => info.id !== id));
  } catch (problem) {
    toast("error", problem.message);
  }
}

/* Keyboard */

function step(element, way) {
  let next = element;
  do {
    next = way > 0 ? next.nextElementSibling : next.previousElementSibling;
  } while (next?.hidden);
  return next;
}

function visible_row(last) {
  const shown = [...list.children].filter(({ hidden }) => !hidden);
  return last ? shown.at(-1) : shown[0];
}

const focus = (element) => element?.querySelector("a.name").focus();
const KEYS = {
  ArrowDown: ({ element }) => focus(step(element, 1)),
  ArrowUp: ({ element }) => (step(element, -1) ? focus(step(element, -1)) : search.focus()),
  Home: () => focus(visible_row(false)),
  End: () => focus(visible_row(true)),
  F2: rename,
  Delete: (row) => void remove(row),
};

document.addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return;
  const row = target.closest(".row")?.row;
  if (key === "/" && !target.matches("input:not([type=radio]), select")) search.select();
  else if (target === search && key === "ArrowDown") focus(visible_row(false));
  else if (target === search && key === "Escape") { search.value = ""; filter(); }
  else if (row && Object.hasOwn(KEYS, key)) KEYS[key](row);
  else return;
  event.preventDefault();
});

/* Live */

let fetching = false;
let again = false;

async function fetch_list() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  const infos = await documents.list().catch(refused);
  lost.hidden = infos !== null;
  if (infos === null) hang_up();
  const began = performance.now();
  if (infos !== null) show(infos);
  const pause = Math.min(LONGEST_PAUSE, Math.max(PAUSE, SHARE * (performance.now() - began)));
  await new Promise((resolve) => setTimeout(resolve, pause));
  fetching = false;
  if (again) {
    again = false;
    void fetch_list();
  }
}

/* Who is logged out must not see what is here any more. */
function refused({ status }) {
  if (status === 401) location.reload(); // the server shows the way to log in
  return null;
}

let hang_up = () => {};

function listen(failures = 0) {
  const url = new URL(`${prefix}/bokeh/board`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  let opened = false;
  socket.onopen = () => {
    opened = true;
    void fetch_list();
  };
  socket.onmessage = () => { if (!document.hidden) void fetch_list(); };
  socket.onclose = ({ reason } = {}) => {
    lost.hidden = false;
    if (reason === "revoked") void documents.list().catch(refused);
    hang_up = () => {};
    const tries = opened ? 0 : failures + 1;
    setTimeout(() => listen(tries), (RETRY[tries] ?? RETRY.at(-1)) * (0.7 + 0.3 * Math.random()));
  };
  hang_up = () => { // a dead connection may take minutes to close
    const ended = socket.onclose;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    ended();
  };
}

function hold(now) {
  held = now;
  if (!held && late) arrange();
}

list.addEventListener("pointerenter", ({ pointerType }) => { if (pointerType === "mouse") hold(true); });
list.addEventListener("pointerleave", () => hold(list.matches(":focus-within")));
list.addEventListener("focusin", () => hold(true));
list.addEventListener("focusout", ({ relatedTarget }) => {
  if (!list.contains(relatedTarget)) hold(list.matches(":hover"));
});
search.addEventListener("input", filter);
whose?.addEventListener("change", filter);
sort.addEventListener("change", arrange);
document.addEventListener("visibilitychange", () => { if (!document.hidden) void fetch_list(); });
addEventListener("online", () => void fetch_list());
document.getElementById("copy").addEventListener("click", () => void copy());
setInterval(age, AGE);
listen();

function age() {
  rows.forEach((row) => row.tick());
  if (!document.hidden) void fetch_list();
}

async function copy() {
  const code = document.getElementById("code").textContent;
  await navigator.clipboard.writeText(code).then(
    () => toast("info", "Copied. Paste it into Python."),
    () => toast("error", "The browser did not let us copy."),
  );
}
