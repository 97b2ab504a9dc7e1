"""Payments that a file and the lake have in common: they prove zone and unit, or contradict the file."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadData
from fundingdb.importing.files import ROW
from fundingdb.importing.units import UNITS, Unit
from fundingdb.schema import TIME

if TYPE_CHECKING:
    from pathlib import Path

_LEAST = 20  # common payments that prove something
_ALIKE = 1e-8  # sources round to eight decimals
_DIFFERENT = 0.01  # share of the common payments that may differ: restated ones, and slips of a collector
_COARSEST = 6  # decimals: a website shows percent with four
_ZONES = range(-12, 15)


def _both(rows: pl.DataFrame, lake: pl.DataFrame, hour: str) -> pl.DataFrame:
    """The rows whose market and hour the lake has too, with its rate `theirs`; by symbol, else by base."""
    theirs = lake.select("symbol", "base", "funding_time", theirs="funding_rate")
    by = "symbol" if rows["symbol"].is_in(theirs["symbol"].unique().implode()).any() else "base"
    if by not in rows.columns:
        return rows.clear().with_columns(theirs=pl.lit(None, pl.Float64))
    # A payment on which two sources differ proves nothing.
    one = theirs.group_by(by, "funding_time").agg(
        pl.col("theirs").first(), _spread=pl.col("theirs").max() - pl.col("theirs").min()
    )
    one = one.filter(pl.col("_spread") <= _ALIKE).drop("_spread")
    return rows.join(one, left_on=[by, hour], right_on=[by, "funding_time"], how="inner")


def _constant(ratios: pl.Series, within: float) -> tuple[float, float]:
    """The median of the ratios, and the share of them that equals it."""
    middle = ratios.median()
    if not isinstance(middle, float) or middle == 0:
        return 0.0, 0.0
    return middle, (ratios / middle - 1).abs().is_between(0.0, within).to_list().count(True) / ratios.len()


def zone(rows: pl.DataFrame, lake: pl.DataFrame) -> tuple[int | None, str]:
    """The offset from UTC, in hours, of the clock of rows (symbol, stamp, value), and why; None: the lake proves none."""
    if lake.is_empty():
        return None, "the lake has no rows to compare with"
    candidates = []
    for offset in _ZONES:
        at = (pl.col("stamp") - timedelta(hours=offset)).dt.truncate("1h")
        both = _both(rows.with_columns(_at=at), lake, "_at")
        if both.height >= _LEAST and both["theirs"].n_unique() >= _LEAST / 2:
            moving = both.filter(pl.col("theirs") != 0)
            _, alike = _constant(moving["value"] / moving["theirs"], 1e-6)
            candidates.append((alike, offset, both.height))
    candidates.sort(reverse=True)
    if not candidates or candidates[0][0] < 0.95 or (len(candidates) > 1 and candidates[1][0] > 0.8):
        return None, "the rows of the lake fit no zone, or several"
    share, offset, count = candidates[0]
    return (
        offset,
        f"{share:.1%} of {count:,} payments that the lake has too are equal under this zone and no other",
    )


def unit(rows: pl.DataFrame, lake: pl.DataFrame) -> tuple[Unit, str] | None:
    """The unit under which rows (symbol, base, hour, value, hours, price) equal those of the lake, and why; None: not proven."""
    both = _both(rows.filter(pl.col("value") != 0), lake, "hour")
    if both.height < _LEAST:
        return None
    every = [Unit(n, turned=t) for n in UNITS for t in (False, True)]
    shares = both.select(_alike(u.fraction()).mean().alias(u.shown) for u in every).row(0)
    best = max(range(len(every)), key=lambda i: shares[i] or 0.0)
    share = shares[best] or 0.0
    # Two units that fit equally are the same for these rows (8 h: fraction and fraction-per-8h): the first is the simpler.
    if share < 0.9 or every[best].name == "money":
        return None
    return every[best], f"{share:.1%} of {both.height:,} payments that the lake has too are equal under it"


def _alike(rate: pl.Expr, within: float = _ALIKE) -> pl.Expr:
    theirs = pl.col("theirs")
    return (
        ((rate - theirs).abs() <= 1e-6 * theirs.abs()) | ((rate - theirs).abs() <= within * 1.01)
    ).fill_null(value=False)


def _rounding(rows: pl.DataFrame) -> float:
    """Half the last decimal of the rates of a file, at least that of eight and at most that of six decimals."""
    for decimals in (_COARSEST, _COARSEST + 1):
        scaled = pl.col("rate") * 10.0**decimals
        if rows.select(((scaled - scaled.round()).abs() < 1e-6).all()).item():
            return 0.5 * 10.0**-decimals
    return _ALIKE


def agree(path: Path, rows: pl.DataFrame, lake: pl.DataFrame) -> list[str]:
    """Evidence from the payments that rows (symbol, base, hour, rate, hours) and the lake both have.

    Raises BadData where more than one in a hundred differ, with the first of them: by a constant factor (another unit), moved
    by an hour (predicted rates), or otherwise (another market, or another hour).
    """
    _refuse_between(path, rows, lake)
    both = _both(rows, lake, "hour").sort(ROW)
    if both.is_empty():
        return []
    wrong = both.filter(~_alike(pl.col("rate"), _rounding(rows)))
    if wrong.height > _DIFFERENT * both.height:
        raise _differing(path, rows, lake, both, wrong)
    if both.height < _LEAST:
        return [f"only {both.height} payments are in the lake too, equal, but too few to prove anything"]
    return [
        f"{1 - wrong.height / both.height:.1%} of {both.height:,} payments that the lake has too are equal"
    ]


def _differing(
    path: Path, rows: pl.DataFrame, lake: pl.DataFrame, both: pl.DataFrame, wrong: pl.DataFrame
) -> BadData:
    row = wrong.row(0, named=True)
    where = (
        f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M}: {row['rate']:g} here, {row['theirs']:g} in the "
        f"lake: "
    )
    moving = wrong.filter(pl.col("rate") != 0)
    middle, constant = _constant(moving["rate"] / moving["theirs"], 0.02)
    if constant >= 0.8 and abs(middle - 1) > 0.3:
        return BadData(
            f"{where}{moving.height:,} of {both.height:,} common payments differ by the factor {middle:.6g}: "
            "another unit or sign than in the lake; give --unit, or --replace if an earlier import was wrong"
        )
    share = 1 - wrong.height / both.height
    later = rows.with_columns(_later=pl.col("hour") + timedelta(hours=1))
    moved = _both(later, lake, "_later")
    ahead = float(moved.select(_alike(pl.col("rate")).mean()).item() or 0.0) if moved.height else 0.0
    why = (
        f", moved by an hour {ahead:.0%} are: predicted rates, no settlements"
        if ahead > max(1.5 * share, 0.5)
        else ""
    )
    return BadData(
        f"{where}only {share:.0%} of {both.height:,} common payments are equal{why}; "
        "compare market, zone and unit of the file, or give --replace if an earlier import was wrong"
    )


def _refuse_between(path: Path, rows: pl.DataFrame, lake: pl.DataFrame) -> None:
    """Raise BadData where rows lie between two payments of the lake that are one interval apart: there is none there."""
    if "interval_hours" not in lake.columns:
        return
    theirs = (
        lake.drop_nulls("interval_hours")
        .select("symbol", hour="funding_time", _hours="interval_hours")
        .unique()
    )
    theirs = theirs.with_columns(_until=pl.col("hour")).sort("hour")
    beside = (
        rows.select(ROW, "symbol", "hour")
        .sort("hour")
        .join_asof(theirs, on="hour", by="symbol", strategy="forward", check_sortedness=False)
        .drop_nulls("_until")
    )
    hours = (pl.col("_until") - pl.col("hour")).dt.total_seconds() / 3600
    between = beside.filter(hours > 0, hours < pl.col("_hours")).sort(ROW)
    if between.height > _DIFFERENT * beside.height:
        row = between.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} lies inside the {row['_hours']:g} hours that "
            f"the lake's payment of {row['_until']:%Y-%m-%d %H:%M} covers ({between.height:,} such rows): moved times, or "
            "another interval; compare the zone of the file, or give --replace if an earlier import was wrong"
        )


def refuse_another(path: Path, exchange: str, rows: pl.DataFrame, others: pl.DataFrame) -> None:
    """Raises BadData where FUNDING rows of a file are the payments of another exchange that the lake has.

    `others`: payments (exchange, symbol, base, funding_time, funding_rate) of other exchanges. Only figures that come once
    in their market count: many exchanges pay the same base rate, no two the same unusual rates.
    """
    rare = rows.filter(pl.col("funding_rate").is_unique().over("symbol"))
    there = others.select("base", "funding_time", who="exchange", market="symbol", theirs="funding_rate")
    both = rare.join(there, on=["base", "funding_time"], how="inner")
    alike = (
        both.group_by("symbol", "who", "market")
        .agg(common=pl.len(), alike=((pl.col("funding_rate") - pl.col("theirs")).abs() <= 1e-12).mean())
        .filter(pl.col("common") >= _LEAST, pl.col("alike") >= 0.9)
        .sort("common", "symbol", "who")
    )
    if alike.height:
        match = alike.row(-1, named=True)
        raise BadData(
            f"{path}: {match['symbol']}: {match['alike']:.0%} of {match['common']:,} payments with an unusual rate equal "
            f"those of {match['market']} on {match['who']}, which the lake has: is it a file of "
            f"{match['who']}, rather than {exchange}? Give --exchange"
        )


def spans(rows: pl.DataFrame) -> pl.DataFrame:
    """The spans of FUNDING rows that an import with them replaces: exchange, source, symbol, first, last.

    Each reaches an interval less an hour beyond its rows on both sides: an earlier import whose clock was off lies there, and
    no other payment does.
    """
    around = pl.duration(hours=pl.col("interval_hours").max().fill_null(1.0) - 1)
    return rows.group_by("exchange", "source", "symbol").agg(
        first=(pl.col("funding_time").min() - around).cast(TIME),
        last=(pl.col("funding_time").max() + around).cast(TIME),
    )


def fresh(rows: pl.DataFrame, lake: pl.DataFrame) -> pl.DataFrame:
    """FUNDING rows without those that an earlier import wrote with the same rate, and an interval if they have one.

    Files round differently: the first import of a payment keeps it, so that a coarser file never replaces a finer one.
    """
    key = ["exchange", "symbol", "funding_time"]
    earlier = lake.filter(pl.col("source") == "import").select(
        *key, theirs="funding_rate", _hours="interval_hours"
    )
    both = rows.select(*key, "funding_rate", "interval_hours").join(earlier, on=key, how="inner")
    covered = pl.col("interval_hours").is_null() | pl.col("interval_hours").eq_missing(pl.col("_hours"))
    return rows.join(
        both.filter(_alike(pl.col("funding_rate")) & covered), on=key, how="anti", maintain_order="left"
    )
