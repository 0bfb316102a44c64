"""Every kind of button: this program prints what was pressed, and shows it in the page too."""

from bokeh.events import ButtonClick, MenuItemClick
from bokeh.models import (
    Button,
    CheckboxButtonGroup,
    CheckboxGroup,
    Div,
    Dropdown,
    RadioButtonGroup,
    RadioGroup,
    Switch,
    Toggle,
)

from bokeh_server.plotting import column, curdoc, cursession, output_server, show

NAMES = ["One", "Two", "Three"]
MENU = [("Apples", "apples"), ("Pears", "pears"), None, ("Plums", "plums")]

output_server("buttons")

button = Button(label="Push me", button_type="primary", name="button")
toggle = Toggle(label="Toggle me", button_type="success", name="toggle")
switch = Switch(name="switch")
dropdown = Dropdown(label="Choose a fruit", button_type="warning", menu=MENU, name="dropdown")
split = Dropdown(label="Fruit salad", button_type="danger", menu=MENU, split=True, name="split")
checkboxes = CheckboxGroup(labels=NAMES, active=[0], name="checkboxes")
radios = RadioGroup(labels=NAMES, active=0, name="radios")
checkbox_buttons = CheckboxButtonGroup(labels=NAMES, active=[0, 1], name="checkbox_buttons")
radio_buttons = RadioButtonGroup(labels=NAMES, active=0, name="radio_buttons")
said = Div(text="Nothing was pressed yet.", name="said")


def say(text):
    print(text, flush=True)
    said.text = text


button.on_click(lambda: say("button: pushed"))
dropdown.on_click(lambda event: say(f"dropdown: {event.item}"))
split.on_event(ButtonClick, lambda event: say("split: pushed"))
split.on_event(MenuItemClick, lambda event: say(f"split: {event.item}"))
for widget in (toggle, switch, checkboxes, radios, checkbox_buttons, radio_buttons):
    widget.on_change("active", lambda attr, old, new, name=widget.name: say(f"{name}: {new}"))

widgets = [button, toggle, switch, dropdown, split, checkboxes, radios, checkbox_buttons, radio_buttons]
show(column(said, *widgets, width=320))
cursession().poll_document(curdoc())
