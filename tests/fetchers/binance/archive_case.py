"""Binance's archive of finished months: files packed by hand, the rows they must give, and the archive played."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.binance_archive import COIN_M, USD_M
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import HOUR, to_ms

AT = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HEADER = "calc_time,funding_interval_hours,last_funding_rate"
# As others have published them: the first rows of three files.
BITCOIN = [
    (1704067200000, 8, "0.00037409"),
    (1704096000000, 8, "0.00027213"),
    (1704124800000, 8, "0.00033601"),
]
COIN = [(1685577600011, 8, "0.00010000"), (1685606400000, 8, "0.00010000"), (1685635200001, 8, "0.00010000")]
DIVIDEND = [
    (1781740800001, 1, "0.00002292"),
    (1781740800009, 1, "-0.00239112"),
    (1781744400001, 1, "0.00003682"),
    (1781748000001, 1, "0"),
    (1781751600001, 1, "0"),
    (1781755200001, 1, "0.00000286"),
    (1781769600001, 8, "0.00019584"),
]


def csv(rows, header=HEADER):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name, (2024, 2, 5, 0, 0, 0)), content, method)
    return body.getvalue()


def month_file(rows, symbol="BTCUSDT", month="2024-01"):
    return zipped((f"{symbol}-fundingRate-{month}.csv", rows if isinstance(rows, str) else csv(rows)))


def checksum(body, name="BTCUSDT-fundingRate-2024-01.zip"):
    return f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()


def serve(request, settlements, symbol="BTCUSDT"):
    """The file of the month with all its settlements, stamped 3 ms late, or the checksum beside it."""
    name = request.path.rpartition("/")[2].removesuffix(".CHECKSUM")
    month = name.removeprefix(f"{symbol}-fundingRate-").removesuffix(".zip")
    paid = [(at, rate) for at, rate in settlements if f"{at:%Y-%m}" == month]
    distances = [round((b - a) / HOUR) for (a, _), (b, _) in pairwise(paid)]
    rows = [
        (to_ms(at) + 3, hours if hours <= 24 else 1, f"{rate:.8f}")
        for (at, rate), hours in zip(paid, [1, *distances], strict=False)
    ]
    body = month_file(rows, symbol, month)
    return checksum(body, name) if request.path.endswith(".CHECKSUM") else body


def case(fetcher, symbol, history):
    """Played over January 2024, hour by hour: a month without payments has no file."""
    return Case(
        fetcher=fetcher,
        market=fetcher.market(symbol),
        history=history,
        empty=[("history", checksum(b"", f"{symbol}-fundingRate-2024-01.zip"))],
        refusals=[
            Refusal(404, b"<Error><Code>NoSuchKey</Code></Error>", BadCall),
            Refusal(403, b"", Refused),
            Refusal(429, b"", RateLimited),
            Refusal(200, b"", None),
            Refusal(503, b"", None),
        ],
        serve=partial(serve, symbol=symbol),
        newest=datetime(2024, 1, 31, 12, tzinfo=UTC),
    )


OF_USD_M = case(
    USD_M,
    "BTCUSDT",
    [
        Example(
            month_file(
                [
                    (1704067200003, 8, "-0.00037409"),  # 2024-01-01T00:00Z and 3 ms
                    (1704096000000, 8, "0.00027213"),
                    (1704096000005, 8, "-0.00239112"),  # unmarked: the later of two at one instant is special
                    (1704110400000, 8, "0.00033601"),  # four hours after the one before, not eight
                ]
            ),
            [
                {
                    "symbol": "BTCUSDT",
                    "base": "BTC",
                    "quote": "USDT",
                    "funding_time": datetime(2024, 1, 1, tzinfo=UTC),
                    "reported_time": datetime(2024, 1, 1, 0, 0, 0, 3000, tzinfo=UTC),
                    "funding_rate": -0.00037409,
                    "native_rate": -0.00037409,
                    "interval_hours": 8.0,
                    "interval_from": "row",
                    "rate_type": "regular",
                    "mark_price": None,
                },
                {"funding_rate": 0.00027213, "interval_hours": 8.0},
                {"funding_rate": -0.00239112, "rate_type": "special", "interval_hours": None},
                {"funding_rate": 0.00033601, "interval_hours": None, "interval_from": "unknown"},
            ],
            at=AT,
        )
    ],
)
OF_COIN_M = case(
    COIN_M,
    "BTCUSD_PERP",
    [
        Example(
            month_file([(1685577600011, 8, "-0.00010000")], "BTCUSD_PERP", "2023-06"),
            [
                {
                    "exchange": "binance-coinm",
                    "base": "BTC",
                    "quote": "USD",
                    "funding_time": datetime(2023, 6, 1, tzinfo=UTC),
                    "reported_time": datetime(2023, 6, 1, 0, 0, 0, 11_000, tzinfo=UTC),
                    "funding_rate": -0.0001,
                    "interval_hours": 8.0,
                }
            ],
            at=AT,
        )
    ],
)
