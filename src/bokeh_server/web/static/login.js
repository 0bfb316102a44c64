/* Log in, and go on to where one wanted to. */

import { call } from "./api.js";
import { carry_out, destination, let_reveal, take_secret } from "./forms.js";

const { prefix } = JSON.parse(document.getElementById("parameters").textContent);
const form = document.getElementById("login");
const next = new URLSearchParams(location.search).get("next");

async function log_in({ username, password }) {
  try {
    await call("POST", `${prefix}/bokeh/login`, { username, password });
  } catch (problem) {
    form.elements.password.value = "";
    throw problem;
  }
  history.replaceState(null, "");
  location.replace(destination(prefix, next));
}

if (form !== null) {
  carry_out(form, log_in);
  let_reveal();
  const secret = form.dataset.by === "token" ? take_secret() : null; // of the link that the server has printed
  if (secret !== null) {
    form.elements.password.value = secret;
    form.requestSubmit();
  }
  const register = document.getElementById("register");
  if (register !== null && next !== null) register.search = new URLSearchParams({ next });
}
