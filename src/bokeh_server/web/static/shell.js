/* The page around a document: who made it, whether it is live, and every button that matters.

   The frame is somebody else's program. It gets one MessagePort; what comes through is checked here message by message,
   shown as text only, and can do no more than size the frame, show a state, ask for a ticket to its own document, and
   ask the viewer whether to open a link. */

import { call, Documents } from "./api.js";
import { ask, toast } from "./dialogs.js";
import { exactly, span } from "./words.js";

const { prefix, document: id, link, frame_url: url, public: is_public, may, user, supervised, embedded } = JSON.parse(
  document.getElementById("parameters").textContent,
);
const documents = new Documents(prefix);
const [frame, title, status, viewers, hint, visit, again] = ["frame", "title", "status", "viewers", "hint", "visit", "try"].map(
  (name) => document.getElementById(name),
);
const scripts = document.getElementById("scripts"); // there only where this server runs none

const STARTED = 20_000; // ms after which a frame that has not said hello will not
const GRACE = 800; // a cut shorter than this is not worth a word
const TICKETS = 400; // ms between two tickets
const TOASTS = 1_000;
const REFRESH = 15_000; // ms between two looks at the document's name
const TALLEST = 50_000; // px
const BEHIND = 1_000; // ms of lag that are worth a word
const SETTLED = 1_000; // ms in which a frame that has loaded says hello
const CLICKED = 6_000; // ms; no browser lets a click count for longer
const REFUSALS = 5; // in a row; what is asked while a question is open is refused, too
const RETURNS = 3; // times that a frame which went elsewhere is brought back

const view = {
  state: "connecting", pending: 0, lag: 0, programs: 0, answering: 0, viewers: 0, answered: false, wants: false,
};
let gone = null; // or why there is nothing here any more: "deleted", "barred", "out"
let port = null;
let started = false;

/* What may come from the frame: for each kind of message its fields, each with what it must be. */
const is_count = (value) => Number.isInteger(value) && value >= 0 && value < 1e9;
const is_words = (value) => typeof value === "string" && value.length <= 2_000;
const is_text = (value) => is_words(value) && value !== "";
const is_flag = (value) => typeof value === "boolean";
const one_of = (...values) => (value) => values.includes(value);
const MESSAGES = {
  ticket: [{}, give_ticket],
  status: [{ state: one_of("connecting", "live", "reconnecting"), retry: is_count, pending: is_count }, show_status],
  presence: [{ programs: is_count, answering: is_count, viewers: is_count }, show_presence],
  lag: [{ time: is_count }, ({ time }) => { view.lag = time; render(); }],
  wants: [{ program: is_flag }, ({ program }) => { view.wants = program; render(); }],
  inert: [{ scripts: is_flag }, (told) => { if (scripts !== null) scripts.hidden = !told.scripts; }],
  content: [{ is: one_of("there", "empty", "missing", "broken"), reason: is_words }, show_content],
  resize: [{ height: is_count }, resize],
  toast: [{ level: one_of("info", "error"), text: is_text }, seldom(TOASTS, ({ level, text }) => toast(level, text))],
  "open-link": [{ url: is_text }, open_link],
};

function receive({ data }) {
  if (data === null || typeof data !== "object" || !Object.hasOwn(MESSAGES, data.kind)) return;
  const [fields, act] = MESSAGES[data.kind];
  const content = {};
  for (const [name, check] of Object.entries(fields)) {
    if (!check(data[name])) return;
    content[name] = data[name];
  }
  void act(content);
}

addEventListener("message", ({ source, data }) => {
  if (source !== frame.contentWindow || data?.kind !== "hello") return;
  started = true;
  hellos += 1;
  port?.close();
  const channel = new MessageChannel();
  port = channel.port1;
  port.onmessage = receive;
  frame.contentWindow.postMessage({ kind: "port" }, "*", [channel.port2]); // its origin is opaque: it has no name
});

/* A page in the frame that does not say hello is not the document: a script of its own led it elsewhere. */
let loads = 0;
let hellos = 0;
let returns = 0;

function loaded() {
  loads += 1;
  setTimeout(() => { if (started && hellos < loads) bring_back(); }, SETTLED);
}

