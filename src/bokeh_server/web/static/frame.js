/* The frame: one document, drawn by BokehJS, live.

   Runs in an opaque origin without cookies, storage or network but the one socket of its document. What leads out of
   the frame (links, new windows) goes to the shell, which asks the viewer: followed here, any of them would end the
   document. WebRTC, which no policy of a page covers in every browser, is taken away. */

import { has_scripts, make_inert } from "./inert.js";
import { Link } from "./link.js";
import { MathText } from "./math.js";
import { Shell } from "./port.js";
import { Stage } from "./stage.js";

const { require } = globalThis.Bokeh;

const OPENED = /^(https?|mailto):$/;
const XLINK = "http://www.w3.org/1999/xlink";

async function start({ socket, document: name, model, mathjax, most, scripts }) {
  if (!scripts) make_inert();
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete globalThis[name];
  const shell = await Shell.greet();
  lead_links_to_shell(shell);
  const stage = new Stage(document.getElementById("stage"), { model, shell, inert: scripts ? () => false : has_scripts });
  await new Link({ url: socket, document: name, shell, stage, math: new MathText(mathjax), most }).run();
}

function lead_links_to_shell(shell) {
  const open = (url) => {
    shell.open_link(`${url}`);
    return null;
  };
  window.open = open;
  require("models/callbacks/open_url").OpenURL.prototype.navigate = open;
  // Before the document hears of it: a link is followed also where the click on it is stopped on its way.
  addEventListener("click", (event) => {
    const link = event.composedPath().find((target) => address(target) !== null);
    if (link === undefined || !URL.canParse(address(link), document.baseURI)) return;
    const { protocol, href } = new URL(address(link), document.baseURI);
    if (stays(link, protocol)) return;
    event.preventDefault();
    if (OPENED.test(protocol)) open(href);
    else shell.toast("error", `A document can't open links that begin with “${protocol}”.`);
  }, { capture: true });
}

/* Where a link of HTML or SVG leads, or null for anything else. */
function address(target) {
  const link = target instanceof Element && target.matches("a, area");
  return link ? target.getAttribute("href") ?? target.getAttributeNS(XLINK, "href") : null;
}

/* Whether following a link leaves the document where it is: a place in it, a file that is made here, or a script, which
   the frame's policy does not run. */
function stays(link, protocol) {
  if (link.hasAttribute("download")) return ["blob:", "data:"].includes(protocol);
  return address(link).startsWith("#") || protocol === "javascript:";
}

void start(JSON.parse(document.getElementById("parameters").textContent));
