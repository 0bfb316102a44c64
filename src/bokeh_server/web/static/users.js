/* All accounts, for administrators: what each stores, who is kept out, who is invited. */

import { call } from "./api.js";
import { ask, show_once, toast } from "./dialogs.js";
import { carry_out, clone } from "./forms.js";
import { tell } from "./menu.js";
import { ago, end, size } from "./words.js";

const { prefix, user: me, hosted } = JSON.parse(document.getElementById("parameters").textContent);
const url = `${prefix}/api/v1/users`;
const [users, invitations, once] = ["users", "invitations", "once"].map((id) => document.getElementById(id));
const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"; // 32 that nobody mistakes for each other
const entries = new Map(); // by the user's name

const when = (seconds) => ago(new Date(seconds * 1000), new Date());
const place = (name) => `${url}/${encodeURIComponent(name)}`;

async function show_users() {
  const found = await call("GET", url);
  document.getElementById("count").textContent = `${found.length}`;
  for (const user of found) {
    const entry = entries.get(user.name) ?? new_entry(user.name);
    update(entry, user);
    users.append(entry.element);
  }
}

function new_entry(name) {
  const entry = clone("user");
  entries.set(name, entry);
  entry.name.textContent = name;
  entry.you.hidden = name !== me;
  entry.promote.addEventListener("click", () => void promote(entry.user));
  entry.switch.addEventListener("click", () => void turn(entry.user));
  entry.reset.addEventListener("click", () => void reset(entry.user));
  entry.documents.addEventListener("toggle", () => { if (entry.documents.open) show_titles(entry).catch(tell); });
  return entry;
}

function update(entry, user) {
  const { name, admin, disabled, documents, created } = (entry.user = user);
  entry.admin.hidden = !admin;
  entry.disabled.hidden = !disabled;
  entry.element.classList.toggle("off", disabled);
  entry.stores.textContent = documents === 0 ? "no documents" : `${count(documents, "document")}, ${size(user.size)}`;
  entry.since.textContent = `since ${when(created)}`;
  label(entry.promote, admin ? "Make ordinary user" : "Make administrator", name);
  label(entry.switch, disabled ? "Let in again" : "Disable", name);
  label(entry.reset, "Reset password", name);
  entry.documents.hidden = documents === 0;
  entry.documents.querySelector("summary").setAttribute("aria-label", `Documents of ${name}`);
}

function label(button, text, name) {
  button.textContent = text;
  button.setAttribute("aria-label", `${text}: ${name}`);
}

function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

async function show_titles(entry) {
  const found = await call("GET", `${place(entry.user.name)}/documents`);
  entry.titles.replaceChildren(...found.map(({ id, title, kind, size: bytes, changed }) => {
    const [item, link, more] = ["li", "a", "span"].map((tag) => document.createElement(tag));
    link.textContent = title;
    link.href = `${prefix}/bokeh/doc/${id}`;
    more.textContent = [kind || "empty", size(bytes), when(changed)].join(" · ");
    item.append(link, " ", more);
    return item;
  }));
}

/* Changes */

async function turn({ name, disabled }) {
  const text = "His pages close at once, and his programs are cut off. What he stores stays.";
  if (!disabled && !(await ask({ title: `Disable ${name}?`, text, action: "Disable", danger: true }))) return;
  await change(name, { disabled: !disabled }, disabled ? `${name} may log in again.` : `${name} is disabled.`);
}

async function promote({ name, admin }) {
  const text = "An administrator sees all accounts and what they store, and can disable them.";
  if (!admin && !(await ask({ title: `Make ${name} an administrator?`, text, action: "Make administrator" }))) return;
  await change(name, { admin: !admin }, admin ? `${name} is no administrator now.` : `${name} is an administrator.`);
}

async function reset({ name }) {
  const text = "All his logins and tokens end. Give him this password, which he can change, or type another.";
  const password = await ask({ title: `New password for ${name}`, text, action: "Reset", value: new_password() });
  if (password) await change(name, { password }, `${name} has a new password.`);
}

async function change(name, what, done) {
  try {
    await call("PATCH", place(name), what);
    toast("info", done);
    await show_users();
  } catch (problem) {
    tell(problem);
  }
}

/* 75 random bits that one can read out over the telephone. */
function new_password() {
  const letters = [...crypto.getRandomValues(new Uint8Array(15))].map((byte) => LETTERS[byte % LETTERS.length]);
  return letters.join("").replace(/.{5}(?=.)/g, "$&-");
}

/* Invitations */

async function invite({ admin }) {
  const { url: link } = await call("POST", `${prefix}/api/v1/invitations`, { admin: admin !== undefined });
  show_once(once, link);
  await show_invitations();
}

async function show_invitations() {
  const found = await call("GET", `${prefix}/api/v1/invitations`);
  document.getElementById("open").hidden = found.length === 0;
  invitations.replaceChildren(...found.map(({ id, author, admin, created, until }) => {
    const entry = clone("invitation");
    entry.whom.textContent = admin ? "For an administrator" : "For a user";
    entry.author.textContent = `by ${author}, ${when(created)}`;
    entry.until.textContent = end(until);
    entry.remove.addEventListener("click", () => void take_back(id));
    return entry.element;
  }));
}

async function take_back(id) {
  try {
    await call("DELETE", `${prefix}/api/v1/invitations/${id}`);
    once.hidden = true;
  } catch (problem) {
    tell(problem);
  }
  await show_invitations();
}

carry_out(document.getElementById("invite"), invite);
Promise.all([show_users(), hosted || show_invitations()]).catch(tell);
