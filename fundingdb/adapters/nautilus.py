"""NautilusTrader: settled payments as `FundingRateUpdate` objects, and catalog files of them.

`rate` is the fraction of notional paid for the interval that ENDED at `ts_event`, as Nautilus' own adapters give it:
per the venue's interval, positive when longs pay. It is a settled rate; live adapters send the running estimate of the
next one. `next_funding_ns` stays None: what will be paid next is not known yet, and a simulated venue that settles at
`next_funding_ns` would pay each rate one interval late. `ts_init`, by which Nautilus replays, is never before the
settlement. A version with the field `interval` (minutes) gets it; 1.221 has none, there rates of unlike intervals
must not be compared. Up to 1.231 an update informs a strategy and moves no money: book that from
`get_funding_payments`.

The instrument id is the caller's, `symbol.VENUE` as the venue's Nautilus adapter spells it, for example
`BTCUSDT-PERP.BINANCE`, `BTCUSDT-LINEAR.BYBIT`, `BTC-USDT-SWAP.OKX`, `BTC-USD-PERP.HYPERLIQUID`,
`BTC-USD-PERP.DYDX`.

Sources: the class and `ParquetDataCatalog` of 1.221 and 1.231; nautilustrader.io, "FundingRateUpdate" and "Backtest
accounts and margin", read 2026-11-22. Needs Python below 3.14: pip install 'fundingdb[nautilus]'.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fundingdb.errors import BadCall, BadWindow, MissingExtra

try:
    from nautilus_trader.model.data import FundingRateUpdate
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.persistence.catalog import ParquetDataCatalog
    from nautilus_trader.serialization.arrow.serializer import list_schemas, register_arrow
except ImportError:
    raise MissingExtra(
        "objects for NautilusTrader need an optional package (Python below 3.14): pip install 'fundingdb[nautilus]'"
    ) from None

if TYPE_CHECKING:
    from pathlib import Path

    from fundingdb.provider.provider import FundingRateBacktestDataProvider, Instant

_ID = re.compile(
    r"[^\W_][\w:-]*(\.[\w:-]+)*\.[A-Z][A-Z0-9_]*"
)  # no slash: a catalog drops it from its folders
_COLUMNS = pa.schema(  # what versions with their own read, and the name in each row: 1.221 reads files of several together
    [
        pa.field("instrument_id", pa.string(), nullable=False),
        pa.field("rate", pa.binary(), nullable=False),
        pa.field("interval", pa.uint16()),
        pa.field("next_funding_ns", pa.uint64()),
        pa.field("ts_event", pa.uint64(), nullable=False),
        pa.field("ts_init", pa.uint64(), nullable=False),
    ]
)


def funding_rate_updates(
    provider: FundingRateBacktestDataProvider,
    exchange: str,
    token: str,
    start: Instant,
    end: Instant,
    *,
    instrument_id: str,
    delay: timedelta = timedelta(),
) -> list[FundingRateUpdate]:
    """One update a regular settlement with start < funding_time <= end, oldest first; empty: none in the lake.

    `ts_event` is the settlement, `ts_init` the settlement plus `delay`, the time until one can have heard of it.
    Special payments are left out: they are no rate of an interval. Raises BadCall for an instrument id that is not
    `symbol.VENUE`, BadWindow for a negative delay, and as `get_funding_payments`.
    """
    if not _ID.fullmatch(instrument_id):
        raise BadCall(
            f"instrument_id {instrument_id!r}: write symbol.VENUE, letters, digits and -_: in the symbol, capitals,"
            " digits and _ in the venue, for example BTC-USD-PERP.HYPERLIQUID"
        )
    if delay < timedelta():
        raise BadWindow(f"delay {delay}: a settlement can't be known before it happens; give 0 or more")
    named = InstrumentId.from_str(instrument_id)
    late = delay // timedelta(microseconds=1) * 1000
    paid = provider.get_funding_payments(exchange, token, start, end).filter(rate_type="regular")
    times = paid["funding_time"].dt.epoch("us") * 1000
    return [
        FundingRateUpdate(
            instrument_id=named, rate=Decimal(repr(rate)), ts_event=at, ts_init=at + late, **_interval(hours)
        )
        for at, rate, hours in zip(times, paid["funding_rate"], paid["interval_hours"], strict=True)
    ]


def catalog(path: Path | str) -> ParquetDataCatalog:
    """The Nautilus catalog in a folder, made where there is none, able to write and read `FundingRateUpdate`.

    1.221 cannot by itself: call this in each process that reads such files, a BacktestNode's too. `write_data(updates)`
    wants one instrument's updates in order, each span once.
    """
    if FundingRateUpdate not in list_schemas():
        register_arrow(FundingRateUpdate, _COLUMNS, encoder=_written, decoder=_read)
    return ParquetDataCatalog(str(path))


def _interval(hours: float | None) -> dict[str, int]:
    if hours is None or not hasattr(FundingRateUpdate, "interval"):
        return {}
    return {"interval": round(hours * 60)}


def _written(update: FundingRateUpdate) -> pa.RecordBatch:
    row = FundingRateUpdate.to_dict(update)
    row["rate"] = f'"{row["rate"]}"'.encode()  # JSON text, as later versions write a Decimal
    named = {"instrument_id": update.instrument_id.value}
    return pa.RecordBatch.from_pylist([row], schema=_COLUMNS.with_metadata(named))


def _read(table: pa.Table) -> list[FundingRateUpdate]:
    def update(row: dict[str, Any]) -> FundingRateUpdate:
        return FundingRateUpdate.from_dict({**row, "rate": Decimal(row["rate"].decode().strip('"'))})

    return [update(row) for row in table.to_pylist()]
