"""What a fill costs on each exchange, hour by hour, from the dated table of fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb.costs import BASE_TIER, fees
from fundingdb.errors import BadCall
from fundingdb.window import HOUR

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray


def costs(
    exchanges: tuple[str, ...],
    start: datetime,
    hours: int,
    asked: str,
    warehouse: Path | str | None,
) -> tuple[NDArray[np.float64], list[str], str]:
    """The fee of a fill, a fraction of notional (exchange x hour), what is to be told about it, and the fees used.

    `asked` is `taker`, `maker`, or the path of a table whose taker fees count. The base tier counts, each row from its
    effective_at on; hours before an exchange's oldest row take that row, which is told. Raises BadCall naming the
    exchanges without a fee, BadData where a table is not as described.
    """
    kind = asked if asked in ("taker", "maker") else "taker"
    table = fees(None if asked == kind else asked, warehouse)
    table = table.filter(
        pl.col("tier") == BASE_TIER, pl.col(kind).is_not_null(), pl.col("exchange").is_in(exchanges)
    )
    table = table.sort("exchange", "effective_at")
    missing = [e for e in exchanges if e not in set(table["exchange"])]
    if missing:
        raise BadCall(
            f"no {kind} fee is known for {', '.join(missing)}: write them into fees.csv in the warehouse, or give a file by "
            f"--fees FILE (exchange,tier,taker,maker,effective_at; tier {BASE_TIER}, fractions such as 0.0005), "
            "or leave these exchanges out by --exchanges"
        )
    cost, notes = np.zeros((len(exchanges), hours)), list[str]()
    for n, exchange in enumerate(exchanges):
        mine = table.filter(exchange=exchange)
        for i, (fee, at) in enumerate(mine.select(kind, "effective_at").iter_rows()):
            first = max(0, -((start - at) // HOUR)) if i else 0
            cost[n, first:] = fee
            if i == 0 and at > start:
                notes.append(
                    f"fees of {exchange} before {at:%Y-%m-%d} are not known: its oldest, {fee:g} a fill, is used for them"
                )
    used = table.select("exchange", kind, "effective_at").write_csv()
    return cost, notes, used
