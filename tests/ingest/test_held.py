"""What the gate holds: kept apart, listed, released or dropped, and never in the way of the rows that follow."""

from datetime import timedelta

import polars as pl
import pytest

from fundingdb.catalog.doctor import examine
from fundingdb.cli import main
from fundingdb.ingest import held
from fundingdb.ingest.guard import bounded
from fundingdb.ingest.ledger import Attempt, walked
from fundingdb.lake import Lake
from fundingdb.schema import MARKETS, SNAPSHOTS
from fundingdb.transport.walk import Fetched
from fundingdb.window import HOUR, Window
from tests.ingest.test_continuity import BASE, T0, calm, exchange, frame

NOW = T0 + timedelta(days=60)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def store(lake, rows, at=NOW):
    """Store rows as a batch does; the lines of the report."""
    passed = held.examined(lake, rows, at)
    lake.upsert("funding", passed.rows)
    return held.lines([passed.verdicts])


def stored(lake, symbol="BTC"):
    return lake.scan("funding").filter(pl.col("symbol") == symbol).sort("funding_time").collect()


def states(lake):
    return dict(lake.scan("held").collect().group_by("state").len().iter_rows())


def test_rows_in_another_unit_are_kept_apart_and_named_and_the_other_markets_go_on(lake):
    store(lake, pl.concat([frame(calm(504)), frame(calm(504, seed=9), symbol="ETH")]))
    bad = frame([r * 8 for r in calm(48, seed=2)], start=504)
    (line,) = store(lake, pl.concat([bad, frame(calm(48, seed=4), symbol="ETH", start=504)]))
    assert line.startswith("held: hyperliquid: factor x8: BTC, since 2026-01-26 00:00: ")
    assert line.endswith("see 'fundingdb release hyperliquid'")
    assert (stored(lake).height, stored(lake, "ETH").height) == (504, 552)
    apart = held.waiting(lake)
    assert apart["funding_rate"].to_list() == bad["funding_rate"].to_list()
    assert apart["reason"].unique().to_list() == ["factor x8"]


def test_a_whole_exchange_in_another_unit_is_one_line(lake):
    store(lake, exchange(lambda seed: calm(504, seed)))
    (line,) = store(lake, exchange(lambda seed: [calm(1, seed + 1000)[0] * 24], start=504))
    assert "factor x24: 12 of 12 markets, the whole exchange" in line
    assert held.waiting(lake).height == 12


def test_a_released_market_is_not_held_again_for_the_same_reason(lake):
    store(lake, exchange(lambda seed: calm(504, seed)))
    rates = {seed: calm(3, seed + 1000) for seed in range(12)}
    hours = [exchange(lambda s, h=h: [rates[s][h] * 24], start=504 + h) for h in range(3)]
    assert store(lake, hours[0])[0].startswith("held")
    done = held.release(lake, held.waiting(lake), NOW)
    assert (done.inserted, states(lake)) == (12, {"released": 12})
    for rows in hours[1:]:
        assert not [line for line in store(lake, rows) if line.startswith("held")]
    assert stored(lake, "M3").height == 507


def test_rows_that_join_those_held_are_held_with_them(lake):
    store(lake, frame(calm(504)))
    bad = [r * 8 for r in calm(60, seed=2)]
    assert store(lake, frame(bad[:48], start=504))
    other = next(r for r in bad[48:] if r != BASE * 8)
    assert store(lake, frame([other], start=552))[0].startswith("held")  # alone it would show nothing
    assert (stored(lake).height, held.waiting(lake).height) == (504, 49)


def test_a_corrected_figure_passes_and_drops_the_one_that_was_held(lake):
    store(lake, frame(calm(504)))
    right = calm(48, seed=2)
    store(lake, frame([r * 8 for r in right], start=504))
    assert store(lake, frame(right, start=504)) == []
    assert stored(lake)["funding_rate"].to_list()[-48:] == right
    assert states(lake) == {"dropped": 48}


