/* One tag shows a live plot in any page: <script src="…/bokeh/autoload.js?document=…"></script>. This puts an iframe where
   the tag is, and gives it the height of the plot.

   What it shows is in the address that the tag calls it by: `document` or `link`, and perhaps `model` and `public=true`;
   a link's key is behind the #, which browsers keep to themselves. This file is the same for everybody. For a tag of
   bokeh.embed.server_document, which runs it as a blob, what it is about is said before it. */

"use strict";
(() => {
  const TALLEST = 60_000; // px
  const asked = globalThis.bokeh_server_tag;
  delete globalThis.bokeh_server_tag;
  const tag = asked === undefined ? document.currentScript : document.getElementById(asked.element);
  if (tag === null) {
    console.error("bokeh-server: autoload.js is for a plain <script src=…>, not for import or type=module.");
    return;
  }
  const ours = new URL(asked === undefined ? tag.src : asked.src);
  const { document: id, link, model, public: is_public } = Object.fromEntries(ours.searchParams);
  const part = (text) => (text ? `/${encodeURIComponent(text)}` : "");
  const shown = link ? `linked${part(link)}` : `${is_public === "true" ? "embed" : "doc"}${part(id)}`;
  const is_private = !link && is_public !== "true";
  const element = is_private && ours.origin !== location.origin ? hint() : frame();

  function frame() {
    const frame = document.createElement("iframe");
    const query = is_private ? "?embedded=true" : "";
    frame.src = new URL(`${shown}${part(model)}${query}${link ? ours.hash : ""}`, ours).href;
    frame.title = "Bokeh plot";
    frame.allow = "fullscreen";
    frame.referrerPolicy = "no-referrer";
    Object.assign(frame.style, { display: "block", width: "100%", height: "500px", border: "0" });
    addEventListener("message", ({ source, origin, data }) => {
      if (source !== frame.contentWindow || origin !== ours.origin || data?.kind !== "bokeh-server") return;
      const { height } = data;
      if (Number.isInteger(height) && height > 0) frame.style.height = `${Math.min(height, TALLEST)}px`;
    });
    return frame;
  }

  function hint() {
    const text = document.createElement("p");
    text.textContent =
      "This plot is private: publish it, or make a link for this site, to show it here (bokeh-server link add --embed).";
    return text;
  }

  if (tag.closest("body") !== null) tag.after(element);
  else addEventListener("DOMContentLoaded", () => document.body.prepend(element));
})();
