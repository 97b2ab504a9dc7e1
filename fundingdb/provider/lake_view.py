"""One version of the lake, as known at one instant: its files for fast reading, its views for everything else.

Where each exchange has one source and nothing is hidden by a knowledge time, the rows of the view `funding` are the rows
of the files, and these are read as they are; else the view is read. Tests prove both equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import VersionGone
from fundingdb.provider.names import WHO, Chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fundingdb.window import Window

VIEWS = frozenset({"funding", "funding_ranges", "carry", "identity_checks"})


@dataclass
class LakeView:
    """The files of one version (table -> paths), and what was known of them at `known_by` (None: all)."""

    listed: Mapping[str, Sequence[Path]]
    as_of: datetime | None = None
    known_by: datetime | None = None
    con: catalog.Connection | None = None
    _mismatched: frozenset[tuple[str, ...]] | None = field(default=None, init=False)

    def query(self, sql: str, values: Sequence[Any] = ()) -> pl.DataFrame:
        """The rows of a query over the views `VIEWS`; raises VersionGone where a file was vacuumed meanwhile."""
        try:
            if self.con is None:
                con = catalog.session()
                catalog.build(con, self.listed, self.as_of, known_by=self.known_by, only=VIEWS)
                self.con = con
            return self.con.sql(sql, params=list(values)).pl()
        except catalog.Unreadable as error:
            self._raise_if_vacuumed(error)
            raise

    def parts(
        self, window: Window, chosen: Chosen, columns: Sequence[str]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """Exchange by exchange the settlements from before the window to its end.

        Columns asset_class, base, symbol, rate_type, time (microseconds) and `columns`. They begin so early that
        any payment known at the start is among them.
        """
        first, rest = catalog.split(self.listed.get("funding", []))
        if self.known_by is None and not rest and "funding" in self.listed:
            yield from self._from_files(first, window, chosen, columns)
        else:
            yield from self._from_view(window, chosen, columns)

    def names(self) -> pl.DataFrame:
        """All markets with settlements, in order: exchange, asset_class, base, symbol."""
        return self.query(f"SELECT DISTINCT {', '.join(WHO)} FROM funding").sort(WHO)

    def mismatched(self) -> frozenset[tuple[str, ...]]:
        """The markets (as `WHO`) that only share the name of their asset: view `identity_checks`, verdict mismatch."""
        if self._mismatched is None:
            mismatched = list[tuple[str, ...]]()
            if self.listed.get("snapshots"):
                mismatched = self.query(
                    f"SELECT {', '.join(WHO)} FROM identity_checks WHERE verdict = 'mismatch'"
                ).rows()
            self._mismatched = frozenset(mismatched)
        return self._mismatched

    def _from_files(
        self, paths: Sequence[Path], window: Window, chosen: Chosen, columns: Sequence[str]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        names = ["asset_class", "base", "symbol", "rate_type", "funding_time", *columns]
        exchanges, tokens = chosen.spelled
        by_exchange: dict[str, list[Path]] = {}
        for path in paths:
            exchange = catalog.partition(path, "exchange")
            if exchanges is None or exchange in exchanges:
                by_exchange.setdefault(exchange, []).append(path)
        filters = list[pl.Expr]()
        if tokens is not None:
            filters.append(pl.col("base").is_in(tokens) | pl.col("symbol").is_in(tokens))
        if chosen.asset_class is not None:
            filters.append(pl.col("asset_class") == chosen.asset_class)
        for exchange, mine in by_exchange.items():
            try:
                start = window.start - self._reach(mine, window)
                near = [
                    p
                    for p in mine
                    if f"{start:%Y-%m}" <= catalog.partition(p, "month") <= f"{window.stop:%Y-%m}"
                ]
                if not near:
                    continue
                rows = pl.scan_parquet(near, hive_partitioning=False, glob=False)
                rows = (rows.filter(*filters) if filters else rows).select(names).collect()
            except (OSError, pl.exceptions.PolarsError) as error:
                self._raise_if_vacuumed(error)
                raise
            low, high = rows["funding_time"].min(), rows["funding_time"].max()
            if low is not None and not (start <= low and high <= window.stop):  # type: ignore[operator]
                rows = rows.filter(pl.col("funding_time").is_between(start, window.stop))
            yield exchange, rows.with_columns(time=pl.col("funding_time").to_physical()).drop("funding_time")

    def _reach(self, paths: Sequence[Path], window: Window) -> timedelta:
        """How long before the window a payment can lie that is still known at its start."""
        early = [p for p in paths if catalog.partition(p, "month") <= f"{window.start:%Y-%m}"]
        if not early:
            return timedelta()
        hours = pl.scan_parquet(early, hive_partitioning=False, glob=False).select("interval_hours").collect()
        longest = hours["interval_hours"].max()
        return timedelta(hours=longest) if isinstance(longest, float) else timedelta()

    def _from_view(
        self, window: Window, chosen: Chosen, columns: Sequence[str]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        exchanges, tokens = chosen.spelled
        conditions, values = ["funding_time <= ?"], list[object]([window.stop])
        if exchanges is not None:
            conditions.append(f"exchange IN ({_marks(exchanges)})")
            values += exchanges
        if chosen.asset_class is not None:
            conditions.append("asset_class = ?")
            values.append(chosen.asset_class)
        if tokens is not None:
            conditions.append(f"(base IN ({_marks(tokens)}) OR symbol IN ({_marks(tokens)}))")
            values += [*tokens, *tokens]
        where = " AND ".join(conditions)
        longest = self.query("SELECT max(interval_hours) AS hours FROM funding")["hours"].item() or 0.0
        rows = self.query(
            f"SELECT {', '.join(WHO)}, rate_type, epoch_us(funding_time) AS time, {', '.join(columns)} FROM funding "
            f"WHERE {where} AND funding_time >= ? ORDER BY {', '.join(WHO)}, rate_type, time",
            [*values, window.start - timedelta(hours=longest)],
        )
        for key, part in rows.partition_by("exchange", as_dict=True, maintain_order=True).items():
            yield str(key[0]), part

    def _raise_if_vacuumed(self, error: Exception) -> None:
        """Raises VersionGone where a file of this version is gone."""
        lost = next((p for paths in self.listed.values() for p in paths if not p.exists()), None)
        if lost is not None:
            raise VersionGone(
                f"the version that was loaded is vacuumed: {lost} is deleted; load_data again, or pin a newer one"
            ) from error


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
