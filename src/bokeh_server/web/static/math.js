/* MathJax, loaded only for documents with mathematical text: it is larger than everything else together, and BokehJS
   would otherwise wait for it before it draws the first widget. */

const { BundleProvider, default_provider } = globalThis.Bokeh.require("models/text/providers");

const DELIMITED = /\$\$|\\\[|\\\(/;
const TYPED = /TeX|MathML|Ascii/;

export class MathText {
  #wanted = false;

  /* `url`: where BokehJS' part for mathematical text is. */
  constructor(url) {
    const fetch = BundleProvider.prototype.fetch;
    const wanted = () => this.#wanted;
    let loaded = null;
    BundleProvider.prototype.fetch = async function () {
      if (!wanted()) {
        this.status = "failed"; // what BokehJS says where there is none: text is drawn as it is
        return;
      }
      this.status = "loading";
      loaded ??= load(url);
      await loaded;
      await fetch.call(this);
    };
  }

  /* Whether the JSON `value` is the first with mathematical text; from then on MathJax is loaded where it is needed. */
  begins_in(value) {
    if (this.#wanted || !holds_math(value)) return false;
    this.#wanted = true;
    default_provider.status = "not_started";
    return true;
  }
}

function load(src) {
  return new Promise((resolve) => {
    document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: resolve }));
  });
}

function holds_math(value) {
  if (typeof value === "string") return DELIMITED.test(value);
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return typeof value[0] !== "number" && value.some(holds_math);
  return (value.type === "object" && TYPED.test(value.name)) || Object.values(value).some(holds_math);
}
