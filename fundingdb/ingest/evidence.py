"""Figures of new and stored rows side by side, one line a market, from which `continuity` draws its verdicts. Pure.

All sizes are per hour, so that a market which begins to pay every 4 hours instead of every 8 shows no factor of 2. The base
rate of a market is its most frequent stored rate: calm markets pay it again and again to the last digit (0.0000125 an hour on
Hyperliquid, 0.0001 in 8 hours on Binance, 0.000012 an hour on Lighter), and hot markets do not pay a round multiple of it.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from fundingdb.ingest.intervals import MARKET

ENOUGH = 24  # non-zero payments on a side before its sizes or signs count
FACTORS = (3.0, 4.0, 8.0, 24.0, 100.0, 365.0, 1000.0, 1095.0, 8760.0, 1e4, 109_500.0, 876_000.0)
"""3, 4, 8, 24: payments a day, or hours of a payment; 100, 1e4: percent, basis points; 365 to 8760: a year of days, of 8
hours, of hours; the greatest: these in percent."""
SIGNED = tuple(s * f for f in (1.0, *FACTORS, *(1 / f for f in FACTORS)) for s in (1.0, -1.0) if s * f != 1.0)
_DIGITS = 6  # of a rate per hour: files carry float noise (10.950000000000001 percent a year)
_LEAST_STEPS = 20  # of a rounded multiple: fewer are met by chance
_BESIDE_CHANCE = 0.15  # a rate lies on a grid coarser by 8 one time in 8
_NEAR = 0.2  # rates within this share of a repeated one are its neighbours
_REPEATED = 3  # rows of one rate
_LEAST_BASE = 0.03  # share of stored rows that makes a rate a base rate


def hourly(new: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The regular rows of both by market and time: _id, _new, at, value (rate per hour), near.

    `_id` is the row number in `markets(new)`. Stored rows of other markets, and those at the instant of a new row, are left
    out. Where a row has no interval, its hours are those since the row before it; where there is none, value is null. `near`:
    one of the 24 rows of its side that are nearest to the other side in time.
    """
    known = markets(new).with_row_index("_id")
    columns = [*MARKET, "funding_time", "interval_hours", "funding_rate"]
    sides = [
        side.filter(pl.col("rate_type") == "regular").select(columns).with_columns(_new=pl.lit(is_new))
        for side, is_new in ((stored, False), (new, True))
    ]
    rows = pl.concat(sides).join(known, on=MARKET, how="inner").sort("_id", "funding_time", "_new")
    same = pl.col("_id") == pl.col("_id").shift(-1)
    doubled = same & (pl.col("funding_time") == pl.col("funding_time").shift(-1))
    rows = rows.filter(~doubled.fill_null(value=False))
    gap = (pl.col("funding_time").diff() / timedelta(hours=1)).cast(pl.Float64)
    hours = pl.coalesce("interval_hours", pl.when(pl.col("_id") == pl.col("_id").shift()).then(gap))
    rows = rows.select(
        "_id",
        "_new",
        at="funding_time",
        rate="funding_rate",
        hours=hours,
        value=(pl.col("funding_rate") / hours).round_sig_figs(_DIGITS),
    )
    return rows.with_columns(near=_near())


def markets(new: pl.DataFrame) -> pl.DataFrame:
    """exchange, source, symbol of the markets with regular rows, in the order of the rows."""
    return new.filter(pl.col("rate_type") == "regular").select(MARKET).unique(maintain_order=True)


def _near() -> pl.Expr:
    # A walk may go back in time: then the stored rows after the new ones are the near ones.
    side = ["_id", "_new"]
    back = pl.col("_new").last().over("_id").not_()
    from_start = pl.int_range(pl.len()).over(side)
    from_end = pl.len().over(side) - 1 - from_start
    return pl.when(pl.col("_new") == back).then(from_end).otherwise(from_start) < ENOUGH


def sizes(rows: pl.DataFrame) -> pl.DataFrame:
    """One line a market of `hourly` rows that has non-zero rates on both sides.

    n_new, n_old count them; q25, q50, q75 are quantiles of |value|, `up` is the share of positive values: each with _new, _old
    (all rows) and with _early, _late (the near rows of the new and of the stored side).
    """
    moving = rows.filter(pl.col("value") != 0)
    near = moving.filter("near")
    sides = [(moving, True, "new"), (moving, False, "old"), (near, True, "early"), (near, False, "late")]
    out: pl.DataFrame | None = None
    for side, is_new, name in sides:
        size = pl.col("value").abs()
        one = (
            side.filter(pl.col("_new") == is_new)
            .group_by("_id")
            .agg(
                pl.len().cast(pl.Int64).alias(f"n_{name}"),
                *(size.quantile(q / 100, "linear").alias(f"q{q}_{name}") for q in (25, 50, 75)),
                (pl.col("value") > 0).mean().alias(f"up_{name}"),
            )
        )
        out = one if out is None else out.join(one, on="_id")
    assert out is not None
    return out


