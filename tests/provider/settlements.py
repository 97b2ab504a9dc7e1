"""Days out of a real year, a row a settlement: rates are those paid for the interval, not per hour."""

from datetime import timedelta

import polars as pl

from tests.paid_rows import T0, at, payment, rows

HOUR = timedelta(hours=1)
# exchange, base, interval in hours, first settlement, rates one interval after another (None: none was paid)
RUNS = [
    ("binance", "BTC", 8.0, at(2025, 10, 10, 8), [3.879e-05, 1.013e-05, 0.0001]),
    ("hyperliquid", "BTC", 1.0, at(2025, 10, 10, 16), [
        1.2500000000000006e-05, 1.046622e-05, 1.2500000000000006e-05, 6.471713333333329e-06,
        1.1167123333333336e-05, 0.00010921059499999999, -6.307408333333334e-06, 1.2500000000000006e-05,
        1.2500000000000006e-05,
    ]),
    ("kraken", "BTC", 1.0, at(2025, 11, 1, 15), [1.2544873611111e-05, None, None, -5.5281952898551e-05]),
    ("lighter", "BTC", 1.0, at(2025, 12, 1, 20), [-2.2500000000000005e-06, *[None] * 89, 0.0]),
    ("binance", "HYPE", 4.0, at(2026, 2, 1), [5e-05, 5e-05]),
    ("okx", "HYPE", 4.0, at(2026, 2, 1), [5e-05, 5e-05, 0.0000182851349279]),
    ("bybit", "HYPE", 8.0, at(2026, 2, 1), [9.352e-05, 0.0001]),
    ("dydx", "HYPE", 1.0, at(2026, 2, 1, 3), [1.9e-05, 2.4875e-05, 6.25e-06]),
    ("hyperliquid", "HYPE", 1.0, at(2026, 2, 1, 3), [6.772581355932203e-06, 1.2443276271186445e-05]),
    ("kraken", "HYPE", 1.0, at(2026, 2, 1, 3), [2.5301876388889e-05, 8.900384722222e-06]),
    ("lighter", "HYPE", 1.0, at(2026, 2, 1, 3), [1.1999999999999943e-05, 1.1999999999999943e-05]),
]  # fmt: skip


def days() -> pl.DataFrame:
    """The settlements of `RUNS`; two of them are stamped some milliseconds late by their exchange."""
    late = {
        ("binance", "BTC", at(2025, 10, 10, 16)): timedelta(milliseconds=14),
        ("dydx", "HYPE", at(2026, 2, 1, 4)): timedelta(milliseconds=185),
    }
    payments = []
    for exchange, base, interval, first, rates in RUNS:
        for number, rate in enumerate(rates):
            when = first + number * interval * HOUR
            if rate is not None:
                row = payment(exchange, base, (when - T0) / HOUR, rate, interval)
                stamp = when + late.get((exchange, base, when), timedelta())
                payments.append(row | {"reported_time": stamp})
    return rows(*payments)
