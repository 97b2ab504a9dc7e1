"""The one gate for rows: what a source's response or a user's frame must satisfy before it is stored or returned.

Rows pass in two steps. Here, while the response is at hand, so that it can be quarantined with the reason: each row
fits its table (`schema.Table.check`) and comes from the source that was requested. Then at the door of the lake
(`Lake.upsert`), which checks each frame as a whole, from whomever it comes: only there can it be seen that no key is
repeated across responses. A further rule on rows belongs in this module, in `_reasons`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fundingdb.errors import BadPayload, SchemaError

if TYPE_CHECKING:
    import polars as pl

    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.schema import Table


def admitted(
    fetcher: Fetcher, table: Table, endpoint: str, rows: pl.DataFrame, body: bytes = b""
) -> pl.DataFrame:
    """The rows of `table` that `fetcher` parsed from the response `body` of `endpoint`, checked, `month` filled in.

    Raises BadPayload, with the body, where they do not pass.
    """
    try:
        return checked(fetcher, table, rows)
    except SchemaError as error:
        bad = BadPayload(fetcher.exchange, endpoint, "(rows)", str(error))
        bad.body = body
        raise bad from error


def checked(fetcher: Fetcher, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `table` that a user presents as those of `fetcher`, checked, `month` filled in.

    Raises SchemaError, with every reason, where they do not pass.
    """
    rows = table.check(rows)
    reasons = _reasons(fetcher, table, rows)
    if reasons:
        raise SchemaError(table.name, reasons)
    return rows


def _reasons(fetcher: Fetcher, table: Table, rows: pl.DataFrame) -> list[str]:
    """Why rows that fit their table are not to be believed all the same."""
    reasons = []
    own = rows["exchange"] == fetcher.exchange
    # A source without history may be an aggregator, whose rows are those of other exchanges.
    aggregated = fetcher.history is None and not own.any()
    if not aggregated and not own.all():
        other = rows["exchange"].filter(~own)[0]
        reasons.append(f"column exchange is {other!r}, must be {fetcher.exchange!r}, the exchange requested")
    if "source" in table.columns and not (rows["source"] == fetcher.source).all():
        other = rows["source"].filter(rows["source"] != fetcher.source)[0]
        reasons.append(f"column source is {other!r}, must be {fetcher.source!r}, the source requested")
    return reasons
