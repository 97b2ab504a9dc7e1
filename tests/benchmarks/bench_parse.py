"""From the bytes of an answer to a checked frame, beside json.loads + pl.DataFrame of the same bytes without any check.

500 rows as Hyperliquid answers fundingHistory, 1,000 as Extended answers funding: the caps of the two.
python tests/benchmarks/bench_parse.py [--short]    one line a measure: figures, ratio, aim
"""

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import polars as pl

from fundingdb.fetchers import fetcher
from fundingdb.fetchers.base import Asked
from fundingdb.schema import FUNDING

AIM = 1.5
HOUR = 3_600_000
START = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1000)
AT = datetime(2026, 11, 1, tzinfo=UTC)


def bodies() -> dict[tuple[str, str], bytes]:
    rng = random.Random(11)
    hyperliquid = [
        {
            "coin": "KAITO",
            "fundingRate": f"{rng.gauss(1e-5, 1e-5):.10f}",
            "premium": f"{rng.gauss(0, 1e-4):.10f}",
            "time": START + i * HOUR + rng.randrange(500),
        }
        for i in range(500)
    ]
    extended = [
        {
            "m": "KAITO-USD",
            "f": f"{rng.gauss(1e-5, 1e-5):.6f}",
            "T": START + i * HOUR + 800 + rng.randrange(900),
        }
        for i in reversed(range(1000))
    ]
    answer = {"status": "OK", "data": extended, "pagination": {"cursor": 1, "count": 1000}}
    return {
        ("hyperliquid", "KAITO"): json.dumps(hyperliquid).encode(),
        ("extended", "KAITO-USD"): json.dumps(answer).encode(),
    }


def plain(body: bytes) -> pl.DataFrame:
    value = json.loads(body)
    return pl.DataFrame(value["data"] if isinstance(value, dict) else value)


def best(work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main(short: bool) -> None:
    rounds = 40 if short else 400
    for (name, symbol), body in bodies().items():
        source = fetcher(name)
        asked = Asked(AT, source.market(symbol))
        parse = source.history.parse
        frame = parse(body, asked)
        if frame.height != plain(body).height:
            raise SystemExit(f"{name}: rows were lost")
        unchecked = best(partial(plain, body), rounds)
        parsed = best(partial(parse, body, asked), rounds)
        checked = best(partial(FUNDING.check, frame), rounds)
        ratio = (parsed + checked) / unchecked
        print(
            f"{name}, {frame.height} rows: parse {parsed * 1e3:.2f} ms + check {checked * 1e3:.2f} ms, "
            f"json.loads + pl.DataFrame {unchecked * 1e3:.2f} ms, ratio {ratio:.2f} (aim <= {AIM}) "
            f"{'ok' if ratio <= AIM else 'MISSED'}"
        )


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
