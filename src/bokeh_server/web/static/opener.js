/* Open a link to a document: its key is behind the #, and goes nowhere but to our own server, once. */

import { call } from "./api.js";

const { prefix } = JSON.parse(document.getElementById("parameters").textContent);
const [what, problem, again, all] = ["what", "problem", "again", "all"].map((name) => document.getElementById(name));
let key = "";

function look() {
  key = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  void open();
}

async function open() {
  again.hidden = all.hidden = true;
  problem.textContent = "";
  what.textContent = "Opening the document …";
  if (key === "") return refused("This link is not complete", "Its end is missing. Copy all of it, or ask for it anew.");
  try {
    const { location: place } = await call("POST", `${prefix}/bokeh/link`, { key });
    location.replace(place);
  } catch (error) {
    if (error.status === 404) refused("This link has ended", "It was taken back, or is used up. Ask whoever gave it to you for a new one.");
    else failed(error);
  }
}

function refused(title, text) {
  what.textContent = title;
  problem.textContent = text;
  all.hidden = false;
}

function failed(error) {
  what.textContent = "This did not work";
  problem.textContent = error.message;
  again.hidden = false;
}

again.addEventListener("click", () => void open());
addEventListener("hashchange", () => { if (location.hash !== "") look(); });
look();
