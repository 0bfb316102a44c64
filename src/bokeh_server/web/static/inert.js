/* Documents without their scripts: every model that carries code does what a plain one in its place would do.

   The wall is the frame's policy, which evaluates nothing. This is only so that plots show: a tick formatter that can't
   be compiled would end the drawing of everything. The models keep their type and their properties, so patches fit them
   as ever, and what this page sends of them is what the document holds. */

const { require } = globalThis.Bokeh;
const { BasicTickFormatter } = require("models/formatters/basic_tick_formatter");
const { BasicTicker } = require("models/tickers/basic_ticker");
const { CategoricalTicker } = require("models/tickers/categorical_ticker");
const { FactorRange } = require("models/ranges/factor_range");
const { StringFormatter } = require("models/widgets/tables/cell_formatters");
const { Indices } = require("core/types");
const { DEFAULT_FORMATTERS } = require("core/util/templating");

const blank = (scale) => Object.assign(document.createElement("canvas"), { width: scale, height: scale });
const plain_ticks = (ticks, options) => {
  const numbers = ticks.every((tick) => typeof tick === "number");
  return numbers ? new BasicTickFormatter().doFormat(ticks, options) : ticks.map((tick) => `${tick}`);
};
const plain_ticker = (range) => (range instanceof FactorRange ? new CategoricalTicker() : new BasicTicker());

/* For each model with code: where BokehJS has it, and what its methods are without the code. */
const INERT = {
  CustomJS: ["models/callbacks/customjs", {
    compile: async () => {},
    execute: async (_, data) => (data !== undefined && "format" in data ? data.value : undefined),
    execute_sync: () => undefined,
  }],
  CustomJSCompare: ["models/comparisons/customjs_compare", { compute: (x, y) => (x < y ? -1 : x > y ? 1 : 0) }],
  CustomJSExpr: ["models/expressions/customjs_expr", {
    _v_compute: (source) => Array(source.get_length() ?? 1).fill(NaN),
  }],
  CustomJSFilter: ["models/filters/customjs_filter", {
    compute_indices: (source) => Indices.all_set(source.get_length() ?? 1),
  }],
  CustomJSHover: ["models/tools/inspectors/customjs_hover", {
    format: (value, format, special) => DEFAULT_FORMATTERS.basic(value, format, special),
  }],
  CustomJSTicker: ["models/tickers/customjs_ticker", {
    get_ticks: (start, end, range, at) => plain_ticker(range).get_ticks(start, end, range, at),
  }],
  CustomJSTickFormatter: ["models/formatters/customjs_tick_formatter", { doFormat: plain_ticks }],
  CustomJSTransform: ["models/transforms/customjs_transform", { compute: (x) => x, v_compute: (xs) => xs }],
  CustomLabelingPolicy: ["models/policies/labeling", { filter: (indices) => indices }],
  CanvasTexture: ["models/textures/canvas_texture", { get_pattern: (color, scale) => blank(scale) }],
  HTMLTemplateFormatter: ["models/widgets/tables/cell_formatters", {
    doFormat: (...cell) => new StringFormatter().doFormat(...cell),
  }],
};

/* Take the code out of BokehJS, before it builds the first document. */
export function make_inert() {
  for (const [name, [place, methods]] of Object.entries(INERT)) Object.assign(require(place)[name].prototype, methods);
}

/* Whether a document carries scripts. */
export function has_scripts(document) {
  return [...document.all_models].some(({ type }) => Object.hasOwn(INERT, type));
}
