/* The menu of who is logged in: logging out, and learning that one is logged out. */

import { call, Problem } from "./api.js";
import { toast } from "./dialogs.js";

const { prefix } = JSON.parse(document.getElementById("parameters").textContent);
const CHANNEL = "bokeh-server: who is logged in";
const others = new BroadcastChannel(CHANNEL); // pages of this browser

/* Show the way to log in, and back to here. */
export function to_login() {
  const next = location.pathname + location.search;
  location.assign(`${prefix}/bokeh/login?${new URLSearchParams({ next })}`);
}

/* What is left to do when a call was refused: log in again, or be told why. */
export function tell(problem) {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401 && problem.message === "Log in first.") to_login();
  else toast("error", problem.message);
}

/* Tell the other pages of this browser that somebody logged out. */
export function logged_out() {
  others.postMessage("out");
  location.assign(`${prefix}/bokeh/login`);
}

async function log_out() {
  try {
    await call("DELETE", `${prefix}/api/v1/account/login`);
  } catch (problem) {
    if (problem.status !== 401) return toast("error", problem.message);
  }
  logged_out();
}

document.getElementById("log-out")?.addEventListener("click", () => void log_out());
if (document.body.matches(".account, .users, .board")) others.onmessage = () => location.reload();
