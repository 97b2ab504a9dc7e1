"""A file beside the rows that the lake has of the same market: contradictions, and imports in place of earlier ones."""

from datetime import timedelta

import polars as pl
import pytest

from fundingdb.errors import BadData
from fundingdb.importing import ImportOptions, prepare_all
from fundingdb.lake import Lake
from tests.importing.test_importing import EMPTY, NOW, at, every, hourly, in_lake, one, run, saved

assert run  # the fixture

# 40 unlike payments of SOLUSDT, 8 hours apart.
ODD = every(8, [((n * 37) % 101 - 50) * 1e-6 for n in range(40)], "SOLUSDT")
STORED = in_lake(ODD, "SOL").with_columns(interval_hours=pl.lit(8.0))


def changed(count: int, factor: float) -> pl.DataFrame:
    """The stored payments, the last `count` of them times a factor."""
    late = pl.int_range(pl.len()) >= pl.len() - count
    return ODD.with_columns(pl.when(late).then(pl.col("funding_rate") * factor).otherwise("funding_rate"))


@pytest.mark.parametrize("count", [1, 19, 39])
@pytest.mark.parametrize("factor", [8.0, 100.0, -1.0])
def test_any_share_of_rows_that_contradict_the_lake_is_refused_at_the_first(tmp_path, count, factor):
    path = saved(changed(count, factor), tmp_path / "f.csv")
    with pytest.raises(
        BadData,
        match=rf"f.csv: row {41 - count}: .* here, .* in the lake: .* differ by the factor {factor:g}",
    ):
        one(path, STORED, exchange="binance", unit="fraction")


def test_one_row_in_a_hundred_may_differ_from_the_lake(tmp_path):
    rates = [((n * 37) % 1009 - 500) * 1e-7 for n in range(400)]
    stored = in_lake(every(8, rates, "SOLUSDT"), "SOL")
    for count, good in ((4, True), (5, False)):
        rows = every(8, [r + 1e-5 if n < count else r for n, r in enumerate(rates)], "SOLUSDT")
        path = saved(rows, tmp_path / "f.csv")
        if good:
            evidence = one(path, stored, exchange="okx", unit="fraction", symbol="SOL-USDT-SWAP").evidence
            assert "99.0% of 400 payments that the lake has too are equal" in evidence
        else:
            with pytest.raises(BadData, match="row 1: .* only 99% of 400 common payments are equal"):
                one(path, stored, exchange="okx", unit="fraction", symbol="SOL-USDT-SWAP")


def test_three_common_payments_are_enough_to_contradict(tmp_path):
    path = saved(ODD.with_columns(pl.col("funding_rate") * 8), tmp_path / "f.csv")
    with pytest.raises(BadData, match="3 of 3 common payments differ by the factor 8"):
        one(path, STORED.head(3), exchange="binance", unit="fraction")


def test_a_zero_where_the_lake_has_a_payment_is_a_contradiction(tmp_path):
    path = saved(changed(3, 0.0), tmp_path / "f.csv")
    with pytest.raises(BadData, match="row 38: SOLUSDT .*: 0 here"):
        one(path, STORED, exchange="binance", unit="fraction")


def test_figures_rounded_as_a_website_shows_them_agree_with_the_lake(tmp_path):
    stored = STORED.with_columns(pl.col("funding_rate") + 4e-7)  # eight decimals; the file has six
    evidence = one(saved(ODD, tmp_path / "f.csv"), stored, exchange="binance", unit="fraction").evidence
    assert "100.0% of 40 payments that the lake has too are equal" in evidence


def test_payments_inside_an_interval_of_the_lake_are_refused(tmp_path):
    moved = ODD.with_columns(pl.col("funding_time") + timedelta(hours=3), symbol=pl.lit("XYZ"))
    stored = STORED.with_columns(symbol=pl.lit("XYZ"))
    with pytest.raises(
        BadData,
        match="row 1: XYZ .* 03:00 lies inside the 8 hours that the lake's payment of .* 08:00 covers",
    ):
        one(saved(moved, tmp_path / "f.csv"), stored, exchange="kraken", unit="fraction", interval="infer")


