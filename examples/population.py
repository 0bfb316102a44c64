"""Choose a year and a country: this program draws the age pyramid and the population over time."""

import numpy as np
from bokeh.models import NumeralTickFormatter, Select
from bokeh_sampledata.population import data

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, row, show

data["Age"] = data.AgeGrp.str.replace("-", "–")
AGES = list(data.sort_values("AgeGrpStart").Age.unique())

year = Select(title="Year", value="2010", options=[str(y) for y in sorted(data.Year.unique())], name="year")
country = Select(title="Country", value="World", options=sorted(data.Location.unique()), name="country")
ages = ColumnDataSource(dict(age=[], men=[], women=[]), name="ages")
years = ColumnDataSource(dict(year=[], known=[], forecast=[]))

output_server("population")

pyramid = figure(width=600, height=450, y_range=AGES, x_axis_label="share of the population")
pyramid.hbar(y="age", left="men", right=0, height=0.8, source=ages, color="#5e87b0", legend_label="men")
pyramid.hbar(y="age", left=0, right="women", height=0.8, source=ages, color="#c5756a", legend_label="women")
pyramid.xaxis.formatter = NumeralTickFormatter(format="0%")

history = figure(width=600, height=220, x_axis_label="year", y_axis_label="people")
history.line("year", "known", source=years, line_width=2, color="#5a9367", legend_label="known")
history.line(
    "year", "forecast", source=years, line_width=2, line_dash="dashed", color="#9d6c9f", legend_label="forecast"
)
history.yaxis.formatter = NumeralTickFormatter(format="0.0a")
history.legend.location = "top_left"


def update(attr, old, new):
    here = data[data.Location == country.value]
    now = here[here.Year == int(year.value)]
    men, women = (now[now.Sex == sex].sort_values("AgeGrpStart").Value.to_numpy() for sex in ("Male", "Female"))
    total = men.sum() + women.sum()
    ages.data = dict(age=AGES[: len(men)], men=-men / total, women=women / total)
    pyramid.title.text = f"{country.value}, {year.value}: {total:,.0f} people"

    people = here.groupby("Year").Value.sum()
    known = people.index <= 2010
    years.data = dict(
        year=people.index.to_numpy(),
        known=np.where(known, people, np.nan),
        forecast=np.where(~known | (people.index == 2010), people, np.nan),
    )


year.on_change("value", update)
country.on_change("value", update)
update(None, None, None)

show(column(row(year, country), pyramid, history))
cursession().poll_document(curdoc())
