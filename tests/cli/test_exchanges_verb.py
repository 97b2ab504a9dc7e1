"""`fundingdb exchanges`: one table made from the code, and the same on the page of the manual."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fundingdb.cli import exchanges, main
from fundingdb.fetchers.registry import BUILT_IN, fetcher, names

PAGE = (Path(__file__).resolve().parents[2] / "fundingdb/manual/exchanges.md").read_text()


def printed(capsys, *words):
    assert main(["exchanges", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture
def rows(capsys):
    return {row["exchange"]: row for row in map(json.loads, printed(capsys, "--json").splitlines())}


def test_every_source_has_one_row_in_their_order(rows):
    assert tuple(rows) == names()


def test_the_manual_has_the_table_as_the_code_makes_it(capsys):
    assert f"\n{exchanges.markdown()}\n" in PAGE, "run: fundingdb exchanges --markdown"
    assert printed(capsys, "--markdown") == exchanges.markdown() + "\n"
    assert PAGE.count("| `hyperliquid` |") == 1


def test_a_row_agrees_with_the_fetcher(rows):
    for name, row in rows.items():
        source = fetcher(name)
        assert (row["history"] is None) == (source.history is None)
        assert row["live"] == (source.live is not None)
        assert (row["unit"], row["interval"], row["checked"]) == (
            source.unit,
            source.interval,
            source.checked,
        )
    assert {n for n, row in rows.items() if row["history"] is None} == {"coingecko", "variational"}
    assert {n for n, row in rows.items() if not row["current"]} == {"drift"}
    assert {n for n, row in rows.items() if row["live"]} == {"extended", "lighter", "hyperliquid"}


@pytest.mark.parametrize(
    ("name", "cap", "order", "limit"),
    [
        ("hyperliquid", 500, "oldest", "1,200 weight a minute, history 57"),
        ("lighter", 749, "newest", "60 a minute"),
        ("bybit", 200, "newest", "400 in 5 s"),
        ("binance", 1000, "oldest", "500 in 5 minutes"),
        ("edgex", 100, "newest", "4 a second"),
        ("nado", 1000, "oldest", "400 weight in 10 s, history 33"),
        ("backpack", 1000, "newest", "2,000 weight a minute, history 30"),
        ("pacifica", 4000, "newest", "100 weight a minute, history 1"),
        ("drift", None, "day", "60 a minute"),
        ("variational", None, None, "10 in 10 s"),
    ],
)
def test_cap_order_and_limit_as_declared(rows, name, cap, order, limit):
    row = rows[name]
    assert (row["cap"], row["order"], row["limit"]) == (cap, order, limit)


def test_the_cap_is_the_number_of_rows_that_requests_name(rows):
    """Where a request names a number of rows, it is the cap of the table."""
    from tests.fetchers.test_recorded_answers import PLAIN, WINDOW

    limits = {}
    for name in BUILT_IN:
        source = fetcher(name)
        if source.history is not None and name in PLAIN:
            market = replace(source.market(PLAIN[name]), native_id="1")
            request = source.history.request(market, WINDOW, None)
            given = dict(request.params) | (request.json if isinstance(request.json, dict) else {})
            given |= given.get("funding_rate_history", {})
            limits[name] = given.get("limit", given.get("size"))
    assert {n for n, limit in limits.items() if limit} > {"bybit", "dydx", "edgex", "nado", "pacifica"}
    for name, limit in limits.items():
        assert limit is None or int(limit) == rows[name]["cap"], name


def test_each_built_in_source_states_its_evidence(rows, shared):
    recorded = {p.name for p in (shared / "venues/payloads").iterdir() if p.is_dir()}
    folders = {"velocity": "drift", "edgex": "edgex-v2"}
    for name in BUILT_IN:
        kind = rows[name]["evidence"].split(";")[0]
        assert kind in ("recorded", "documented", "inferred")
        if kind == "recorded":
            assert folders.get(name, name) in recorded
    assert {n for n in BUILT_IN if rows[n]["evidence"].startswith("documented")} == {
        "binance-coinm",
        "coingecko",
    }


def test_for_people_it_is_a_table(capsys):
    lines = [line for line in printed(capsys).splitlines() if line.strip()]
    assert lines[0].split()[:3] == ["exchange", "history", "current"]
    assert len(lines) == 2 + len(names())


def test_a_source_that_states_no_evidence_shows_none(monkeypatch):
    plain = replace(fetcher("dydx"), evidence="")
    monkeypatch.setattr("fundingdb.fetchers.registry.fetcher", lambda _name: plain)
    assert set(exchanges.table()["evidence"]) == {None}