def test_files_of_one_call_prove_intervals_and_unit_together(tmp_path):
    rates = [0.0001 if n % 3 else (n - 20) * 1e-6 for n in range(42)]
    rows = every(8, rates, "SOLUSDT")
    paths = [saved(rows.slice(start, 3), tmp_path / f"{start:02}.csv") for start in range(0, 42, 3)]
    options = ImportOptions(exchange="binance")
    ready = prepare_all(paths, options, lambda _exchange: EMPTY, now=NOW)
    assert {one.unit for one in ready} == {"fraction"}
    assert pl.concat(one.rows for one in ready)["interval_hours"].to_list() == [8.0] * 42


# --- --replace


def stored(tmp_path) -> pl.DataFrame:
    return Lake(tmp_path / "w").scan("funding").collect().sort("symbol", "funding_time")


def test_an_import_whose_clock_was_wrong_is_replaced_whole(tmp_path, run):
    rows = pl.concat(
        [
            ODD.with_columns(symbol=pl.lit(s), funding_rate=pl.col("funding_rate") + i * 1e-7)
            for i, s in enumerate("AB")
        ]
    )
    wrong = saved(rows.with_columns(pl.col("funding_time") + timedelta(hours=3)), tmp_path / "wrong.csv")
    right = saved(rows.filter(pl.col("symbol") == "A"), tmp_path / "right.csv")
    assert run(str(wrong), "--exchange", "kraken", "--unit", "fraction")[0] == 0
    code, _, err = run(str(right), "--exchange", "kraken", "--unit", "fraction")
    assert (code, "lies inside the 8 hours" in err, "--replace" in err) == (1, True, True), err
    code, _, err = run(str(right), "--exchange", "kraken", "--unit", "fraction", "--replace")
    assert (code, "40 rows new" in err) == (0, True), err
    after = stored(tmp_path)
    assert after.group_by("symbol").len().sort("symbol").rows() == [("A", 40), ("B", 40)]
    first = (
        after.group_by("symbol").agg(pl.col("funding_time").min()).sort("symbol")["funding_time"].to_list()
    )
    assert first == [at("2025-06-01T00:00"), at("2025-06-01T03:00")]  # the other market stays as it was


def test_a_replaced_rate_is_a_restatement_and_a_repeat_changes_nothing(tmp_path, run):
    wrong = saved(hourly(200).with_columns(pl.col("funding_rate") * 1.1), tmp_path / "wrong.csv")
    right = saved(hourly(200), tmp_path / "right.csv")
    flags = ("--exchange", "kraken", "--symbol", "BTC", "--unit", "fraction")
    assert run(str(wrong), *flags)[0] == 0
    assert run(str(right), *flags)[0] == 1
    code, _, err = run(str(right), *flags, "--replace")
    moving = hourly(200).filter(pl.col("funding_rate") != 0).height
    assert (code, f"{moving} restated" in err) == (0, True), err
    assert stored(tmp_path)["funding_rate"].to_list() == hourly(200)["funding_rate"].to_list()
    assert Lake(tmp_path / "w").scan("restatements").collect().height == moving
    version = Lake(tmp_path / "w").version("funding")
    assert "200 unchanged" in run(str(right), *flags, "--replace")[2]
    assert Lake(tmp_path / "w").version("funding") == version


def test_rows_of_the_exchange_itself_are_never_replaced(tmp_path, run):
    path = saved(hourly(200), tmp_path / "f.csv")
    assert run(str(path), "--exchange", "hyperliquid")[0] == 0
    lake = Lake(tmp_path / "own")
    lake.upsert("funding", stored(tmp_path).with_columns(source=pl.lit("hyperliquid")))
    (tmp_path / "own").rename(tmp_path / "w2")
    (tmp_path / "w").rename(tmp_path / "w3")
    (tmp_path / "w2").rename(tmp_path / "w")
    odd = saved(hourly(200).with_columns(pl.col("funding_rate") + 1e-6), tmp_path / "odd.csv")
    code, _, err = run(str(odd), "--exchange", "hyperliquid", "--unit", "fraction", "--replace")
    assert (code, "in the lake: only" in err) == (1, True), err
