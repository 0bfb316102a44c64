"""The Taylor polynomial of a formula that you type in; the slider sets its order.

The formula comes from a browser, so it is never given to ``eval``: it is parsed, and only arithmetic, x, numbers and
the functions below are let through. A formula that is not one is answered by a dialog.
"""

import ast
import operator

import numpy as np
from bokeh.models import Dialog, Div, Slider, TextInput

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, show

FUNCTIONS = {name: getattr(np, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh")}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


def evaluate(node, x):
    match node:
        case ast.Expression(body):
            return evaluate(body, x)
        case ast.Constant(int() | float() as value):
            return np.float64(value)
        case ast.Name("x"):
            return x
        case ast.Name("pi"):
            return np.pi
        case ast.UnaryOp(op, operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](evaluate(operand, x))
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](evaluate(left, x), evaluate(right, x))
        case ast.Call(ast.Name(name), [argument], []) if name in FUNCTIONS:
            return FUNCTIONS[name](evaluate(argument, x))
    raise ValueError(f"This is not a formula in x: {ast.unparse(node)}")


def taylor(formula, order, radius=0.5, n=256):
    """Coefficients around 0, by Cauchy's integral over a circle: a Fourier transform of the values there."""
    circle = radius * np.exp(2j * np.pi * np.arange(n) / n)
    spectrum = np.fft.fft(evaluate(formula, circle) + 0 * circle) / n
    if not abs(spectrum[n // 2 :]).max() <= 1e-6 * abs(spectrum).max():
        raise ValueError("This formula has no Taylor series around 0.")
    return spectrum.real[: order + 1] / radius ** np.arange(order + 1)


xs = np.linspace(-7, 7, 301)
source = ColumnDataSource(dict(x=xs, fy=xs, ty=xs))

output_server("taylor")

p = figure(width=700, height=400, x_range=(-7, 7), y_range=(-100, 200))
p.line("x", "fy", source=source, color="#44628a", line_width=2, legend_label="the formula")
p.line("x", "ty", source=source, color="#c0504d", line_width=2, line_dash="dashed", legend_label="its polynomial")
p.legend.location = "top_left"

order = Slider(start=1, end=20, value=1, step=1, title="Order", name="order")
text = TextInput(value="exp(-x)*cos(x)", title="f(x) =", name="formula")
complaint = Div(render_as_text=True, name="complaint")
dialog = Dialog(
    title="This formula can't be drawn",
    content=complaint,
    visible=False,
    name="dialog",
    stylesheets=[":host { max-width: 420px; max-height: 140px }"],
)


def update(attr, old, new):
    try:
        formula = ast.parse(text.value.strip().replace("^", "**"), mode="eval")
        with np.errstate(all="ignore"):
            values, polynomial = evaluate(formula, xs) + 0 * xs, np.polynomial.Polynomial(taylor(formula, order.value))
    except (SyntaxError, ValueError, ArithmeticError, RecursionError) as error:
        complaint.text = str(error)
        dialog.visible = True
        return
    dialog.visible = False
    source.data = dict(x=xs, fy=values, ty=polynomial(xs))
    p.title.text = f"Order {order.value} around 0: {text.value}"


order.on_change("value", update)
text.on_change("value", update)
update(None, None, None)

show(column(order, text, p, dialog))
cursession().poll_document(curdoc())
