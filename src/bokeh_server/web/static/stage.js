/* Where the frame draws its document, by BokehJS' own embedding.

   A fresh copy of the document is drawn behind the old one and takes its place when it is painted, with the viewer's
   pan and zoom. With `model` given only that model is drawn. Tells the shell how much room the content wants, and
   whether anybody has to answer its widgets. */

const { require, documents, logger } = globalThis.Bokeh;
const { add_document_standalone } = require("embed/standalone");
const { RootAddedEvent, RootRemovedEvent } = require("document");
const { LayoutDOM } = require("models/layouts/layout_dom");

const PAINTED = 1_500; // ms that the old drawing stays for the new one to be painted
const TALL = new Set(["stretch_both", "stretch_height", "scale_both", "scale_height"]);
const WIDE = new Set(["stretch_both", "stretch_width", "scale_both", "scale_width"]);
const SCRIPTED = ["js_property_callbacks", "js_event_callbacks"];

export class Stage {
  #element;
  #model;
  #shell;
  #inert;
  #scene = null;

  /* `element` to draw in; `model`: id or name of the only model to draw, or null for the whole document; `inert` tells
     whether scripts of a document were not run. */
  constructor(element, { model, shell, inert }) {
    this.#element = element;
    this.#model = model;
    this.#shell = shell;
    this.#inert = inert;
    new ResizeObserver(() => this.#measure()).observe(element);
    addEventListener("resize", () => this.#measure());
  }

  /* Draw `document`; resolves when its views are built. `keep`: whether the viewer's pan and zoom still hold. */
  async show(document, { keep }) {
    const old = this.#scene;
    const scene = new Scene(document, window.document.createElement("div"));
    this.#scene = scene;
    if (old !== null) old.layer.inert = true; // nobody would hear of what is done there
    if (old !== null && keep) keep_views(old.document, document);
    scene.layer.className = old === null ? "layer" : "layer coming";
    this.#element.append(scene.layer);
    await this.#build(scene);
    document.on_change((event) => this.#follow(scene, event));
    void this.#swap(scene, old);
  }

  /* A patch has brought new models. */
  news() {
    this.#look(this.#scene);
  }

  /* Whether BokehJS could not draw the document: only a fresh copy can put that right. */
  get broken() {
    return this.#scene?.broken === true;
  }

  /* Build the views; where the one model to draw is not in the document (yet), wait for it. */
  async #build(scene) {
    const { document, layer } = scene;
    const model = this.#model === null ? null : find(document, this.#model);
    scene.waits = this.#model !== null && model === null;
    if (scene.waits) {
      this.#shell.content("missing");
      return;
    }
    scene.model = model;
    try {
      scene.views = await add_document_standalone(model === null ? document : part(document, model), layer);
    } catch (error) {
      logger.error(error);
      scene.broken = true;
      this.#shell.content("broken", error.message);
    }
    this.#measure();
    this.#look(scene);
  }

  #follow(scene, event) {
    if (scene !== this.#scene) return;
    if (scene.waits) {
      if (find(scene.document, this.#model) !== null) void this.#build(scene);
    } else if (event instanceof RootAddedEvent || event instanceof RootRemovedEvent) {
      void this.#tidy(scene);
    }
  }

  async #swap(scene, old) {
    const until = performance.now() + PAINTED;
    if (old !== null) {
      while (!scene.painted && performance.now() < until) await next_frame();
      scene.layer.classList.remove("coming");
      old.discard();
    }
    this.#measure();
  }

  /* Views are built one after the other: what came and went meanwhile is taken away, and the order of roots kept. A
     dialog that is open has a view, but is no root. */
  async #tidy(scene) {
    const { document, layer, views } = scene;
    if (views === null) return;
    await Promise.all(views.roots.map((view) => view.ready));
    await new Promise((resolve) => setTimeout(resolve));
    if (scene !== this.#scene || scene.views !== views) return;
    if (this.#model !== null && find(document, this.#model) !== scene.model) {
      scene.clear();
      await this.#build(scene);
      return;
    }
    const roots = scene.model === null ? document.all_roots : [scene.model];
    const shown = [...roots, document.config.notifications];
    for (const view of views.roots) {
      if (!shown.includes(view.model) && view.el?.parentNode === layer) view.remove();
    }
    const elements = shown.map((root) => views.get(root)?.el).filter((el) => el?.parentNode === layer);
    const now = [...layer.children].filter((el) => elements.includes(el));
    if (elements.some((el, i) => now[i] !== el)) layer.append(...elements);
    this.#measure();
    this.#look(scene);
  }

  /* Tell what there is to see, and to answer. BokehJS puts an element of its own into a document that has nothing. */
  #look(scene) {
    const { document, layer, model, views } = scene;
    if (scene !== this.#scene || views === null) return;
    const empty = document.roots().length === 0;
    layer.classList.toggle("bare", empty);
    this.#shell.content(empty ? "empty" : "there");
    this.#shell.wants(wants_program(model === null ? document.all_models : model.references()));
    this.#shell.inert(this.#inert(document));
  }

  /* Content that fills its height takes what the shell has; any other tells how high it is. */
  #measure() {
    if (this.#scene === null) return;
    const { documentElement, body } = window.document;
    const tall = this.#scene.tall;
    documentElement.classList.toggle("tall", tall);
    documentElement.classList.toggle("wide", this.#scene.wide);
    const bar = innerHeight - documentElement.clientHeight;
    this.#shell.resize({ height: tall ? 0 : Math.ceil(body.getBoundingClientRect().height) + bar });
  }
}

/* One drawing: a document, the element it is drawn in, its views, and the one model of it that is drawn, if not all. */
class Scene {
  model = null;
  views = null;
  waits = false; // for the model to come
  broken = false;

  constructor(document, layer) {
    this.document = document;
    this.layer = layer;
  }

  get #roots() {
    return this.views === null ? [] : this.views.roots;
  }

  get painted() {
    return this.views !== null && this.#roots.every((view) => view.has_finished());
  }

  get tall() {
    return this.#roots.some(({ model }) => TALL.has(model.sizing_mode) || model.height_policy === "max");
  }

  /* Whether anything in it wants all the width there is. */
  get wide() {
    return [...this.document.all_models].some((model) => WIDE.has(model.sizing_mode) || model.width_policy === "max");
  }

  clear() {
    this.document.views_manager?.clear(); // also where it could not be drawn as a whole
    this.document.views_manager = this.views = this.model = null;
  }

  discard() {
    this.clear();
    this.layer.remove();
    const at = documents.indexOf(this.document);
    if (at >= 0) documents.splice(at, 1);
    this.document._cancel_recompute_all_models?.();
  }
}

/* The browser is about to paint, or does not: it paints no tab in the background. */
function next_frame() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
    setTimeout(resolve, PAINTED);
  });
}

