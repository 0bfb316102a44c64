/* The frame: one document, drawn by BokehJS, live.

   Runs in an opaque origin without cookies, storage or network but the one socket of its document. What leads out of
   the frame (links, new windows) goes to the shell, which asks the viewer. */

import { Link } from "./link.js";
import { MathText } from "./math.js";
import { Shell } from "./port.js";
import { Stage } from "./stage.js";

const { require } = globalThis.Bokeh;

async function start({ socket, document: name, model, mathjax }) {
  const shell = await Shell.greet();
  lead_links_to_shell(shell);
  const stage = new Stage(document.getElementById("stage"), { model, shell });
  await new Link({ url: socket, document: name, shell, stage, math: new MathText(mathjax) }).run();
}

function lead_links_to_shell(shell) {
  const open = (url) => {
    shell.open_link(`${url}`);
    return null;
  };
  window.open = open;
  require("models/callbacks/open_url").OpenURL.prototype.navigate = open;
  addEventListener("click", (event) => {
    const link = event.composedPath().find((target) => target instanceof HTMLAnchorElement);
    if (!/^https?:/.test(link?.href ?? "") || link.download !== "") return;
    event.preventDefault();
    open(link.href);
  });
}

void start(JSON.parse(document.getElementById("parameters").textContent));
