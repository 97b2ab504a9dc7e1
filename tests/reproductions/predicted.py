"""Hyperliquid's rates in the seven-exchange file: which hour's payment they are, by the settled series."""

import polars as pl
from pack import ALL_COINS, BTC_2024, NOW, SEVEN, Lakes, Reproduced, column_as_written

from fundingdb.catalog import catalog
from fundingdb.errors import BadData
from fundingdb.importing import ImportOptions, prepare
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, SNAPSHOTS

LAGS = range(-2, 3)
BASE = 0.0000125
EQUAL = 1e-8  # the settled file is rounded so
VERDICTS = """
    select left_kind, symbol, verdict, compared, agreeing, error, error_shifted
    from reconciliation_summary where right_source = 'hyperliquid' order by left_kind, symbol
"""


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a coin and lag: the rate written at hour t against the payment settled at t + lag_hours."""
    written = column_as_written(lakes.data)
    settled = (
        Lake(lakes.hyperliquid)
        .scan("funding")
        .filter(pl.col("symbol").is_in(written["symbol"].unique().implode()))
    )
    settled = FUNDING.check(settled.collect())
    every = pl.concat([against(written, settled, "5 coins"), *(
        against(written.filter(symbol=coin), settled, coin) for coin in sorted(written["symbol"].unique())
    )])  # fmt: skip
    native = Lake(lakes.answers).scan("funding").filter(pl.col("exchange") == "hyperliquid").collect()
    table = pl.concat([every, against(written, native, "BTC, fundingHistory")])
    at = {(row["coins"], row["lag_hours"]): row for row in table.iter_rows(named=True)}
    equal = [at[coin, 1]["equal"] for coin in written["symbol"].unique()]
    fit = {lag: f"{at['5 coins', lag]['correlation']:.2f}" for lag in LAGS}
    five, own, unmoved = at["5 coins", 1], at["BTC, fundingHistory", 1], at["BTC, fundingHistory", 0]
    shares = f"{five['equal']:.0%}, by coin {min(equal):.0%} to {max(equal):.0%}"
    verdicts = judged(lakes, written, settled)
    named = {kind: verdicts.filter(left_kind=kind)["verdict"].to_list() for kind in ("settled", "predicted")}
    return Reproduced(
        title="Predicted and settled",
        data=f"Hyperliquid's column of the seven exchanges and its settled series, five coins, {five['hours']:,} hours",
        files=(SEVEN, ALL_COINS, BTC_2024),
        method=(
            "The rate written at hour t against the payment settled at t + lag_hours, both as the lake has them. The column "
            "is filed once as settlements, once as predictions made at t, and the view `reconciliation_summary` judges it."
        ),
        found=(
            f"Correlation with the settlement of the hour before {fit[-1]}, of the same hour {fit[0]}, of the next {fit[1]}, "
            f"of the one after {fit[2]}: it is the prediction. Filed as settlements, `reconcile` calls "
            f"{named['settled'].count('shifted')} of 5 coins `shifted`; as predictions, "
            f"{named['predicted'].count('agree')} of 5 `agree`. `import` {refused(lakes, settled)} it"
        ),
        stated=(
            f"0.96 one hour later, 0.83 unmoved: so for BTC against fundingHistory ({own['correlation']:.2f}, "
            f"{unmoved['correlation']:.2f}; {own['hours']:,} h). 48% equal: {shares}; that is the base rate, off it "
            f"{five['equal_off_base']:.1%} are equal"
        ),
        table=table,
    )


def against(written: pl.DataFrame, settled: pl.DataFrame, name: str) -> pl.DataFrame:
    """Correlation and share of equal figures at each lag, of all rows and of those settled off the base rate."""
    rows = []
    for lag in LAGS:
        moved = written.select(
            "symbol", pl.col("funding_time").dt.offset_by(f"{lag}h"), column="funding_rate"
        )
        both = moved.join(
            settled.select("symbol", "funding_time", "funding_rate"), on=["symbol", "funding_time"]
        )
        equal = (pl.col("column") - pl.col("funding_rate")).abs() <= EQUAL
        off = (pl.col("funding_rate") - BASE).abs() > EQUAL
        got = both.select(
            hours=pl.len(),
            correlation=pl.corr("column", "funding_rate"),
            equal=equal.mean(),
            equal_off_base=equal.filter(off).mean(),
        )
        rows.append(got.select(pl.lit(name).alias("coins"), pl.lit(lag).alias("lag_hours"), pl.all()))
    return pl.concat(rows)


def judged(lakes: Lakes, written: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """What the lake itself says of the column, once filed as settlements and once as predictions of the next hour."""
    lake = Lake(lakes.folder / "predicted")
    lake.upsert("funding", pl.concat([settled.with_columns(source=pl.lit("hyperliquid")), written]))
    nothing = [
        pl.lit(None, t).alias(c) for c, t in SNAPSHOTS.schema.items() if c not in ("month", *written.columns)
    ]
    shown = written.with_columns(*nothing).with_columns(
        observed_at="funding_time",
        next_funding_time=pl.col("funding_time").dt.offset_by("1h"),
    )
    lake.upsert("snapshots", SNAPSHOTS.check(shown.select(c for c in SNAPSHOTS.schema if c != "month")))
    with catalog.connect(lakes.folder / "predicted") as con:
        return con.sql(VERDICTS).pl()


def refused(lakes: Lakes, settled: pl.DataFrame) -> str:
    """What the importer does with the column."""
    wanted = ImportOptions(exchange="hyperliquid", unit="fraction")
    try:
        prepare(lakes.data / SEVEN, wanted, lambda _exchange: settled, now=NOW)
    except BadData:
        return "refuses"
    return "takes"
