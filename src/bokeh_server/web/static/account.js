/* One's own account: tokens, logins, password. */

import { call, Documents } from "./api.js";
import { ask, show_once, toast } from "./dialogs.js";
import { carry_out, clone } from "./forms.js";
import { logged_out, tell } from "./menu.js";
import { ago, browser, end } from "./words.js";

const { prefix } = JSON.parse(document.getElementById("parameters").textContent);
const url = `${prefix}/api/v1/account`;
const [tokens, logins, make, once] = ["tokens", "logins", "make", "token-once"].map((id) => document.getElementById(id));
const DAY = 86_400; // s
const SCOPES = ["read", "stream", "write", "manage", "watch"];
const titles = new Map(); // of the user's documents, by id

const when = (seconds) => ago(new Date(seconds * 1000), new Date());

/* Tokens */

async function show_tokens() {
  tokens.replaceChildren(...(await call("GET", `${url}/tokens`)).map(token_entry));
}

function token_entry({ id, name, scopes, document: only, used, until }) {
  const entry = clone("token");
  entry.name.textContent = name;
  entry.scopes.replaceChildren(...SCOPES.filter((scope) => scopes.includes(scope)).map(tag));
  entry.document.textContent = only === null ? "all documents" : `only “${titles.get(only) ?? only}”`;
  entry.used.textContent = used === null ? "never used" : `used ${when(used)}`;
  entry.until.textContent = end(until);
  entry.revoke.setAttribute("aria-label", `Revoke “${name}”`);
  entry.revoke.addEventListener("click", () => void revoke(id, name));
  return entry.element;
}

function tag(text) {
  const element = document.createElement("span");
  element.className = "tag";
  element.textContent = text;
  return element;
}

async function revoke(id, name) {
  const text = "What uses it is cut off at once, and must get another.";
  if (!(await ask({ title: `Revoke “${name}”?`, text, action: "Revoke", danger: true }))) return;
  await attempt("DELETE", `${url}/tokens/${id}`, `“${name}” is revoked.`);
  await show_tokens();
}

async function make_token(fields) {
  const scopes = SCOPES.filter((scope) => fields[scope] !== undefined);
  const body = { name: fields.name, scopes, document: fields.document || null };
  body.seconds = fields.life === "" ? null : Number(fields.life) * DAY;
  const { token } = await call("POST", `${url}/tokens`, body);
  make.open = false;
  make.querySelector("form").reset();
  show_once(once, token);
  await show_tokens();
}

async function show_titles() {
  const select = document.getElementById("token-document");
  for (const { id, title, role } of await new Documents(prefix).list()) {
    titles.set(id, title);
    if (role === "owner") select.add(new Option(`Only “${title}”`, id));
  }
}

/* Logins */

async function show_logins() {
  logins.replaceChildren(...(await call("GET", `${url}/logins`)).map(login_entry));
}

function login_entry({ id, agent, created, used, here }) {
  const entry = clone("login");
  const name = browser(agent);
  entry.browser.textContent = name;
  entry.browser.title = agent;
  entry.here.hidden = !here;
  entry.used.textContent = here ? "in use now" : `used ${when(used)}`;
  entry.since.textContent = `logged in ${when(created)}`;
  entry.end.setAttribute("aria-label", `Log out ${name}${here ? ", this one" : ""}`);
  entry.end.addEventListener("click", () => void end_login(id, name, here));
  return entry.element;
}

async function end_login(id, name, here) {
  if (!(await attempt("DELETE", `${url}/logins/${id}`, `${name} is logged out.`))) return;
  if (here) logged_out();
  else await show_logins();
}

async function end_all() {
  const text = "All browsers, this one too, and programs that logged in with your password. Tokens stay.";
  if (!(await ask({ title: "Log out everywhere?", text, action: "Log out" }))) return;
  if (await attempt("DELETE", `${url}/logins`)) logged_out();
}

/* Do it, and say that it is done or why not; whether it is done. */
async function attempt(method, place, done) {
  try {
    await call(method, place);
    if (done !== undefined) toast("info", done);
    return true;
  } catch (problem) {
    tell(problem);
    return false;
  }
}

/* Password */

async function change(form, fields) {
  await call("PUT", `${url}/password`, { old: fields.old, new: fields.new });
  form.reset();
  toast("info", "The password is changed. Other logins have ended.");
  await Promise.all([show_logins(), show_tokens()]);
}

async function show() {
  await show_titles();
  await Promise.all([show_tokens(), logins && show_logins()]);
}

const form = document.getElementById("change"); // logins and passwords may be those of an application around us
if (form !== null) {
  carry_out(form, (fields) => change(form, fields));
  document.getElementById("everywhere").addEventListener("click", () => void end_all());
}
if (tokens !== null) {
  carry_out(document.getElementById("new-token"), make_token);
  show().catch(tell);
}
