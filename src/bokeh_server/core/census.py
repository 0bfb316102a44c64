"""What a document shows, in a few words for lists, told from the names of its models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

TYPES = {
    "plot": "Figure Plot figure GMap GMapPlot",
    "table": "DataTable DataCube",
    "widget": (
        "AutocompleteInput Button ButtonGroup CheckboxButtonGroup CheckboxGroup ColorPicker DatePicker DateRangePicker "
        "DateRangeSlider DateSlider DatetimePicker DatetimeRangePicker DatetimeRangeSlider Dropdown FileInput "
        "MultiChoice MultiSelect MultipleDatePicker NumericInput PaletteSelect PasswordInput RadioButtonGroup "
        "RadioGroup RangeSlider Select Slider Spinner Switch TextAreaInput TextInput TimePicker Toggle Checkbox "
        "CategoricalSlider HelpButton"
    ),
    "text": "Div Paragraph PreText",
}
KINDS = {name: kind for kind, names in TYPES.items() for name in names.split()}
COUNTED = ("plot", "table", "widget")


def census(names: Iterable[str], *, empty: bool) -> str:
    """Models of these names, in words: "2 plots, 1 table, 3 widgets"; "text" where that is all there is.

    ``empty`` says that the document has no roots.
    """
    counts = Counter(KINDS[name] for name in names if name in KINDS)
    words = [f"{n} {kind}{'s' if n > 1 else ''}" for kind in COUNTED if (n := counts[kind])]
    return ", ".join(words) or ("text" if counts["text"] else "" if empty else "other content")
