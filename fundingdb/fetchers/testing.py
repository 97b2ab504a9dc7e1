"""The contract suite for fetchers: what a case of a venue is made of. For the built-in venues and for anybody's package."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.contract import Fetcher, Market, Request

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Example:
    """One response in the venue's own shape, and the rows it must give.

    `rows`: for each expected row, in order, some of its columns with their values, worked out by hand. `request` is what the
    response answers, where parsing needs to know it; `at` the instant of receipt; `markets` the known markets by symbol.
    """

    body: bytes
    rows: Sequence[Mapping[str, object]]
    request: Request | None = None
    at: datetime = RECEIVED_AT
    markets: Mapping[str, Market] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and body by which the venue refuses, and the error it must become; None: it is an ordinary response."""

    status: int
    body: bytes
    error: type[FundingdbError] | None


@dataclass(frozen=True, slots=True)
class Case:
    """All that the suite needs to prove one fetcher.

    `market` is the one that `history` and `serve` are about. `empty`: for an endpoint (history, current, markets) a response
    that rightly holds no rows. `serve` answers one history request as the venue would from these settlements (funding_time,
    funding_rate; oldest first): its bounds, its order, its cap; times lie `step_hours` apart or a multiple of it.
    """

    fetcher: Fetcher
    market: Market
    history: Sequence[Example] = ()
    current: Sequence[Example] = ()
    markets: Sequence[Example] = ()
    empty: Sequence[tuple[str, bytes]] = ()
    refusals: Sequence[Refusal] = ()
    serve: Callable[[Request, Sequence[tuple[datetime, float]]], bytes] | None = None
    step_hours: float = 1.0