def test_a_repeated_response_holds_the_same_rows_once(lake):
    store(lake, frame(calm(504)))
    bad = frame([r * 8 for r in calm(48, seed=2)], start=504)
    store(lake, bad)
    before = lake.version("held")
    store(lake, bad, NOW + timedelta(hours=1))
    assert lake.version("held") == before
    assert states(lake) == {"held": 48}


def test_released_rows_that_are_fetched_again_pass(lake):
    store(lake, frame(calm(504)))
    bad = frame([r * 8 for r in calm(48, seed=2)], start=504)
    store(lake, bad)
    held.release(lake, held.waiting(lake), NOW)
    assert store(lake, bad) == []
    assert states(lake) == {"released": 48}


def test_a_row_finer_than_the_step_or_beyond_the_bound_is_held_alone_and_let_in_ones_open_the_way(lake):
    binance = {"exchange": "binance", "hours": 8.0}
    (line,) = store(lake, frame([1e-4, 2e-4, 1.5e-9, 0.2], **binance))
    assert "held: binance: finer: BTC" in line
    assert stored(lake)["funding_rate"].to_list() == [1e-4, 2e-4]
    assert held.waiting(lake)["reason"].to_list() == ["finer", "beyond"]
    held.release(lake, held.waiting(lake), NOW)
    assert store(lake, frame([1.7e-9, 0.3, 0.5], start=32, **binance))
    assert held.waiting(lake)["funding_rate"].to_list() == [0.5]  # above twice the released 0.2


def test_the_cap_of_a_listing_bounds_the_payments_of_its_days_only(lake):
    market = dict.fromkeys(MARKETS.columns) | {
        "exchange": "binance",
        "symbol": "BTC",
        "base": "BTC",
        "asset_class": "crypto",
        "multiplier": 1.0,
        "status": "active",
        "rate_cap": 0.003,
        "first_seen": T0,
        "last_seen": T0 + timedelta(days=30),
    }
    lake.upsert("markets", pl.DataFrame([market], schema=MARKETS.schema))
    rows = frame([0.01], exchange="binance", hours=8.0)
    store(lake, pl.concat([rows, frame([0.01], exchange="binance", hours=8.0, start=30 * 24)]))
    assert stored(lake)["funding_time"].to_list() == [T0]
    assert held.waiting(lake)["reason"].to_list() == ["beyond"]


def test_an_interval_that_the_gaps_contradict_is_held_until_it_is_let_in(lake):
    rows = frame(calm(8, hours=4.0), exchange="plugged", hours=8.0, apart=4.0)
    (line,) = store(lake, rows)
    assert "interval: BTC" in line
    assert "7 of 7 payments with an interval of 8.0 h are 4.0 h apart" in line
    assert stored(lake).is_empty()
    held.release(lake, held.waiting(lake), NOW)
    assert store(lake, frame(calm(8, seed=2), exchange="plugged", hours=8.0, apart=4.0, start=32)) == []


def test_imported_rows_are_compared_with_those_of_the_exchange_itself(lake):
    rates = calm(200)
    store(lake, frame(rates))
    again = frame([r * 100 for r in rates[:20]]).with_columns(source=pl.lit("import"))
    (line,) = store(lake, again)
    assert line.startswith("held: hyperliquid (import): factor x100: BTC")
    rounded = frame([round(r, 8) for r in rates[:20]]).with_columns(source=pl.lit("import"))
    passed = held.examined(lake, rounded, NOW)
    assert passed.verdicts["reason"].to_list() == ["finer"] or passed.rows.height == 20


def test_a_predicted_rate_beyond_the_bound_is_unknown_and_keeps_its_native_figure():
    row = dict.fromkeys(SNAPSHOTS.columns) | {
        "exchange": "lighter",
        "source": "lighter",
        "symbol": "BTC",
        "base": "BTC",
        "asset_class": "crypto",
        "observed_at": T0,
        "month": "2026-01",
        "interval_hours": 1.0,
    }
    rates = [{"funding_rate": r, "native_rate": n} for r, n in ((0.0049, 0.49), (-0.08, -8.0), (None, None))]
    rows = pl.DataFrame([row | one for one in rates], schema=SNAPSHOTS.schema)
    shown = bounded(rows)
    assert shown["funding_rate"].to_list() == [0.0049, None, None]
    assert shown["native_rate"].to_list() == [0.49, -8.0, None]
    assert shown.schema == SNAPSHOTS.schema


