"""The fee of a fill on each exchange at each hour, from the dated table of fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb.catalog.fees import BASE_TIER, fee_venue, fees
from fundingdb.errors import BadCall
from fundingdb.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray


class Fees:
    """The base-tier fees that a run uses: `chosen` is taker, maker, or the path of a table whose taker fees count.

    Raises BadCall where the file can't be read, BadData where a table is not as described.
    """

    def __init__(self, chosen: str, warehouse: Path | str | None) -> None:
        self.kind = chosen if chosen in ("taker", "maker") else "taker"
        table = fees(None if chosen == self.kind else chosen, warehouse)
        self._table = table.filter(pl.col("tier") == BASE_TIER, pl.col(self.kind).is_not_null())

    def priced(self, listed: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
        """The markets with their `fee_venue`, without those of a dex (xyz:GOLD) that has no fee of its own: a warning."""
        listed = listed.with_columns(fee_venue=fee_venue())
        dex = pl.col("fee_venue").str.contains(":", literal=True)
        unknown = dex & ~pl.col("fee_venue").is_in(self._table["exchange"].implode())
        for dex_of, count in listed.filter(unknown).group_by("fee_venue").len().sort("fee_venue").iter_rows():
            notes.append(
                f"left out: {count} markets of {dex_of}, whose {self.kind} fee is not known (add it to fees.csv)"
            )
        return listed.filter(~unknown)

    def by_hour(
        self, venues: Sequence[str], start: datetime, hours: int, notes: list[str]
    ) -> tuple[NDArray[np.float64], str]:
        """The fee of a fill, a fraction of notional (fee venue x hour), and the rows used.

        Each row counts from its effective_at on; hours before the oldest have that one, with a warning. Raises BadCall
        naming the venues without a fee.
        """
        table = self._table.filter(pl.col("exchange").is_in(venues)).sort("exchange", "effective_at")
        missing = [e for e in venues if e not in set(table["exchange"])]
        if missing:
            raise BadCall(
                f"no {self.kind} fee is known for {', '.join(missing)}: write them into fees.csv in the warehouse, or give a "
                f"file by --fees FILE (exchange,tier,taker,maker,effective_at; tier {BASE_TIER}, fractions such as 0.0005), "
                "or leave these exchanges out by --exchanges"
            )
        cost, older = np.zeros((len(venues), hours)), list[str]()
        for n, name in enumerate(venues):
            rows = table.filter(exchange=name).select(self.kind, "effective_at").rows()
            for i, (fee, at) in enumerate(rows):
                cost[n, max(0, -((start - at) // HOUR)) if i else 0 :] = fee
            if rows[0][1] > start:
                older.append(f"{name} {rows[0][0]:g} from {rows[0][1]:%Y-%m-%d}")
        if older:
            notes.append(
                f"{self.kind} fees before their first day are not known, that day's are used: {', '.join(older)}"
            )
        return cost, table.select("exchange", self.kind, "effective_at").write_csv()