function bring_back() {
  loads = hellos = 0;
  Object.assign(view, { state: "connecting", pending: 0 });
  render();
  if (returns++ === RETURNS) {
    notice("away");
    return;
  }
  toast("error", "The document tried to leave this page, which it can't. Here it is again.");
  frame.src = url;
}

/* At most once in `pause` ms; what comes in between is let go. */
function seldom(pause, act) {
  let last = -Infinity;
  return (content) => {
    const now = performance.now();
    if (now - last < pause) return;
    last = now;
    act(content);
  };
}

let asked = -Infinity;
let asking = false;

async function give_ticket() {
  if (asking) return;
  asking = true;
  const wait = asked + TICKETS - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  const answer = gone === null ? await ticket() : { gone: true };
  asked = performance.now();
  asking = false;
  port.postMessage({ kind: "ticket", ...answer });
}

const ticket_url = `${prefix}/bokeh/doc/${encodeURIComponent(id)}/ticket${is_public ? "?public=true" : ""}`;
const linked_url = `${prefix}/bokeh/linked/${encodeURIComponent(link)}`;

async function ticket() {
  try {
    const answer = await (link === "" ? call("POST", ticket_url) : call("POST", linked_url, { key: location.hash.slice(1) }));
    Object.assign(may, answer.may);
    if (answer.title !== undefined) show_title(answer.title);
    render();
    return { ticket: answer.ticket };
  } catch (problem) {
    if (problem.status === 503) unserved(problem.message);
    const ended = [401, 403, 404].includes(problem.status) ? await why_gone() : null;
    if (ended !== null) show_gone(ended);
    return { gone: ended !== null };
  }
}

/* A document that one may not see looks like one that is not there; who is still logged in tells them apart. Null: that
   can't be told just now. */
async function why_gone() {
  if (is_public || user === "") return "barred";
  try {
    const account = await call("GET", `${prefix}/api/v1/account`);
    return may.share && account.username === user ? "deleted" : "barred";
  } catch (problem) {
    return problem.status === 401 ? "out" : null;
  }
}

function resize({ height }) {
  frame.style.height = height > 0 ? `${Math.min(height, TALLEST)}px` : "";
  if (embedded && height > 0) { // the page around us learns how tall we are, and nothing else
    const whole = height + document.querySelector(".bar").offsetHeight;
    parent.postMessage({ kind: "bokeh-server", height: whole }, "*");
  }
}

/* The click that refuses lets a document ask again, like any other. After a few in a row it has to wait until that click
   counts no more, so that it takes a real one on the document. */
let refusals = 0;
let refused = -Infinity;

async function open_link({ url: link }) {
  const target = URL.canParse(link) ? new URL(link) : null;
  if (target === null || !["http:", "https:", "mailto:"].includes(target.protocol)) return;
  if (!navigator.userActivation.isActive) return; // nobody clicked: the document only claims so
  if (refusals >= REFUSALS && performance.now() - refused < CLICKED) return;
  const mail = target.protocol === "mailto:";
  const agreed = await ask({
    title: mail ? "Write a mail?" : `Open ${target.host}?`,
    text: `This document wants to open ${target.href}`,
    action: mail ? "Open in your mail program" : "Open in a new tab",
  });
  refusals = agreed ? 0 : refusals + 1;
  refused = performance.now();
  if (agreed) window.open(target.href, "_blank", "noopener,noreferrer");
}

let late = null;

function show_status({ state, pending }) {
  view.pending = pending;
  if (state !== "reconnecting" || view.state !== "live") {
    clearTimeout(late);
    late = null;
    if (state === "live" && view.state === "reconnecting") void refresh();
    view.state = state;
  } else {
    late ??= setTimeout(() => { view.state = state; render(); }, GRACE);
  }
  render();
}

function show_presence(presence) {
  Object.assign(view, presence);
  view.answered ||= presence.answering > 0;
  render();
}

const STATES = {
  connecting: ["waiting", "Connecting"],
  live: ["live", "Live"],
  reconnecting: ["waiting", "Reconnecting"],
  offline: ["off", "Offline"],
  deleted: ["off", "Deleted"],
  barred: ["off", "Ended"],
  out: ["off", "Logged out"],
};

