/* The owner's dialog: publish a document, name users, make links. What is taken back ends at once, everywhere. */

import { call } from "./api.js";
import { copy, show_once } from "./dialogs.js";
import { carry_out, clone } from "./forms.js";
import { tell } from "./menu.js";
import { end } from "./words.js";

const { prefix, document: id } = JSON.parse(document.getElementById("parameters").textContent);
const url = `${prefix}/api/v1/documents/${encodeURIComponent(id)}`;
const [dialog, published, open_link, grants, links, once] = ["share", "published", "public", "grants", "links", "link-once"]
  .map((name) => document.getElementById(name));

async function open() {
  dialog.querySelector("#share-title span").textContent = document.getElementById("title").textContent;
  once.hidden = true;
  dialog.showModal();
  await attempt(() => Promise.all([show_published(), show_grants(), show_links()]));
}

/* Do it; where that is refused, `undo` what the control says and say why. Then show how it is. */
async function attempt(act, show = async () => {}, undo = () => {}) {
  await act().catch((problem) => {
    undo();
    tell(problem);
  });
  await show().catch(tell);
}

/* Everybody */

let moved = 0; // times that the switch was

async function show_published() {
  const before = moved;
  const info = await call("GET", `${url}/info`);
  if (before !== moved) return; // what comes of that is shown next
  published.checked = info.published;
  open_link.hidden = !info.published;
  const [link, tag] = open_link.querySelectorAll("input");
  link.value = `${location.origin}${prefix}/bokeh/doc/${id}?public=true`;
  tag.value = `<script src="${location.origin}${prefix}/bokeh/autoload.js?document=${id}&amp;public=true"></script>`;
}

function publish() {
  moved += 1;
  const on = published.checked;
  const undo = () => { published.checked = !on; };
  return attempt(() => call(on ? "PUT" : "DELETE", `${url}/published`), show_published, undo);
}

/* People */

async function show_grants() {
  grants?.replaceChildren(...(await call("GET", `${url}/grants`)).map(grant_entry));
}

function grant_entry({ user, role }) {
  const entry = clone("grant");
  const place = `${url}/grants/${encodeURIComponent(user)}`;
  entry.user.textContent = user;
  entry.role.value = role;
  entry.role.setAttribute("aria-label", `What ${user} may do`);
  entry.role.addEventListener("change", () => {
    const undo = () => { entry.role.value = role; };
    void attempt(() => call("PUT", place, { role: entry.role.value }), show_grants, undo);
  });
  entry.remove.setAttribute("aria-label", `Share with ${user} no longer`);
  entry.remove.addEventListener("click", () => void attempt(() => call("DELETE", place), show_grants));
  return entry.element;
}

async function grant({ user, role }) {
  const name = user.trim().toLowerCase();
  await call("PUT", `${url}/grants/${encodeURIComponent(name)}`, { role });
  document.getElementById("new-grant").reset();
  await show_grants();
}

/* Links */

async function show_links() {
  links.replaceChildren(...(await call("GET", `${url}/links`)).map(link_entry));
}

const ROLES = { viewer: "may look", editor: "may change" };

function link_entry({ id: link, name, role, enabled, opened, most, until, embed }) {
  const entry = clone("link");
  const [place, called] = [`${url}/links/${link}`, name || "Link without a name"];
  const ended = until !== null && until * 1000 < Date.now();
  const state = !enabled ? "off" : ended ? "ended" : most !== null && opened >= most ? "used up" : "";
  entry.name.textContent = called;
  entry.state.textContent = state;
  entry.state.hidden = state === "";
  entry.role.textContent = ROLES[role];
  const count = most === null ? `opened ${opened} ×` : `opened ${opened} of ${most} ×`;
  entry.opened.textContent = embed.length > 0 ? in_pages(embed) : count;
  entry.until.textContent = end(until);
  entry.switch.textContent = enabled ? "Turn off" : "Turn on";
  entry.switch.setAttribute("aria-label", `Turn “${called}” ${enabled ? "off" : "on"}`);
  entry.switch.addEventListener("click", () => {
    void attempt(() => call("PATCH", place, { enabled: !enabled }), show_links);
  });
  entry.remove.setAttribute("aria-label", `Remove “${called}”`);
  entry.remove.addEventListener("click", () => void attempt(() => call("DELETE", place), show_links));
  return entry.element;
}

const in_pages = (sites) => (sites[0] === "*" ? "in any page that has it" : `in pages of ${sites.join(", ")}`);

async function make_link({ name, role, life, most, embed }) {
  const number = (text) => (text === "" ? null : Number(text));
  const sites = embed.split(/[\s,]+/).filter((site) => site !== "");
  const body = { name: name.trim(), role, seconds: number(life), most: number(most), embed: sites };
  const { url: text, tag } = await call("POST", `${url}/links`, body);
  document.getElementById("new-link").reset();
  await show_links();
  once.querySelector("strong").textContent = tag === undefined ? "Copy the link now." : "Copy the tag for the page now.";
  show_once(once, tag ?? text);
}

document.getElementById("share-close").addEventListener("click", () => dialog.close());
published.addEventListener("change", () => void publish());
for (const line of open_link.querySelectorAll("div")) {
  const input = line.querySelector("input");
  line.querySelector("button").addEventListener("click", () => void copy(input.value, input));
}
if (grants) carry_out(document.getElementById("new-grant"), grant); // a server without accounts has nobody to name
carry_out(document.getElementById("new-link"), make_link);
const button = document.getElementById("open-share");
button.addEventListener("click", () => void open());
button.disabled = false; // no click is lost: until here there is none
