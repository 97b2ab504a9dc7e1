"""The HTML report of a backtest: whole, escaped, true to its Result, and small."""

import json
import re
from dataclasses import fields, replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.backtest.grids import Grid
from fundingdb.backtest.result import FIGURES, Result
from fundingdb.charts.axis import scale, time_marks
from fundingdb.charts.text import number, safe
from fundingdb.charts.thin import strokes, thinned
from fundingdb.report import grid_html, html
from tests.results import HOUR, SCHEMAS, START, empty, result

VOID = {"meta", "link", "br", "hr", "img", "input"}
SMALL = result(hours=72, trades=6, assets=3, exchanges=3)


class Page(HTMLParser):
    """Elements, their attributes and texts; fails where an element is closed that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.elements, self.cells = [], [], []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append("")
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.cells and {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def grid(axes: dict[str, list[float | None]]) -> Grid:
    rows = pl.DataFrame({name: pl.Series(values) for name, values in axes.items()})
    figures = {name: pl.Series([float(n) for n in range(len(rows))]) for name in FIGURES}
    return Grid(SMALL.settings, "abc", rows.with_columns(**figures), ("a warning",))


PAGES = {
    "a run": lambda: html(SMALL),
    "no trades": lambda: html(empty()),
    "a grid": lambda: grid_html(
        grid({"entry_apr": [0.1, 0.2, 0.1, 0.2], "exit_apr": [0.0, 0.0, 0.05, 0.05]})
    ),
    "one axis": lambda: grid_html(grid({"max_pairs": [1.0, None]})),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_page_is_balanced_and_names_each_part_once(page):
    read = Page(page())
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"].removeprefix("#") for a in read.all("a")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_no_page_asks_for_anything_from_anywhere(page):
    text = page()
    read = Page(text)
    policy = next(m["content"] for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [attrs for _, attrs in read.elements if {"src", "srcset", "style"} & set(attrs)]
    assert not [attrs for _, attrs in read.elements if any(name.startswith("on") for name in attrs)]
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in text
    assert "url(" not in text


def test_warnings_come_before_every_figure():
    page = html(replace(SMALL, warnings=("first of all",)))
    assert page.index("first of all") < page.index("<nav") < page.index("<data")


def test_every_figure_stands_on_the_page_with_its_exact_value_and_unit():
    shown = {d["id"].removeprefix("figure-"): d for d in Page(html(SMALL)).all("data")}
    assert list(shown) == list(FIGURES)
    for name, value in SMALL.summary.items():
        assert ("value" in shown[name]) == (value is not None)
        if value is not None:
            assert float(shown[name]["value"]) == value
    page = html(
        replace(SMALL, summary=SMALL.summary | {"net_usd": -1234.5, "net_apr": 0.0456, "win_rate": None})
    )
    assert "\N{MINUS SIGN}1,234.50 <small>USD</small>" in page
    assert "4.56 <small>% a year</small>" in page
    assert '<data id="figure-win_rate">unknown</data>' in page


def test_every_parameter_and_the_whole_fingerprint_are_told():
    page = html(replace(SMALL, settings=replace(SMALL.settings, tokens=("BTC", "KAITO"), slippage_bps=2.5)))
    cells = Page(page).cells
    assert {f.name for f in fields(SMALL.settings)} <= set(cells)
    assert cells[cells.index("tokens") + 1] == "BTC, KAITO"
    assert cells[cells.index("slippage_bps") + 1] == "2.5 basis points"
    assert cells[cells.index("entry_apr") + 1] == "20.00 % a year"
    assert SMALL.fingerprint in page


def test_every_trade_and_decision_is_in_the_tables():
    cells = Page(html(SMALL)).cells
    for trade in SMALL.trades.iter_rows(named=True):
        at = f"{trade['entered_at']:%Y-%m-%d %H:%M}"
        assert any(
            cells[n - 5 : n]
            == [
                *(number(trade[k], sign=True) for k in ("net_usd", "funding_usd", "fees_usd")),
                *markets(trade),
            ]
            for n, cell in enumerate(cells)
            if cell == at
        )
    assert sum(cell in {"enter", "exit"} for cell in cells[cells.index("reason") :]) == len(SMALL.decisions)


def markets(trade):
    return [f"{trade[f'{leg}_exchange']} {trade[f'{leg}_symbol']}" for leg in ("long", "short")]


def test_a_table_that_is_incomplete_says_how_much_is_left_out_and_what_it_sums_to():
    many = result(hours=400, trades=1003, assets=3, exchanges=3)
    page = html(many)
    left = many.trades.sort(pl.col("net_usd").abs())["net_usd"][:3].sum()
    assert "3 of 1,003 trades are left out" in page
    assert f"{number(left, sign=True)} USD net in all" in page
    assert "2,006 decisions: 1,003 enter, 1,003 exit. The table leaves out 1,006" in page


def test_skips_leave_the_log_before_decisions_that_move_money():
    skip = (START, "skip", "crypto", "BTC", "extended", "lighter", 0.3, "3 pairs are open")
    skips = pl.DataFrame([skip] * 1500, schema=SCHEMAS["decisions"], orient="row")
    cells = Page(html(replace(SMALL, decisions=pl.concat([skips, SMALL.decisions])))).cells
    assert cells.count("enter") == cells.count("exit") - 1 == 6  # and the heading of the trades' exit
    assert cells.count("skip") == 1000 - 12


def test_an_empty_run_says_that_nothing_was_traded_and_why():
    page = html(empty())
    assert "No trade was made: entry asks for a known spread of 20.00 % a year" in page
    assert "No asset had a known rate on two exchanges" in page
    heat = [("extended", "crypto", "IP", -0.01, 24), ("lighter", "crypto", "IP", 0.07, 24)]
    page = html(empty(heat=pl.DataFrame(heat, schema=SCHEMAS["heat"], orient="row")))
    assert "furthest apart for IP: extended below lighter by 8.00 % a year" in page


@pytest.mark.slow
def test_a_year_of_200_assets_on_20_exchanges_stays_below_2_megabytes():
    assert len(html(result(hours=8760, trades=2000, assets=200, exchanges=20)).encode()) < 2_000_000


def test_the_same_result_gives_the_same_page():
    assert html(SMALL) == html(result(hours=72, trades=6, assets=3, exchanges=3))


HOSTILE = st.one_of(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</style><b>",
            "\"' onload=x",
            "&amp;",
            "--><!--",
            "\u202eABC",
            "a\0b",
            "\ud800",
        ]
    ),
    st.text(max_size=20),
)


@settings(max_examples=25)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_names_from_outside_stay_text(base, exchange, words):
    storable = base.encode(errors="replace").decode(), exchange.encode(errors="replace").decode()
    plain = Page(html(named(SMALL, "BASE", "exchange", "words")))
    hostile = Page(html(named(SMALL, *storable, words)))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [set(attrs) for _, attrs in hostile.elements] == [set(attrs) for _, attrs in plain.elements]
    assert html(named(SMALL, *storable, words)).encode()


def named(run: Result, base: str, exchange: str, words: str) -> Result:
    swaps = {
        "base": base,
        "long_exchange": exchange,
        "short_symbol": base,
        "exchange": exchange,
        "reason": words,
    }
    swaps["reason"] = words.encode(errors="replace").decode()
    frames = {}
    for name in SCHEMAS:
        frame = getattr(run, name).head(1)
        columns = [pl.lit(v).alias(k) for k, v in swaps.items() if k in frame.columns]
        frames[name] = frame.with_columns(columns)
    asked = replace(run.settings, fees=words, tokens=(base,))
    return replace(run, settings=asked, warnings=(words,), fingerprint=words, **frames)


@settings(max_examples=30)
@given(st.text(max_size=20))
def test_hidden_and_turning_characters_are_spelled_out(text):
    shown = safe(text)
    assert not set(shown) & set("<>\"'\0\n\u202e\u200b")
    shown.encode()


VALUES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=400)


@given(VALUES, st.integers(10, 120))
def test_a_thinned_curve_keeps_its_ends_and_extremes_and_never_bridges_a_gap(values, most):
    curve = np.array([np.nan if v is None else v for v in values], dtype=float)
    kept = thinned([curve], most)
    assert len(kept) <= max(most, 5)
    assert (np.diff(kept) > 0).all()
    assert {0, len(curve) - 1} <= set(kept.tolist())
    drawn = [n for stroke in strokes(curve, kept) for n in stroke]
    if (~np.isnan(curve)).any():
        assert {np.nanmin(curve), np.nanmax(curve)} <= set(curve[drawn])
    for stroke in strokes(curve, kept):
        assert not np.isnan(curve[stroke[0] : stroke[-1] + 1]).any()


def test_an_unthinned_curve_is_drawn_in_every_known_hour_and_nowhere_else():
    curve = np.array([1.0, np.nan, 2.0, 3.0, np.nan, np.nan, 4.0])
    assert [s.tolist() for s in strokes(curve, thinned([curve], 100))] == [[0], [2, 3], [6]]


def test_a_missing_hour_is_a_gap_in_the_drawn_spread_and_null_in_its_read_out():
    hours = [START + n * HOUR for n in range(6)]
    rows = [(at, "crypto", "BTC", "a", "b", 0.1 if n != 4 else None) for n, at in enumerate(hours) if n != 2]
    spreads = pl.DataFrame(rows, schema=SCHEMAS["spreads"], orient="row")
    page = html(replace(SMALL, spreads=spreads, settings=replace(SMALL.settings, end=START + 6 * HOUR)))
    part = page[page.index('<section id="spreads">') :]
    path = re.search(r'<path class="curve spread" d="([^"]*)"', part).group(1)
    assert path.count("M") == 3  # hours 0-1, 3, 5
    points = json.loads(re.search(r'<script type="application/json">(.*?)</script>', part).group(1))
    assert points == {"t": [0, 1, 2, 3, 4, 5], "v": [[10, 10, None, 10, None, 10]]}


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_an_axis_holds_its_values_and_zero_between_few_even_marks(a, b):
    axis = scale(min(a, b), max(a, b))
    nearly = 1e-8 * (axis.high - axis.low)
    assert axis.low <= min(a, b, 0) + nearly
    assert axis.high >= max(a, b, 0) - nearly
    assert 0 in axis.ticks
    assert 2 <= len(axis.ticks) <= 9
    assert len({axis.label(t) for t in axis.ticks}) == len(axis.ticks)


@given(st.integers(0, 40_000), st.integers(1, 60_000))
def test_marks_of_time_are_few_and_their_texts_never_overlap(offset, hours):
    start = START + offset * HOUR
    for width, needs in ((240, (0,)), (430, (0, 430))):
        marks = time_marks(start, start + hours * HOUR)
        assert len(marks) <= 9
        ends = -13.0
        for mark in (m for m in marks if m.needs in needs):
            wide = 6.8 * len(mark.label)
            left = mark.share * width - {"first": 0, "mid": wide / 2, "last": wide}[mark.anchor]
            assert left > ends
            ends = left + wide
        assert ends <= width + 13


def test_marks_of_time_say_day_and_year_where_these_begin():
    labels = [m.label for m in time_marks(START + timedelta(hours=20), START + timedelta(hours=32))]
    assert labels == ["8 Mar 2025 20:00", "22:00", "9 Mar 00:00", "02:00", "04:00", "06:00", "08:00"]
    assert [m.label for m in time_marks(START, START + timedelta(days=365))] == [
        *("May 2025", "Jul", "Sep", "Nov", "Jan 2026", "Mar"),
    ]


def test_a_figure_has_a_real_minus_and_no_minus_zero():
    assert number(-1234.5) == "\N{MINUS SIGN}1,234.50"
    assert number(-0.001) == "0.00"
    assert number(3.0, sign=True) == "+3.00"
    assert number(float("nan")) == number(None) == "unknown"


def test_small_money_is_never_written_as_zero():
    small = SMALL.trades.with_columns(net_usd=pl.lit(-0.00042))
    page = html(replace(SMALL, trades=small, summary=SMALL.summary | {"net_usd": 0.00123}))
    assert Page(page).cells.count("\N{MINUS SIGN}0.00042") == len(small)
    assert "0.0012 <small>USD</small>" in page


def test_a_rare_peak_leaves_the_axis_and_the_page_says_so():
    hours = [START + n * HOUR for n in range(1000)]
    rows = [(at, "crypto", "BTC", "a", "b", 9.0 if n == 500 else 0.1) for n, at in enumerate(hours)]
    spreads = pl.DataFrame(rows, schema=SCHEMAS["spreads"], orient="row")
    page = html(replace(SMALL, spreads=spreads, settings=replace(SMALL.settings, end=hours[-1])))
    assert "Above the axis in 1 hour; highest 900.00 % a year at 2025-03-28 20:00 UTC." in page


def test_a_grid_says_which_points_were_not_run_and_which_is_best():
    page = grid_html(grid({"entry_apr": [0.1, 0.2, 0.2], "exit_apr": [0.0, 0.0, 0.15]}))
    cells = Page(page).cells
    assert "not run" in cells
    assert "entry 20.0\N{NO-BREAK SPACE}%; exit 15.0\N{NO-BREAK SPACE}%." in page
    assert cells[cells.index("entry_apr") + 1] == "varies"


STYLE = re.search(r"<style>(.*?)</style>", html(SMALL), re.DOTALL).group(1)
LIGHT, DARK = (
    dict(re.findall(r"--(\w+): (#\w{3,6})\b", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_curves_stand_out_as_wcag_aa_asks(colours):
    texts = [(ink, back) for ink in ("ink", "soft") for back in ("page", "card")]
    texts += [("link", "page"), ("gain", "page"), ("loss", "page"), ("ink", "alert")]
    texts += [("on", f"h{n}") for n in ("0", *(f"{side}{n}" for side in "pm" for n in range(1, 5)))]
    graphs = [(c, "page") for c in ("net", "long", "short", "fees", "loss", "zero", "edge")] + [
        ("net", "fees")
    ]
    for least, pairs in ((4.5, texts), (3.0, graphs)):
        for a, b in pairs:
            low, high = sorted((luminance(colours[a]), luminance(colours[b])))
            assert (high + 0.05) / (low + 0.05) >= least, (a, b)
