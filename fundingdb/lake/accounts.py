"""The windows of the ledger and the settlements of `funding`, counted against each other for one exchange and source. Pure.

Windows: rows of `fetches`, symbol by symbol; settlements: symbol, funding_time, sorted by both.
"""

from __future__ import annotations

import polars as pl


def too_few(windows: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """Those of the windows that have more rows than settlements, with the count of these: `have`."""
    return _counted(windows, settled).filter(pl.col("have") < pl.col("rows"))


def overlapping(windows: pl.DataFrame, short: pl.DataFrame) -> pl.DataFrame:
    """Those of the windows that share an instant with one of the windows `short`, which they include."""
    spans = _spans(short).rename({"window_start": "_start", "window_stop": "_stop"})
    return (
        windows.join(spans, on="symbol")
        .filter(pl.col("window_start") < pl.col("_stop"), pl.col("window_stop") > pl.col("_start"))
        .select(windows.columns)
        .unique(maintain_order=True)
    )


def outside(settled: pl.DataFrame, windows: pl.DataFrame) -> tuple[int, int]:
    """How many settlements, of how many markets, are in none of the windows."""
    inside = _counted(_spans(windows), settled).group_by("symbol").agg(pl.col("have").sum())
    markets = settled.group_by("symbol").len().join(inside, on="symbol", how="left")
    left = (markets["len"].cast(pl.Int64) - markets["have"].fill_null(0)).to_list()
    return sum(left), sum(count > 0 for count in left)


def _spans(windows: pl.DataFrame) -> pl.DataFrame:
    """symbol, window_start, window_stop: the windows, those that overlap or touch made one."""
    ends = pl.col("window_stop").cum_max().shift().over("symbol")
    apart = (pl.col("window_start") > ends).fill_null(value=False).cum_sum().over("symbol")
    return (
        windows.filter(pl.col("window_start") < pl.col("window_stop"))
        .sort("symbol", "window_start")
        .with_columns(_span=apart)
        .group_by("symbol", "_span", maintain_order=True)
        .agg(pl.col("window_start").min(), pl.col("window_stop").max())
        .drop("_span")
    )


def _counted(windows: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """The windows with `have`, the count of settlements in [window_start, window_stop)."""
    times = {k[0]: v["funding_time"] for k, v in settled.partition_by("symbol", as_dict=True).items()}
    none = settled["funding_time"].clear()
    counted = [windows.clear().with_columns(have=pl.lit(0, pl.Int64))]
    for (symbol,), mine in windows.partition_by("symbol", as_dict=True, maintain_order=True).items():
        at = times.get(symbol, none)
        stop, start = (at.search_sorted(mine[f"window_{edge}"], "left") for edge in ("stop", "start"))
        counted.append(mine.with_columns(have=stop.cast(pl.Int64) - start.cast(pl.Int64)))
    return pl.concat(counted)
