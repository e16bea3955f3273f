"""The charts of the report: figures as specifications of Vega-Lite, each with its data.

All charts show the domain that the page's picker names: their parameter `domain` is bound to it.
Colours are CSS variables of the page, so that light and dark are the same chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

import altair as alt

from link_assets.defs.domain_names import DomainNames, one_line
from link_assets.warehouse.click_figures import ALL, Count, Leader
from link_assets.warehouse.report_figures import LEADING, ReportFigures

ALL_KEY = "all"
PICKER = "#domain"
PEOPLE, OTHERS = "people", "bots and unknown"
LONGEST = 100
"""How many characters of a text from the API are shown."""
BAR = 24
DAY_MS = 86_400_000
CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "orient": "top",
        "columnPadding": 16,
    },
}


def domain_key(domain: int | None) -> str:
    """Return the picker's value for a domain, or for all."""
    return ALL_KEY if domain is ALL else str(domain)


def chart_specifications(figures: ReportFigures, names: DomainNames) -> Mapping[str, Any]:
    """Return the Vega-Lite of each chart by the id of its place on the page."""
    drawn = {
        "series": _over_time(figures),
        "domains": _bars([_bars_row(ALL, _domains(figures, names))]),
        **{
            name: _bars(
                [
                    _bars_row(of, _named(best, of if name == "links" else ALL))
                    for of, best in listed.items()
                ]
            )
            for name, listed in figures.leading.items()
        },
    }
    return {name: chart.configure(**CONFIG).to_dict() for name, chart in drawn.items()}


def _over_time(figures: ReportFigures) -> alt.Chart:
    """Return the bars of people and of others, a day or a week each."""
    period = figures.period
    start = int(datetime.combine(period.first, time(), UTC).timestamp()) * 1000
    width = period.step * DAY_MS
    rows = [_counts_row(of, counts) for of, counts in figures.series.items()]
    unit = "day" if period.step == 1 else "week of"
    days = alt.Axis(format="%-d %b %Y", grid=False, labelOverlap=True, labelFlush=True)
    return (
        _of_domain(rows)
        .transform_flatten([PEOPLE, OTHERS])
        .transform_window(point="row_number()")
        .transform_calculate(start=f"{start} + (datum.point - 1) * {width}")
        .transform_calculate(end=f"datum.start + {width}")
        .transform_calculate(day="utcFormat(datum.start, '%Y-%m-%d')")
        .transform_fold([PEOPLE, OTHERS], as_=["by", "clicks"])
        .transform_calculate(low=f"datum.by === '{PEOPLE}' ? 0 : datum.{PEOPLE}")
        .transform_calculate(high="datum.low + datum.clicks")
        .mark_rect()
        .encode(
            x=alt.X("start:T", scale=alt.Scale(type="utc"), title=None, axis=days),
            x2="end:T",
            y=alt.Y("low:Q", title=None, axis=_counting_axis()),
            y2="high:Q",
            color=_colour(alt.Legend(title=None)),
            tooltip=[alt.Tooltip("day:N", title=unit), *_count_tooltips()],
        )
        .properties(height=240)
    )


def _bars(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return horizontal bars of names, those with most clicks first."""
    # as wide as the place allows: a fixed limit would leave a telephone no bars
    labels = alt.Axis(
        labelLimit=alt.ExprRef("containerSize()[0] * 0.45"), ticks=False, domain=False
    )
    return (
        _of_domain(rows)
        .transform_flatten(["name", "title", PEOPLE, OTHERS])
        .transform_fold([PEOPLE, OTHERS], as_=["by", "clicks"])
        .encode(
            x=alt.X("clicks:Q", title=None, axis=_counting_axis()),
            y=alt.Y("name:N", sort=None, title=None, axis=labels),
            color=_colour(None),
            tooltip=[alt.Tooltip("name:N"), alt.Tooltip("title:N"), *_count_tooltips()],
        )
        .properties(height=alt.Step(BAR))
    )


def _of_domain(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return a chart of the one row whose domain is picked."""
    picked = alt.param(name="domain", bind=alt.BindDirect(element=PICKER, event="change"))
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .add_params(picked)
        .transform_filter("datum.domain === domain")
        .properties(width="container")
    )


def _colour(legend: alt.Legend | None) -> alt.Color:
    scale = alt.Scale(domain=[PEOPLE, OTHERS], range=["var(--people)", "var(--others)"])
    return alt.Color("by:N", scale=scale, legend=legend)


def _counting_axis() -> alt.Axis:
    # 0 would be labelled as 0k beside 5k
    label = "datum.value === 0 ? '0' : datum.label"
    return alt.Axis(
        format="~s", labelExpr=label, tickMinStep=1, tickCount=5, domain=False, ticks=False
    )


def _count_tooltips() -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", format=",") for name in (PEOPLE, OTHERS)]


def _counts_row(domain: int | None, counts: Sequence[Count]) -> dict[str, Any]:
    return {
        "domain": domain_key(domain),
        PEOPLE: [count.people for count in counts],
        OTHERS: [count.others for count in counts],
    }


def _bars_row(domain: int | None, leaders: Iterable[Leader]) -> dict[str, Any]:
    """Return a domain's bars; those that read alike are one."""
    bars: dict[str, Leader] = {}
    for leader in leaders:
        shown = one_line(leader.name or "", LONGEST)
        before = bars.get(shown, Leader(shown, Count())).counted
        counted = Count(*map(sum, zip(before, leader.counted, strict=True)))
        bars[shown] = Leader(shown, counted, one_line(leader.title or "", LONGEST))
    return {
        **_counts_row(domain, [bar.counted for bar in bars.values()]),
        "name": list(bars),
        "title": [bar.title for bar in bars.values()],
    }


def _named(leaders: Iterable[Leader], domain: int | None) -> Iterator[Leader]:
    """Yield leaders that have a name, with the name that is shown."""
    for leader in leaders:
        if leader.name is not None:
            yield leader._replace(name=_short_url(leader.name, domain))


def _short_url(url: str, domain: int | None) -> str:
    """Return a URL without its scheme, and without its host among links of one domain."""
    _, scheme, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return (slash + path if domain is not ALL else rest) if scheme and host else url


def _domains(figures: ReportFigures, names: DomainNames) -> list[Leader]:
    return [Leader(names.of(of), figures.totals[of]) for of in figures.listed[:LEADING]]
