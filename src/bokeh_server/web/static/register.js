/* Make an account: by the invitation behind the #, or freely where registration is open. */

import { call } from "./api.js";
import { carry_out, destination, let_reveal, take_secret } from "./forms.js";

const { prefix, open } = JSON.parse(document.getElementById("parameters").textContent);
const form = document.getElementById("registration");
const next = new URLSearchParams(location.search).get("next");
let invitation = null;

function look() {
  invitation = take_secret();
  document.getElementById("invited").hidden = invitation === null;
  form.hidden = !open && invitation === null;
  document.getElementById("closed").hidden = !form.hidden;
  if (!form.hidden) form.elements.username.focus();
}

async function register({ username, password }) {
  await call("POST", `${prefix}/bokeh/register`, { username, password, invitation });
  history.replaceState(null, "");
  location.replace(destination(prefix, next));
}

if (form !== null) {
  look();
  addEventListener("hashchange", look);
  carry_out(form, register);
  let_reveal();
}