def test_the_verb_lists_lets_in_and_drops(lake, capsys):
    where = ["--warehouse", str(lake.warehouse)]
    assert main(["release", *where]) == 0
    assert "nothing is held" in capsys.readouterr().err
    store(lake, pl.concat([frame(calm(504), symbol=s) for s in ("A", "B")]))
    store(lake, pl.concat([frame([r * 8 for r in calm(48, 2)], symbol=s, start=504) for s in ("A", "B")]))
    assert main(["release", "Hyperliquid", "--json", *where]) == 0
    listed = capsys.readouterr().out
    assert '"reason": "factor x8", "markets": 2, "symbols": "A, B", "payments": 96' in listed
    assert main(["release", "--symbol", "A", "--reason", "factor", "--let-in", "--json", *where]) == 0
    assert capsys.readouterr().out == '{"released": 48, "inserted": 48, "restated": 0}\n'
    assert main(["release", "hyperliquid", "--drop", *where]) == 0
    assert "48 dropped" in capsys.readouterr().err
    assert (stored(lake, "A").height, stored(lake, "B").height) == (552, 504)
    assert states(lake) == {"released": 48, "dropped": 48}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["binanc"], "exchange"),
        (["--symbol", "ETH"], "symbol"),
        (["--reason", "sign"], "reason"),
    ],
)
def test_a_selection_that_matches_nothing_is_refused(lake, capsys, options, text):
    store(lake, frame([0.2], exchange="binance", hours=8.0))
    assert main(["release", *options, "--drop", "--warehouse", str(lake.warehouse)]) == 2
    assert text in capsys.readouterr().err
    assert states(lake) == {"held": 1}


def test_an_exchange_that_the_lake_does_not_have_is_refused_though_nothing_is_held(lake, capsys):
    lake.upsert("funding", frame([1e-4], exchange="binance", hours=8.0))
    assert main(["release", "binanc", "--warehouse", str(lake.warehouse)]) == 2
    assert "did you mean binance?" in capsys.readouterr().err


def test_doctor_has_one_alarm_for_a_whole_exchange_until_it_is_decided(lake):
    store(lake, exchange(lambda seed: calm(504, seed)))
    store(lake, exchange(lambda seed: [calm(1, seed + 1000)[0] * 24], start=504))
    (note,) = [one for one in examine(lake.warehouse) if one.section == "held"]
    assert (note.exchange, note.subject, note.alarm) == ("hyperliquid", "factor x24", True)
    assert note.detail.startswith(
        "12 markets, 12 payments of source hyperliquid are held since 2026-01-26 00:00"
    )
    held.drop(lake, held.waiting(lake), NOW)
    assert not [one for one in examine(lake.warehouse) if one.section == "held"]


def test_check_does_not_miss_rows_that_are_held_or_dropped(lake):
    rows = frame([1e-4, 0.2, 0.3], exchange="binance", hours=8.0)
    attempt = Attempt("binance", "BTC", "history", Window(T0, T0 + 17 * HOUR), "1", "binance")
    store(lake, rows)
    fetched = Fetched(rows, 1, 1, 0.1, asked_at=NOW, server_time=NOW)
    lake.upsert("fetches", walked(attempt, attempt.window, fetched, NOW))
    assert lake.check().clean
    held.drop(lake, held.waiting(lake), NOW)
    assert lake.check().clean


def test_a_wrong_interval_shows_payment_by_payment_too(lake):
    rows = frame(calm(6, hours=4.0), exchange="plugged", hours=8.0, apart=4.0)
    reports = [store(lake, rows[i]) for i in range(6)]
    assert reports[:3] == [[], [], []]  # two gaps are too few
    assert all(line.startswith("held: plugged: interval: BTC") for (line,) in reports[3:5])