/* The model with this id, or else name. What was removed may still be among the models of a document; it is below no
   root. */
function find(document, name) {
  const models = [...document.all_models];
  const called = [...models.filter(({ id }) => id === name), ...models.filter((model) => model.name === name)];
  return called.find((model) => document.roots().some((root) => root.references().has(model))) ?? null;
}

/* The document as BokehJS' embedding sees it, with `model` as its only root. */
function part(document, model) {
  return Object.create(document, {
    all_roots: { get: () => [model, document.config] },
    on_change: { value: () => {} },
    views_manager: { get: () => document.views_manager, set: (views) => { document.views_manager = views; } },
  });
}

/* The viewer's own pan and zoom, from one copy of a document to the next. */
function keep_views(from, to) {
  for (const range of from.all_models) {
    if (range.have_updated_interactively !== true) continue;
    const twin = to.get_model_by_id(range.id);
    if (twin?.type !== range.type) continue;
    twin.setv({ start: range.start, end: range.end }, { sync: false });
    twin.have_updated_interactively = true;
  }
}

/* Whether it takes a program to answer what a viewer does here: events asked for, or inputs that no script reads. */
function wants_program(models) {
  return [...models].some((model) => model.subscribed_events?.size > 0 || is_unheard_input(model));
}

function is_unheard_input(model) {
  const { properties, type } = model;
  const input = model instanceof LayoutDOM && ("value" in properties || "active" in properties) && type !== "Tabs";
  return input && SCRIPTED.every((callbacks) => count(model[callbacks]) === 0);
}

function count(callbacks) {
  return callbacks instanceof Map ? callbacks.size : Object.keys(callbacks ?? {}).length;
}
