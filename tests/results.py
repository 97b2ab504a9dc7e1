"""Made-up results of a backtest, with the columns that `fundingdb.backtest.result` promises, for tests of reports."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from fundingdb.backtest.result import FIGURES, Result, Settings

START = datetime(2025, 3, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
AT = pl.Datetime("us", "UTC")
SCHEMAS = {
    "trades": {
        **dict.fromkeys(
            ("asset_class", "base", "long_exchange", "long_symbol", "short_exchange", "short_symbol"),
            pl.String,
        ),
        "entered_at": AT,
        "exited_at": AT,
        **dict.fromkeys(
            ("held_hours", "entry_spread_apr", "exit_spread_apr", "long_funding_usd", "short_funding_usd"),
            pl.Float64,
        ),
        **dict.fromkeys(("funding_usd", "fees_usd", "net_usd"), pl.Float64),
        "payments": pl.Int64,
        "unknown_hours": pl.Int64,
        "exit_reason": pl.String,
    },
    "equity": {
        "hour_at": AT,
        **dict.fromkeys(("funding_usd", "fees_usd", "net_usd", "equity_usd", "drawdown_usd"), pl.Float64),
        "open_pairs": pl.Int64,
    },
    "daily": {
        "day": pl.Date,
        "exchange": pl.String,
        "leg": pl.String,
        **dict.fromkeys(("funding_usd", "fees_usd", "net_usd"), pl.Float64),
    },
    "exposure": {"exchange": pl.String, "mean_usd": pl.Float64, "most_usd": pl.Float64},
    "decisions": {
        "hour_at": AT,
        **dict.fromkeys(("action", "asset_class", "base", "long_exchange", "short_exchange"), pl.String),
        "spread_apr": pl.Float64,
        "reason": pl.String,
    },
    "spreads": {
        "hour_at": AT,
        **dict.fromkeys(("asset_class", "base", "long_exchange", "short_exchange"), pl.String),
        "spread_apr": pl.Float64,
    },
    "heat": {
        **dict.fromkeys(("exchange", "asset_class", "base"), pl.String),
        "mean_apr": pl.Float64,
        "known_hours": pl.Int64,
    },
}


def settings(hours: int, **more) -> Settings:
    return Settings(
        **({"start": START, "end": START + hours * HOUR, "entry_apr": 0.2, "exit_apr": 0.05} | more)
    )


def empty(**more) -> Result:
    """A run without trades."""
    frames = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()}
    summary = dict.fromkeys(FIGURES)
    return Result(
        **(
            {"settings": settings(24), "fingerprint": "0" * 16, "summary": summary, "warnings": ()}
            | frames
            | more
        )
    )


def result(
    hours: int = 24 * 90, trades: int = 60, assets: int = 5, exchanges: int = 4, seed: int = 1
) -> Result:
    """A run whose frames agree with each other, with holes in the spreads."""
    chance = np.random.default_rng(seed)
    names = ["extended", "lighter", "hyperliquid", "binance", *(f"exchange{n}" for n in range(4, exchanges))]
    names = names[:exchanges]
    bases = [
        "KAITO",
        "BTC",
        "kPEPE",
        "STX",
        "ZEC",
        "IP",
        "GRASS",
        "APT",
        *(f"TOKEN{n}" for n in range(8, assets)),
    ]
    kinds = ["equity" if b == "STX" else "crypto" for b in bases]
    rows, decided = [], []
    funding, fees = np.zeros(hours), np.zeros(hours)
    daily: dict[tuple[object, str, str], np.ndarray] = {}
    for _ in range(trades):
        n, first = int(chance.integers(assets)), int(chance.integers(max(1, hours - 60)))
        held = int(min(chance.integers(8, 200), hours - first))
        low, high = (names[i] for i in chance.permutation(exchanges)[:2])
        legs = chance.normal(0.12, 0.3, (2, held))
        cost = -9.0
        funding[first : first + held] += legs.sum(0)
        fees[first] += cost
        fees[first + held - 1] += cost
        for leg, exchange, paid in (("long", low, legs[0]), ("short", high, legs[1])):
            for h, usd in enumerate(paid):
                day = (START + (first + h) * HOUR).date()
                daily.setdefault((day, exchange, leg), np.zeros(2))[0] += usd
            for h in (first, first + held - 1):
                daily[START.date() + (h // 24) * timedelta(days=1), exchange, leg][1] += cost / 2
        at, until = START + first * HOUR, START + (first + held) * HOUR
        rows.append(
            (
                *(
                    kinds[n],
                    bases[n],
                    low,
                    f"{bases[n]}-USD",
                    high,
                    f"{bases[n]}USDT",
                    at,
                    until,
                    float(held),
                ),
                *(
                    0.2 + abs(chance.normal(0, 0.1)),
                    None if chance.random() < 0.05 else chance.normal(0.04, 0.02),
                ),
                *(legs[0].sum(), legs[1].sum(), legs.sum(), 2 * cost, legs.sum() + 2 * cost),
                *(
                    held * 2,
                    int(chance.integers(3)),
                    str(chance.choice(["exit", "switch", "missing", "delisted"])),
                ),
            )
        )
        decided += [
            (at, "enter", kinds[n], bases[n], low, high, rows[-1][9], "widest known spread pays the entry"),
            (until, "exit", kinds[n], bases[n], low, high, rows[-1][10], "known spread below the exit"),
        ]
    net = funding + fees
    equity = net.cumsum()
    drawdown = equity - np.maximum.accumulate(np.maximum(equity, 0))
    every = [START + n * HOUR for n in range(hours)]
    spread_rows = []
    for n in range(assets):
        walk = 0.1 + 0.1 * np.abs(np.sin(np.arange(hours) / 90 + n)) + np.abs(chance.normal(0, 0.03, hours))
        walk[hours // 3] = 9.0
        walk = np.where(np.arange(hours) % 400 < 40, np.nan, walk)
        spread_rows.append(
            pl.DataFrame(
                {"hour_at": every, "spread_apr": walk}, schema={"hour_at": AT, "spread_apr": pl.Float64}
            )
            .with_columns(
                pl.col("spread_apr").fill_nan(None),
                *(pl.lit(v).alias(k) for k, v in (("asset_class", kinds[n]), ("base", bases[n]))),
                *(pl.lit(v).alias(k) for k, v in (("long_exchange", names[0]), ("short_exchange", names[1]))),
            )
            .select(list(SCHEMAS["spreads"]))
        )
    heat = [
        (e, kinds[n], bases[n], float(chance.normal(0.05, 0.15)), hours - 7)
        for e in names
        for n in range(assets)
        if chance.random() > 0.15
    ]
    fund, cost = float(funding.sum()), float(fees.sum())
    summary = dict.fromkeys(FIGURES) | {
        "trades": trades,
        "funding_usd": fund,
        "fees_usd": cost,
        "net_usd": fund + cost,
        "net_apr": (fund + cost) / 40_000 * 8760 / hours,
        "most_capital_usd": 40_000.0,
        "turnover_usd": trades * 40_000.0,
        "win_rate": sum(r[-4] > 0 for r in rows) / trades,
        "worst_day_usd": -35.5,
        "max_drawdown_usd": float(drawdown.min()),
        "held_hours": sum(r[8] for r in rows),
        "unknown_hours": sum(r[-2] for r in rows),
        "payments": sum(r[-3] for r in rows),
    }
    daily_rows = [
        (d, e, leg, float(f), float(c), float(f + c)) for (d, e, leg), (f, c) in sorted(daily.items())
    ]
    return Result(
        settings=settings(hours),
        fingerprint="3f1c9a2b77d04e51",
        summary=summary,
        trades=pl.DataFrame(rows, schema=SCHEMAS["trades"], orient="row").sort("entered_at"),
        equity=pl.DataFrame(
            {
                "hour_at": every,
                "funding_usd": funding,
                "fees_usd": fees,
                "net_usd": net,
                "equity_usd": equity,
                "drawdown_usd": drawdown,
                "open_pairs": np.ones(hours, dtype=np.int64),
            },
            schema=SCHEMAS["equity"],
        ),
        daily=pl.DataFrame(daily_rows, schema=SCHEMAS["daily"], orient="row"),
        exposure=pl.DataFrame(
            [(e, 8000.0 / (n + 1), 20000.0 / (n + 1)) for n, e in enumerate(names)],
            schema=SCHEMAS["exposure"],
            orient="row",
        ),
        decisions=pl.DataFrame(decided, schema=SCHEMAS["decisions"], orient="row").sort("hour_at"),
        spreads=pl.concat(spread_rows),
        heat=pl.DataFrame(heat, schema=SCHEMAS["heat"], orient="row"),
        warnings=(
            "binance BTC: 14 payments are missing between 2025-04-02 and 2025-04-07; they count as unknown.",
        ),
    )
