"""Payments in memory and in small lakes, for the tests of the provider."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import duckdb
import polars as pl

from fundingdb.catalog import catalog, headers
from fundingdb.provider.lake_view import LakeView
from fundingdb.provider.loading import Loaded
from fundingdb.provider.names import Chosen
from fundingdb.provider.provider import FundingRateBacktestDataProvider
from fundingdb.schema import FUNDING, RESTATEMENTS
from fundingdb.window import Window

T0 = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_VIEWS = [
    view for view in headers.views() if view.name in ("known_until", "funding", "funding_ranges", "carry")
]


def at(*day: int) -> datetime:
    return datetime(*day, tzinfo=UTC)


def payment(
    exchange, symbol, hours, rate, interval=1.0, *, base=None, asset_class="crypto", rate_type="regular",
    mark=None, fetched=T0, source=None,
):  # fmt: skip
    return {
        "exchange": exchange, "source": source or exchange, "symbol": symbol, "base": base or symbol, "quote": "USDC",
        "asset_class": asset_class, "funding_time": T0 + timedelta(hours=hours), "interval_hours": interval,
        "interval_from": "unknown" if interval is None else "declared", "funding_rate": rate,
        "rate_type": rate_type, "native_rate": rate, "mark_price": mark, "index_price": None,
        "reported_time": T0, "fetched_at": fetched,
    }  # fmt: skip


def rows(*payments) -> pl.DataFrame:
    schema = {c: FUNDING.columns[c].dtype for c in FUNDING.columns if c != "month"}
    return FUNDING.check(pl.DataFrame(list(payments), schema=schema))


def over(
    frame: pl.DataFrame, start=T0, stop=T0 + timedelta(days=10), *, restated=None, known_by=None, **chosen
) -> FundingRateBacktestDataProvider:
    """A provider over rows without the files between: the views of the catalog over tables in memory."""
    con = duckdb.connect()
    con.sql("SET TimeZone = 'UTC'")
    events = RESTATEMENTS.empty() if restated is None else restated
    for name, held in (("given", frame), ("events", events)):
        con.register(name, held.to_arrow())
    con.sql("CREATE TABLE whole AS SELECT * FROM given")
    con.sql("CREATE TABLE restated AS SELECT * FROM events")
    whole = dict.fromkeys(("lake_funding", "lake_funding_first"), "SELECT * FROM whole")
    none = {"lake_funding_rest": "SELECT * FROM whole WHERE false", "restatements": "SELECT * FROM restated"}
    con.sql("; ".join(catalog.relations(whole | none, known_by)))
    con.sql(catalog.preference_view(frame.select("exchange", "source").unique().rows()))
    con.sql("; ".join(chain.from_iterable(map(catalog.created, _VIEWS))))
    provider = FundingRateBacktestDataProvider()
    limits = Chosen(chosen.get("exchanges"), chosen.get("tokens"), chosen.get("asset_class"))
    provider._rows = Loaded(LakeView({}, con=con), Window(start, stop), limits)
    return provider
