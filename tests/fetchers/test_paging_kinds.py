"""A wrong kind of paging loses no settlement silently: the contract suite fails, and names a kind that is right."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.fetchers.contract import (
    Backward,
    Budget,
    Cursor,
    Fetcher,
    Fixed,
    Forward,
    History,
    Market,
    Offset,
    Request,
    Sweep,
)
from fundingdb.fetchers.payload import Reader, decode
from fundingdb.fetchers.rows import funding_rows, market_rows, snapshot_rows
from fundingdb.fetchers.testing import Case, clauses

CAP = 50
NEWEST = datetime(2026, 1, 2, tzinfo=UTC)
WALK = "A walk over the history"


def request(market, window, cursor):
    start, stop = window.ms
    return Request("rates", "/rates", params=(("from", str(start)), ("to", str(stop)), ("at", cursor or "0")))


def parse(body, context):
    read = Reader("played", "rates")
    rows = decode(body, "played", "rates")["rows"]
    times, rates = [read.ms(row, "t") for row in rows], [read.number(row, "rate", text=False) for row in rows]
    values = {"funding_time": times, "reported_time": times, "funding_rate": rates, "native_rate": rates}
    return funding_rows(context.market, context, values, hours=1.0)


def next_cursor(body):
    return decode(body, "played", "rates").get("next")


def page(rows, following=None):
    shown = [{"t": round(at.timestamp() * 1000), "rate": rate} for at, rate in rows]
    return json.dumps({"rows": shown, "next": following}).encode()


def bounds(request):
    values = {name: int(text.removeprefix("t")) for name, text in request.params}
    return (
        datetime.fromtimestamp(values["from"] / 1000, UTC),
        datetime.fromtimestamp(values["to"] / 1000, UTC),
        values["at"],
    )


def oldest_of_window(request, settlements):
    start, stop, _ = bounds(request)
    return page([row for row in settlements if start <= row[0] <= stop][:CAP])


def newest_of_window(request, settlements):
    start, stop, _ = bounds(request)
    return page([row for row in settlements if start <= row[0] <= stop][-CAP:])


def only_an_upper_bound(request, settlements):
    _, stop, _ = bounds(request)
    return page([row for row in settlements if row[0] <= stop][-CAP:])


def tokens_within_the_window(request, settlements):
    start, stop, first = bounds(request)
    inside = [row for row in settlements if start <= row[0] <= stop]
    rows = inside[first : first + CAP]
    return page(rows, f"t{first + CAP}" if first + CAP < len(inside) else None)


def tokens_without_bounds(request, settlements):
    token = dict(request.params)["at"]
    first = int(token[1:]) if token.startswith("t") else 0  # any other token is the first page
    newest_first = settlements[::-1]
    following = f"t{first + CAP}" if first + CAP < len(newest_first) else None
    return page(newest_first[first : first + CAP], following)


def a_count_to_skip(request, settlements):
    first = bounds(request)[2]
    return page(settlements[::-1][first : first + CAP])


def case(serve, paging):
    cursor = next_cursor if isinstance(paging, Cursor) else None
    fetcher = Fetcher(
        exchange="played",
        version=1,
        base_url="https://api.example.com",
        budget=Budget("played", 60, 60),
        markets=Sweep(lambda _markets: [], lambda _body, _context: market_rows([])),
        current=Sweep(lambda _markets: [], lambda _body, _context: snapshot_rows([])),
        history=History(paging, request, parse, depth="all", next_cursor=cursor),
        market=lambda symbol: Market("played", symbol, symbol, "USD", "crypto"),
        refusal=lambda _status, _body: None,
    )
    return Case(fetcher, fetcher.market("BTC"), serve=serve, newest=NEWEST)


def walk_clause(serve, paging):
    return next(clause for clause in clauses(case(serve, paging)) if str(clause).startswith(WALK))


FORWARD, BACKWARD, OPEN = Forward(CAP), Backward(CAP), Backward(CAP, open_start=True)
TOKENS, TOKENS_BACK, COUNT = Cursor(), Cursor(newest_first=True), Offset()
KINDS = (FORWARD, BACKWARD, OPEN, Fixed(24, CAP), TOKENS, TOKENS_BACK, COUNT)
# what the exchange does -> kinds that are right for it, and what the failure of another kind names
VENUES = {
    oldest_of_window: ([FORWARD, Fixed(24, CAP)], "Forward(50)"),
    newest_of_window: ([BACKWARD, OPEN, Fixed(24, CAP)], "Backward(50)"),
    only_an_upper_bound: ([OPEN], "Backward(50, open_start=True)"),
    tokens_within_the_window: ([TOKENS, FORWARD, Fixed(24, CAP)], "Cursor()"),
    tokens_without_bounds: ([TOKENS_BACK, TOKENS], "Cursor(newest_first=True)"),
    a_count_to_skip: ([COUNT], "Offset()"),
}


@pytest.mark.parametrize(
    ("serve", "paging"), [(serve, kind) for serve, (right, _) in VENUES.items() for kind in right], ids=str
)
def test_the_right_kind_returns_every_settlement(serve, paging):
    walk_clause(serve, paging).check()


@pytest.mark.parametrize(
    ("serve", "paging", "named"),
    [
        pytest.param(serve, kind, named, id=f"{serve.__name__}-{kind}")
        for serve, (right, named) in VENUES.items()
        for kind in KINDS
        if kind not in right
    ],
)
def test_a_wrong_kind_fails_and_the_message_names_a_right_one(serve, paging, named):
    with pytest.raises(AssertionError) as failed:
        walk_clause(serve, paging).check()
    assert named in str(failed.value)