function render() {
  const offline = view.state !== "live" && !navigator.onLine;
  const live = view.state === "live" && gone === null;
  const late = live && view.lag >= BEHIND;
  const state = gone ?? (offline ? "offline" : view.state);
  const [look, word] = late ? ["waiting", `${span(view.lag)} behind`] : STATES[state];
  status.title = live ? `${exactly(view.lag)} behind the server` : "";
  status.className = `status ${look}`;
  const text = status.querySelector("span");
  if (text.textContent !== word) text.textContent = word;
  again.hidden = gone !== null || view.state !== "reconnecting";
  viewers.hidden = !live || view.viewers < 2;
  viewers.querySelector("span").textContent = `${view.viewers} viewing`;
  visit.hidden = (may.edit && !supervised) || gone !== null;
  hint.hidden = !live || !may.edit || view.answering > 0 || !(view.wants || view.answered);
}

/* What one may not see any more does not stay on the screen. */
function show_gone(why) {
  gone = why;
  document.body.classList.add("gone");
  frame.inert = true;
  if (why !== "deleted") frame.remove();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close("");
  view.pending = 0;
  notice(why);
  render();
}

/* The server says why it can't be live, as where the application around it carries no websockets. */
function unserved(reason) {
  if (view.state === "live") return;
  document.getElementById("unserved").textContent = reason;
  notice("unserved");
}

function show_content({ is, reason }) {
  document.getElementById("reason").textContent = reason;
  notice(is);
}

/* Say why there is nothing to see, where that is so. */
function notice(what) {
  for (const element of document.querySelectorAll(".notice")) element.hidden = element.dataset.for !== what;
}

/* Somebody may have renamed the document meanwhile. */
async function refresh() {
  if (link !== "") return; // its name comes with each ticket
  const info = await documents.info(id, is_public).catch(() => null);
  if (info !== null) show_title(info.title);
}

function show_title(text) {
  title.textContent = text;
  document.title = `${text} · bokeh-server`;
}

async function rename() {
  const text = await ask({ title: "Rename this document", text: "", action: "Rename", value: title.textContent });
  if (text === null || text === "" || text === title.textContent) return;
  try {
    await documents.rename(id, text);
    show_title(text);
  } catch (problem) {
    toast("error", problem.message);
  }
}

async function remove() {
  const agreed = await ask({
    title: `Delete “${title.textContent}”?`,
    text: "Its data and its link are gone for good, for everyone.",
    action: "Delete",
    danger: true,
  });
  if (!agreed) return;
  try {
    await documents.delete(id);
    view.pending = 0;
    frame.remove(); // a document that runs for ever would not let us go
    location.assign(`${prefix}/`);
  } catch (problem) {
    toast("error", problem.message);
  }
}

/* Who looks: names, for those who may change the document. The frame is told none. */
const looking = document.getElementById("looking");

async function show_viewers({ newState: state }) {
  if (state !== "open") return;
  const { users, others } = await call("GET", `${prefix}/api/v1/documents/${encodeURIComponent(id)}/viewers`);
  const guests = others > 0 ? [`${others} without an account`] : [];
  const entries = [...users.map((name) => (name === user ? `${name} (you)` : name)), ...guests].map((text) => {
    const entry = document.createElement("li");
    entry.textContent = text;
    return entry;
  });
  looking.querySelector("ul").replaceChildren(...entries);
}

looking?.addEventListener("toggle", (event) => {
  show_viewers(event).catch((problem) => toast("error", problem.message));
});

async function copy_link() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("info", "The link is copied.");
  } catch {
    toast("error", "The browser did not let us copy; take the link from the address bar.");
  }
}

addEventListener("beforeunload", (event) => {
  if (view.pending > 0) event.preventDefault();
});
addEventListener("online", render);
addEventListener("offline", render);
const refresh_seen = () => { if (!document.hidden && gone === null) void refresh(); };
document.addEventListener("visibilitychange", refresh_seen);
setInterval(refresh_seen, REFRESH);
again.addEventListener("click", () => port?.postMessage({ kind: "wake" }));
for (const [name, act] of Object.entries({ rename, delete: remove, "copy-link": copy_link })) {
  const button = document.getElementById(name);
  button?.addEventListener("click", () => void act()); // it is not there where one may not
  if (button) button.disabled = false;
}
setTimeout(() => {
  if (!started) toast("error", "The document did not start. Reload the page to try again.");
}, STARTED);
frame.addEventListener("load", loaded);
frame.src = url;
