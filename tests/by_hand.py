"""Payments written down by hand, hours after T0, for tests of views and costs."""

from datetime import UTC, datetime, timedelta

T0 = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def paid(exchange, hour, rate, hours=1.0, **other):
    at = T0 + hour * HOUR
    row = {
        "exchange": exchange,
        "source": exchange,
        "symbol": "BTC",
        "base": "BTC",
        "quote": "USDC",
        "asset_class": "crypto",
        "funding_time": at,
        "interval_hours": hours,
        "interval_from": "unknown" if hours is None else "row",
        "funding_rate": rate,
        "rate_type": "regular",
        "native_rate": rate,
        "mark_price": None,
        "index_price": None,
        "reported_time": at,
        "fetched_at": T0 + 900 * HOUR,
    }
    return row | other
