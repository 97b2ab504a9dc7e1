"""The frames and figures of a backtest Result, made from the arrays of `core.walk`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb.backtest import core
from fundingdb.backtest.result import FIGURES, Result
from fundingdb.schema import TIME
from fundingdb.window import YEAR_HOURS

if TYPE_CHECKING:
    from fundingdb.backtest.core import Walked
    from fundingdb.backtest.result import Settings
    from fundingdb.backtest.world import MarketArrays, Ready

_PAIR = ("asset_class", "base", "long_exchange", "short_exchange")


def result(settings: Settings, ready: Ready, walked: Walked) -> Result:
    """The Result of one run."""
    arrays = ready.world
    trades = _trades(arrays, walked, settings.notional_usd)
    summary = figures(walked, settings.notional_usd)
    return Result(
        settings=settings,
        fingerprint=ready.fingerprint,
        summary=summary,
        trades=trades,
        equity=_equity(arrays, walked, settings.notional_usd),
        daily=_daily(arrays, walked, settings.notional_usd),
        exposure=_exposure(arrays, walked, settings.notional_usd),
        decisions=_decisions(arrays, walked, settings),
        spreads=_spreads(ready, walked),
        heat=_heat(ready),
        warnings=(*ready.notes, *_endings(trades, summary)),
    )


def figures(walked: Walked, notional: float) -> dict[str, float | int | None]:
    """The summary: the names of FIGURES in their order."""
    funding, fees = walked.funding * notional, walked.fees * notional
    net = float((funding + fees).sum())
    equity = np.cumsum(funding + fees)
    peak = np.maximum.accumulate(np.maximum(equity, 0.0))
    days = walked.daily.sum(axis=(1, 2, 3)) * notional
    trades, money = walked.trades, walked.money
    of_trade = money[:, core.T_LONG_FUNDING] + money[:, core.T_SHORT_FUNDING] + money[:, core.T_FEES]
    count = len(trades)
    most = int(walked.open_pairs.max()) * notional
    years = (walked.funding.size - 1) / YEAR_HOURS
    spread = float(days.std(ddof=1)) if days.size > 1 else 0.0
    values = {
        "trades": count,
        "funding_usd": float(funding.sum()),
        "fees_usd": float(fees.sum()),
        "net_usd": net,
        "net_apr": net / most / years if most else None,
        "most_capital_usd": most,
        "turnover_usd": walked.fills * notional,
        "win_rate": float((of_trade > 0).mean()) if count else None,
        "sharpe": float(days.mean()) / spread * 365**0.5 if spread > 0 else None,
        "worst_day_usd": float(days.min()),
        "max_drawdown_usd": float((equity - peak).min()),
        "held_hours": int((trades[:, core.T_EXITED] - trades[:, core.T_ENTERED]).sum()),
        "unknown_hours": int(trades[:, core.T_UNKNOWN].sum()),
        "payments": int(trades[:, core.T_PAYMENTS].sum()),
    }
    return {name: values[name] for name in FIGURES}


def _trades(arrays: MarketArrays, walked: Walked, notional: float) -> pl.DataFrame:
    t, money = walked.trades, walked.money
    usd = money[:, 2:] * notional
    funding = usd[:, 0] + usd[:, 1]
    long, short = arrays.markets[t[:, core.T_LONG]], arrays.markets[t[:, core.T_SHORT]]
    reason = pl.Series(core.REASONS, dtype=pl.String)
    return arrays.assets[t[:, core.T_ASSET]].with_columns(
        long_exchange=long["exchange"],
        long_symbol=long["symbol"],
        short_exchange=short["exchange"],
        short_symbol=short["symbol"],
        entered_at=_hour(arrays, t[:, core.T_ENTERED]),
        exited_at=_hour(arrays, t[:, core.T_EXITED]),
        held_hours=pl.Series(t[:, core.T_EXITED] - t[:, core.T_ENTERED]),
        entry_spread_apr=pl.Series(money[:, core.T_ENTRY_SPREAD]),
        exit_spread_apr=pl.Series(money[:, core.T_EXIT_SPREAD]).fill_nan(None),
        long_funding_usd=pl.Series(usd[:, 0]),
        short_funding_usd=pl.Series(usd[:, 1]),
        funding_usd=pl.Series(funding),
        fees_usd=pl.Series(usd[:, 2]),
        net_usd=pl.Series(funding + usd[:, 2]),
        payments=pl.Series(t[:, core.T_PAYMENTS]),
        unknown_hours=pl.Series(t[:, core.T_UNKNOWN]),
        exit_reason=reason[t[:, core.T_REASON]],
    )


def _equity(arrays: MarketArrays, walked: Walked, notional: float) -> pl.DataFrame:
    funding, fees = walked.funding * notional, walked.fees * notional
    frame = pl.DataFrame(
        {
            "hour_at": _hour(arrays, np.arange(funding.size)),
            "funding_usd": funding,
            "fees_usd": fees,
            "net_usd": funding + fees,
            "equity_usd": np.cumsum(funding + fees),
            "open_pairs": walked.open_pairs,
        }
    )
    peak = pl.max_horizontal(pl.col("equity_usd").cum_max(), 0.0)
    return frame.insert_column(5, frame.select(drawdown_usd=pl.col("equity_usd") - peak).to_series())


def _daily(arrays: MarketArrays, walked: Walked, notional: float) -> pl.DataFrame:
    days, exchanges = walked.daily.shape[:2]
    flat = walked.daily.reshape(-1, 2) * notional
    day = arrays.start.date()
    frame = pl.DataFrame(
        {
            "day": np.repeat(np.arange(days), exchanges * 2),
            "exchange": pl.Series(arrays.exchanges)[np.tile(np.repeat(np.arange(exchanges), 2), days)],
            "leg": pl.Series(["long", "short"])[np.tile([0, 1], days * exchanges)],
            "funding_usd": flat[:, 0],
            "fees_usd": flat[:, 1],
            "net_usd": flat.sum(axis=1),
        }
    )
    moved = (pl.col("funding_usd") != 0) | (pl.col("fees_usd") != 0)
    return frame.filter(moved).with_columns(day=pl.lit(day) + pl.col("day") * timedelta(days=1))


def _exposure(arrays: MarketArrays, walked: Walked, notional: float) -> pl.DataFrame:
    hours = walked.funding.size - 1
    return pl.DataFrame(
        {
            "exchange": arrays.exchanges,
            "mean_usd": walked.open_legs[:, 0] * notional / hours,
            "most_usd": walked.open_legs[:, 1] * notional,
        }
    )


def _decisions(arrays: MarketArrays, walked: Walked, settings: Settings) -> pl.DataFrame:
    d, spreads = walked.decisions, walked.spreads
    frame = arrays.assets[d[:, core.D_ASSET]].with_columns(
        hour_at=_hour(arrays, d[:, core.D_HOUR]),
        action=pl.Series(core.ACTIONS, dtype=pl.String)[d[:, core.D_ACTION]],
        long_exchange=arrays.markets[d[:, core.D_LONG]]["exchange"],
        short_exchange=arrays.markets[d[:, core.D_SHORT]]["exchange"],
        spread_apr=pl.Series(spreads[:, core.D_SPREAD]).fill_nan(None),
        before=pl.Series(spreads[:, core.D_BEFORE]),
        why=pl.Series(d[:, core.D_REASON]),
    )
    action, why, at = pl.col("action"), pl.col("why"), pl.col("spread_apr").round(4)
    hours, held = core.MISSING_HOURS, pl.col("before").round(4)
    words = [
        (action == "enter", pl.format("pays {} a year, entry {}", at, pl.lit(settings.entry_apr))),
        (action == "switch", pl.format("pays {} a year, the pair held {}", at, held)),
        (action == "skip", pl.lit(f"{settings.max_pairs} pairs are open")),
        (why == core.BY_EXIT, pl.format("pays {} a year, exit {}", at, pl.lit(settings.exit_apr))),
        (why == core.BY_MISSING, pl.lit(f"missing: a leg's rate was unknown for {hours} hours")),
        (why == core.BY_DELISTED, pl.lit("delisted: a leg's market is gone")),
        (why == core.BY_END, pl.lit("end of the span")),
    ]
    reason = pl.coalesce(pl.when(case).then(word) for case, word in words)
    return frame.select("hour_at", "action", *_PAIR, "spread_apr", reason.alias("reason"))


def _spreads(ready: Ready, walked: Walked) -> pl.DataFrame:
    arrays = ready.world
    asset = np.unique(walked.trades[:, core.T_ASSET])
    long, short = ready.best_long[asset], ready.best_short[asset]
    row, hour = np.nonzero(long >= 0)
    low, high = long[row, hour], short[row, hour]
    exchange = pl.Series(arrays.exchanges, dtype=pl.String)
    return (
        arrays.assets[asset[row]]
        .select(
            "asset_class",
            "base",
            hour_at=_hour(arrays, hour),
            long_exchange=exchange[arrays.exchange[low]],
            short_exchange=exchange[arrays.exchange[high]],
            spread_apr=pl.Series((arrays.known[high, hour] - arrays.known[low, hour]) * YEAR_HOURS),
        )
        .select("hour_at", *_PAIR, "spread_apr")
    )


def _heat(ready: Ready) -> pl.DataFrame:
    total, count = ready.heat
    each = ready.world.markets.with_columns(total=pl.Series(total), hours=pl.Series(count))
    summed = each.group_by("exchange", "asset_class", "base", maintain_order=True).agg(
        pl.col("total", "hours").sum()
    )
    known = summed.filter(pl.col("hours") > 0)
    return known.select(
        "exchange",
        "asset_class",
        "base",
        mean_apr=pl.col("total") / pl.col("hours") * YEAR_HOURS,
        known_hours="hours",
    )


def _endings(trades: pl.DataFrame, summary: dict[str, float | int | None]) -> list[str]:
    notes = []
    if not summary["trades"]:
        notes.append("no pair ever paid the entry: no trade was made")
    ended = dict(trades.group_by("exit_reason").len().iter_rows())
    if n := ended.get("missing"):
        notes.append(f"{n} trade(s) ended because a leg's rate was unknown for {core.MISSING_HOURS} hours")
    if n := ended.get("delisted"):
        notes.append(f"{n} trade(s) ended by a delisting")
    if n := summary["unknown_hours"]:
        notes.append(f"{n} of {summary['held_hours']} pair hours were held with a leg's rate unknown")
    return notes


def _hour(arrays: MarketArrays, hours: np.ndarray) -> pl.Series:
    start = int(arrays.start.timestamp()) * 1_000_000
    return pl.Series("hour_at", start + hours.astype(np.int64) * 3_600_000_000).cast(TIME)
