"""What archives of files have in common: no list, nothing of now, and a missing file that is a failure."""

from __future__ import annotations

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.fetchers.contract import Sweep
from fundingdb.schema import MARKETS, SNAPSHOTS

NO_LIST = Sweep(lambda _known: [], lambda _body, _context: MARKETS.empty())
NOTHING_NOW = Sweep(lambda _known: [], lambda _body, _context: SNAPSHOTS.empty())


def refusal(
    source: str, status: int, _body: bytes, *, missing: tuple[int, ...], lacking: str
) -> FundingdbError | None:
    """The error of an HTTP status of the archive `source`; None for 200, and for 5xx, which the engine repeats.

    The statuses in `missing` mean that there is no such file, for no stated reason; `lacking` names the file and likely reasons.
    """
    if status == 200 or status >= 500:
        return None
    if status in missing:
        return BadCall(
            f"the archive has no such {lacking.format(status=status)}; it does not say which. "
            "The exchange itself may have the rates: leave out --source archive"
        )
    if status == 429:
        return RateLimited(f"{source} answers 429: too many requests from this address")
    place = source.replace("-", "_")
    return Refused(f"{source} answers {status}: see the datasheet, fundingdb/fetchers/{place}.py")
