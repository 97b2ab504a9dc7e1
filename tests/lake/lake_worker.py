"""A process of its own for tests of the lake: `lake_worker.py write|restate|reprice|retime|compact|read WAREHOUSE WHO COUNT`.

A batch is ROWS rows in each of two months; its rates sum to zero, so whoever sees a part of a commit sees another sum.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from fundingdb.lake import Lake
from fundingdb.schema import FUNDING

ROWS = 6
JANUARY, FEBRUARY = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)
FETCHED = datetime(2025, 3, 1, tzinfo=UTC)


def batch(
    who: str, number: int, rate: float = 1e-5, fetched: datetime = FETCHED, hours: float | None = 1.0
) -> pl.DataFrame:
    """Rows of one exchange, the symbol names the writer, the hours the batch."""
    rows = [
        {
            "exchange": "hyperliquid",
            "source": "hyperliquid",
            "symbol": who,
            "base": who,
            "quote": "USDC",
            "asset_class": "crypto",
            "funding_time": start + timedelta(hours=number * ROWS + i),
            "interval_hours": hours,
            "interval_from": "declared" if hours else "unknown",
            "funding_rate": sign * rate * (i + 1),
            "rate_type": "regular",
            "native_rate": sign * rate * (i + 1),
            "mark_price": None,
            "index_price": None,
            "reported_time": start + timedelta(hours=number * ROWS + i),
            "fetched_at": fetched,
        }
        for start, sign in ((JANUARY, 1.0), (FEBRUARY, -1.0))
        for i in range(ROWS)
    ]
    return pl.DataFrame(rows, schema={k: v for k, v in FUNDING.schema.items() if k != "month"})


def retimed(rows: pl.DataFrame, hours: float) -> pl.DataFrame:
    """What `Lake.amend` takes: these hours for rows as they were read."""
    return rows.select(
        *FUNDING.key,
        "month",
        seen_hours="interval_hours",
        interval_hours=pl.lit(hours),
        interval_from=pl.lit("observed"),
        fetched_at=pl.lit(FETCHED),
    )


def whole(rows: pl.DataFrame) -> bool:
    """Whether the rows are full batches."""
    return rows.height % (2 * ROWS) == 0 and abs(rows["funding_rate"].sum()) < 1e-12


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def change(lake: Lake, what: str, who: str, number: int) -> None:
    later = FETCHED + timedelta(seconds=number + 1)
    rate = 1e-5 * (number + 2)
    if what == "write":
        lake.upsert("funding", batch(who, number))
    elif what == "restate":
        lake.upsert("funding", batch(who, number % 4, rate=rate, fetched=later))
    elif what == "reprice":
        lake.upsert("funding", batch(who, 0, rate=rate, fetched=later, hours=None))
    elif what == "retime":
        read = lake.scan("funding").collect()
        time.sleep(0.02)  # others commit between reading and writing
        lake.amend(retimed(read, 4.0 if number % 2 else 8.0))
    elif what == "compact":
        lake.compact()
        time.sleep(0.02)


def main(what: str, warehouse: str, who: str, count: int) -> None:
    lake = Lake(warehouse)
    say("ready")
    for number in range(count):
        change(lake, what, who, number)
        if what == "read":
            if not whole(lake.scan("funding").collect()):
                raise SystemExit(f"polars saw half a commit in read {number}")
            if files := lake.files("funding"):
                result = duckdb.sql(
                    "SELECT count(*) AS n, sum(funding_rate) AS s FROM read_parquet($files)",
                    params={"files": [str(f) for f in files]},
                ).pl()
                if result["n"][0] % (2 * ROWS) or abs(result["s"][0] or 0.0) > 1e-12:
                    raise SystemExit(f"duckdb saw half a commit in read {number}")
        say(number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