def base_rates(rows: pl.DataFrame) -> pl.DataFrame:
    """The base rate per hour of each market with one, and how often its rates repeat otherwise.

    base; share: of it among the non-zero stored rows; stored: the number of these; chance: the share of the next most frequent
    rate beyond two rows, which is high where rates have few digits (Lighter: 12 steps are the base rate).
    """
    old = rows.filter(~pl.col("_new") & (pl.col("value") != 0))
    counts = old.group_by("_id", "value").len().sort("len", "value", descending=True)
    both = counts.group_by("_id", maintain_order=True).agg(
        base=pl.col("value").first(),
        most=pl.col("len").first(),
        next=pl.col("len").slice(1).first().fill_null(0),
        stored=pl.col("len").sum(),
    )
    share, chance = (
        pl.col("most") / pl.col("stored"),
        (pl.col("next").cast(pl.Int64) - 2).clip(0) / pl.col("stored"),
    )
    strong = (pl.col("stored") >= ENOUGH) & (pl.col("most") >= _REPEATED) & (share >= _LEAST_BASE)
    return both.filter(strong & (share >= 2 * chance)).select(
        "_id", "base", "stored", share=share, chance=chance
    )


def multiples(rows: pl.DataFrame, bases: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rates of the new rows that are an exact multiple (`factor`, one of SIGNED) of their market's base rate.

    `steps`: _id and step (smallest step of a rate per interval); a multiple rounded to it counts too. One line a market and rate:
    _id, value, factor, the columns of `base_rates`, and counts of rows: c_new and c_old with that rate on either side; since its
    first row (of either side, `first`): n non-zero rows, at_base at the base rate, around within 20 percent of the value, itself
    included. since: the first new row of it.
    """
    moving = rows.filter(pl.col("value") != 0).join(bases, on="_id")
    counts = moving.group_by("_id", "value").agg(
        c_new=pl.col("_new").sum(),
        c_old=(~pl.col("_new")).sum(),
        since=pl.col("at").filter("_new").min(),
        first=pl.col("at").min(),
    )
    found = counts.filter(pl.col("c_new") > 0).join(_expected(rows, bases, steps), on=["_id", "value"])
    beside = found.select("_id", "value", "first").join(
        moving.select("_id", "at", "base", other="value"), on="_id"
    )
    beside = beside.filter(pl.col("at") >= pl.col("first"))
    near = (pl.col("other") / pl.col("value") - 1).abs() < _NEAR
    at_base = pl.col("other") == pl.col("base")
    since = beside.group_by("_id", "value").agg(n=pl.len(), at_base=at_base.sum(), around=near.sum())
    return found.join(since, on=["_id", "value"])


def _expected(rows: pl.DataFrame, bases: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Each market's base rate under each factor, as it is and rounded to the exchange's step: `value` beside `bases`."""
    hours = rows.filter(pl.col("_new")).group_by("_id").agg(hours=pl.col("hours").median())
    each = (
        bases.join(steps, on="_id", how="left")
        .join(hours, on="_id")
        .join(pl.DataFrame({"factor": SIGNED}), how="cross")
    )
    exact = pl.col("base") * pl.col("factor")
    count = (exact * pl.col("hours") / pl.col("step")).round()
    rounded = pl.when(count.abs() >= _LEAST_STEPS).then(count * pl.col("step") / pl.col("hours"))
    values = [each.with_columns(value=v.round_sig_figs(_DIGITS)) for v in (exact, rounded)]
    both = pl.concat(values).drop_nulls("value").drop("hours", "step")
    return both.unique(["_id", "value"], keep="first", maintain_order=True)


def grids(rows: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Markets whose new rates all lie on a grid that is coarser by a factor than the exchange's: _id, factor (the greatest).

    `steps`: _id and step (the exchange's smallest step of a rate per interval). At least 8 different rates; of the stored ones
    few more than one in `factor` lie on that grid.
    """
    counts = pl.col("rate") / pl.col("step")
    each = (
        rows.filter(pl.col("rate") != 0)
        .join(steps, on="_id")
        .select("_id", "_new", count=counts.round().cast(pl.Int64))
    )
    each = each.unique()
    fresh, names = pl.col("_new"), {f"x{f:g}": f for f in FACTORS if f <= 1e4}
    on = {name: (pl.col("count") % int(f) == 0) for name, f in names.items()}
    by = each.group_by("_id").agg(
        fresh.sum().alias("different"),
        *(
            (on[name].filter(fresh).all() & (on[name].filter(~fresh).mean() <= 1 / names[name] + 0.15)).alias(
                name
            )
            for name in names
        ),
    )
    best = pl.max_horizontal(*(pl.when(name).then(f) for name, f in names.items()))
    return by.filter(pl.col("different") >= 8).select("_id", factor=best).drop_nulls()


def overlap(new: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Rows at instants that both sides have, compared: one line a market with any.

    common: rows where any of the two rates is not 0; equal; ratio (median of new / stored) and alike (rows with that ratio);
    telling: rows whose stored rate differs from both its neighbours; stays, before, after: those of them whose new rate equals
    the stored one, that of the settlement before, that of the settlement after.
    """
    known = markets(new).with_row_index("_id")
    key = [*MARKET, "funding_time", "rate_type"]
    regular = pl.col("rate_type") == "regular"
    theirs = pl.col("theirs")
    old = (
        stored.filter(regular)
        .select(*key, theirs="funding_rate")
        .sort(*MARKET, "funding_time")
        .with_columns(_before=theirs.shift().over(MARKET), _after=theirs.shift(-1).over(MARKET))
    )
    both = new.filter(regular).select(*key, mine="funding_rate").join(old, on=key).join(known, on=MARKET)
    both = both.filter((pl.col("mine") != 0) | (theirs != 0))
    ratio = pl.col("mine") / theirs
    both = both.with_columns(_ratio=pl.when(theirs != 0).then(ratio))
    middle = pl.col("_ratio").median()
    telling = ~_equal(theirs, pl.col("_before")) & ~_equal(theirs, pl.col("_after"))
    telling = telling.fill_null(value=False)
    return both.group_by("_id").agg(
        common=pl.len(),
        equal=_equal(pl.col("mine"), theirs).sum(),
        ratio=middle,
        alike=((pl.col("_ratio") / middle - 1).abs() < 1e-3).sum(),
        different=theirs.n_unique(),
        telling=telling.sum(),
        stays=(telling & _equal(pl.col("mine"), theirs)).sum(),
        before=(telling & _equal(pl.col("mine"), pl.col("_before"))).sum(),
        after=(telling & _equal(pl.col("mine"), pl.col("_after"))).sum(),
        first=pl.col("funding_time").min(),
    )


def _equal(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return ((one - other).abs() <= 1e-6 * other.abs() + 1e-13).fill_null(value=False)


def phases(rows: pl.DataFrame) -> pl.DataFrame:
    """Settlement hours of markets that pay every 2 to 24 hours: _id, every (hours), off (hours by which the new rows are off),
    moved (new rows off by that), n (new rows) where ALL stored rows share one phase and the new rows keep the interval.
    """
    gap = (pl.col("at").diff() / timedelta(hours=1)).over("_id", "_new")
    each = rows.with_columns(_gap=gap)
    side = each.group_by("_id", "_new").agg(
        every=pl.col("_gap").min(),
        usual=pl.col("_gap").median(),
        n=pl.len(),
        first=pl.col("at").first(),
        last=pl.col("at").last(),
    )
    old = side.filter(~pl.col("_new") & (pl.col("n") >= ENOUGH) & (pl.col("every") > 1))
    both = side.filter("_new").join(old.select("_id", "every", "last"), on="_id", suffix="_old")
    off = ((pl.col("first") - pl.col("last_old")) / timedelta(hours=1)) % pl.col("every_old")
    return (
        both.with_columns(off=off)
        .filter((pl.col("off") != 0) & ((pl.col("every") == pl.col("every_old")) | (pl.col("n") == 1)))
        .select("_id", "off", "n", since="first", every="every_old")
    )


def repeats(rows: pl.DataFrame, bases: pl.DataFrame) -> pl.DataFrame:
    """Markets whose first new rate is exactly their newest stored one, or is not: _id, again.

    Only rates that say something: not 0, not the base rate, different from the stored rate before it.
    """
    new = (
        rows.filter("_new")
        .group_by("_id", maintain_order=True)
        .agg(pl.col("at").first(), mine=pl.col("value").first())
    )
    old = (
        rows.filter(~pl.col("_new"))
        .join(new.select("_id", _first="at"), on="_id")
        .filter(pl.col("at") < pl.col("_first"))
    )
    tail = old.group_by("_id", maintain_order=True).agg(
        theirs=pl.col("value").last(), earlier=pl.col("value").tail(2).first()
    )
    both = new.join(tail, on="_id").join(bases, on="_id", how="left")
    telling = (
        (pl.col("theirs") != 0)
        & (pl.col("theirs") != pl.col("earlier"))
        & pl.col("theirs").ne_missing(pl.col("base"))
    )
    return both.filter(telling).select("_id", again=pl.col("mine") == pl.col("theirs"), since="at")
