"""The four whole programs of the manual run word for word against the simulator, taken from the pages that show them."""

import ast
import asyncio
import functools
import inspect
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import fundingdb
from fundingdb.lake import Lake
from fundingdb.simulator import Simulator, World

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "fundingdb" / "manual" / "python.md", ROOT.parent / "shared" / "plan.md"]
TEN = ("KAITO", "IP", "GRASS", "ZEC", "APT", "SUI", "TRUMP", "LDO", "OP", "SEI")
AT = datetime(2025, 10, 20, 12, 30, tzinfo=UTC)


class Clock:
    """A present that only sleeping moves, five days at a time: a machine that is suspended in between."""

    def __init__(self):
        self.at = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)

    def now(self):
        return self.at

    async def sleep(self, _seconds):
        self.at += timedelta(days=5)


def examples(page: Path) -> list[str]:
    """The programs that begin with `# 1. ` to `# 4. ` in the page's blocks of Python."""
    blocks = "".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    return [p for p in re.split(r"^(?=# \d\. )", blocks, flags=re.MULTILINE) if re.match(r"# [1-4]\. ", p)]


def run(program: str, names: dict) -> None:
    """Run a program with `await` at its top level, as a notebook does."""
    code = compile(program, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def main():
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result

    asyncio.run(main())


@pytest.fixture(scope="module")
def simulator():
    with Simulator(World(tokens=TEN)) as running:
        yield running


@pytest.fixture
def home(simulator, tmp_path, monkeypatch):
    for name, value in simulator.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FUNDINGDB_WAREHOUSE", str(tmp_path / "warehouse"))
    return tmp_path / "warehouse"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    collector = functools.partial(fundingdb.FundingRateCollector, now=clock.now, sleep=clock.sleep)
    monkeypatch.setattr(fundingdb, "FundingRateCollector", collector)
    return clock


def autumn():
    """The payments of KAITO on both exchanges that example 4 reads, saved in the lake."""

    async def work():
        frames = []
        for name in ("extended", "lighter"):
            async with fundingdb.source(name) as one:
                frames.append(await one.get_historical_funding_rates("KAITO", "2025-10-01", "2025-11-05"))
                fundingdb.FundingRateCollector(one).save_snapshot(frames[-1])
        return pl.concat(frames)

    return asyncio.run(work())


def test_all_pages_show_the_same_four_programs():
    # the formatter breaks lines in the manual, so the trees are compared
    shown = [[ast.dump(ast.parse(p)) for p in examples(page)] for page in PAGES if page.is_file()]
    assert all(len(programs) == 4 and programs == shown[0] for programs in shown)


def test_the_four_programs_of_the_plan_run_word_for_word(simulator, home, clock):
    pages = [page for page in PAGES if page.is_file()]
    if not pages:
        pytest.skip("no page with the programs is here")
    programs = examples(pages[-1])
    names = {"timestamp": AT}
    run(programs[0], names)
    rows = Lake(home).scan("funding").collect()
    assert rows["base"].unique().sort().to_list() == sorted(TEN)
    assert rows.group_by("base").len()["len"].is_between(90 * 24 - 1, 90 * 24 + 1).all()

    began = clock.at
    run(programs[1], names)
    shown = Lake(home).scan("snapshots").collect()
    assert clock.at - began == timedelta(days=30)
    assert set(shown.select("exchange", "source").rows()) == {
        ("extended", "coingecko"),
        ("lighter", "coingecko"),
    }
    assert set(shown["base"]) == {"KAITO", "IP", "GRASS"}
    assert shown.group_by("exchange", "base").len()["len"].to_list() == [6] * 6  # 30 days, a round each fifth
    assert not names["coingecko"].started

    run(programs[2], names)
    assert clock.at - began == timedelta(days=35)
    mine = Lake(home).scan("snapshots").filter(source="extended").collect()
    assert sorted(mine["base"]) == ["GRASS", "IP", "KAITO"]  # 24 hours end before the machine wakes
    assert not names["extended"].started

    payments = autumn()
    run(programs[3], names)
    known = payments.filter(funding_time=AT - timedelta(minutes=30))
    rates = dict(known.select("exchange", pl.col("funding_rate") / pl.col("interval_hours")).rows())
    assert names["rate"] == pytest.approx(rates["extended"], rel=1e-12)
    assert names["spread"] == pytest.approx(rates["extended"] - rates["lighter"], rel=1e-12)
