"""The report in a real browser: quiet, offline, whole at the width of a phone, with and without scripts."""

from dataclasses import replace

import polars as pl
import pytest

from fundingdb.backtest.grids import Grid
from fundingdb.backtest.result import FIGURES
from fundingdb.charts.text import number
from fundingdb.report import grid_html, html
from tests.report.browser import CHROMIUM, browser
from tests.results import empty, result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium"),
]
LONG = "A" * 70 + "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    place = tmp_path_factory.mktemp("pages")
    run = result(hours=24 * 40, trades=30, assets=14, exchanges=5)
    texts = {
        "run": html(run),
        "long names": html(
            replace(
                run,
                trades=run.trades.with_columns(base=pl.lit(LONG), long_symbol=pl.lit(LONG)),
                spreads=run.spreads.with_columns(base=pl.lit(LONG)).unique("hour_at"),
                heat=run.heat.with_columns(base=pl.lit(LONG)),
                warnings=(LONG * 3,),
            )
        ),
        "no trades": html(empty()),
        "grid": grid_html(many_points()),
    }
    for name, text in texts.items():
        (place / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: place / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def many_points() -> Grid:
    points = pl.DataFrame({"entry_apr": [0.1, 0.2] * 10, "exit_apr": [n / 100 for n in range(20)]})
    figures = {name: pl.Series([n / 7 for n in range(20)]) for name in FIGURES}
    return Grid(empty().settings, "abc", points.with_columns(**figures), ())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["run", "long names", "no trades", "grid"])
def test_a_page_is_quiet_offline_and_no_wider_than_its_window(tab, pages, name, width, scheme):
    tab.open(pages[name], width, scheme=scheme)
    assert tab.told == []
    assert tab.asked == [pages[name].as_uri()]
    assert tab.value("document.documentElement.scrollWidth") <= width
    background = tab.value("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 22, 26)"}[scheme]


def test_the_policy_lets_nothing_out(tab, pages):
    tab.open(pages["run"], 800)
    tab.value("fetch('http://127.0.0.1:9/x').catch(() => {})")
    tab.value("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/y.png'}))")
    assert tab.value("document.querySelectorAll('img').length") == 1
    assert "Content Security Policy" in str(tab.told)


def test_charts_and_tables_stand_without_scripts(tab, pages):
    tab.open(pages["run"], 800, scripts=False)
    shown = "[...document.querySelectorAll('.curve, tbody tr')].filter((e) => e.getBoundingClientRect().height > 0).length"
    assert tab.value(shown) > 50
    assert tab.value("document.querySelectorAll('th button').length") == 0


def test_the_pointer_reads_the_value_under_it(tab, pages):
    tab.open(pages["run"], 1000)
    tab.value("document.querySelector('#equity .xy').scrollIntoView()")
    box = tab.value(
        "(({x, y, width}) => [x, y, width])(document.querySelector('#equity .xy').getBoundingClientRect())"
    )
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] / 2, y=box[1] + 50)
    run = result(hours=24 * 40, trades=30, assets=14, exchanges=5)
    middle = run.equity.row(480, named=True)
    told = tab.value("document.querySelector('#equity .tip').innerText").splitlines()
    assert told[0] == f"{middle['hour_at']:%Y-%m-%d %H:%M} UTC"
    assert told[3] == f"equity (net, summed): {number(middle['equity_usd'])} USD"


def test_a_click_on_a_heading_sorts_the_trades(tab, pages):
    tab.open(pages["run"], 1000)
    tab.value("document.querySelectorAll('#trades th button')[1].click()")
    cells = tab.value("[...document.querySelectorAll('#trades tbody tr')].map((r) => r.cells[1].textContent)")
    figures = [float(c.replace("\N{MINUS SIGN}", "-").replace(",", "")) for c in cells]
    assert figures == sorted(figures, reverse=True)
    assert len(figures) == 30
    assert tab.value("document.querySelectorAll('#trades th')[1].ariaSort") == "descending"
