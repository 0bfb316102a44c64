/* The frame: one document, drawn by BokehJS, live.

   Runs in an opaque origin without cookies, storage or network but the one socket of its document. What leads out of the
   frame (links, new windows) goes to the shell, which asks the viewer. */

import { Link } from "./link.js";
import { Shell } from "./port.js";
import { Stage } from "./stage.js";

const { require } = globalThis.Bokeh;

async function start({ socket, document: name, model, mathjax }) {
  load_mathjax_when_needed(mathjax);
  const shell = await Shell.greet();
  lead_links_to_shell(shell);
  const stage = new Stage(document.getElementById("stage"), { model, shell });
  await new Link({ url: socket, document: name, shell, stage }).run();
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

/* MathJax is larger than everything else together, and few documents use it. */
function load_mathjax_when_needed(url) {
  const { BundleProvider } = require("models/text/providers");
  const fetch = BundleProvider.prototype.fetch;
  let loaded = null;
  BundleProvider.prototype.fetch = async function () {
    this.status = "loading";
    loaded ??= new Promise((resolve) => {
      const script = Object.assign(document.createElement("script"), { src: url, onload: resolve, onerror: resolve });
      document.head.append(script);
    });
    await loaded;
    return fetch.call(this);
  };
}

void start(JSON.parse(document.getElementById("parameters").textContent));
