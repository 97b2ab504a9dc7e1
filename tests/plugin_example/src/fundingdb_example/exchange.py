"""Example: GET /rates gives [{"t": ms, "rate": text}], t ends the hour, a fraction, positive when longs pay."""

from fundingdb.fetchers.contract import (
    Backward,
    Budget,
    Fetcher,
    History,
    Market,
    Reader,
    Request,
    Sweep,
    decode,
)
from fundingdb.fetchers.rows import funding_rows, market_row, market_rows, snapshot_rows


def market(symbol):
    return Market("example", symbol, symbol.removesuffix("-PERP"), "USD", "crypto", interval_hours=1.0)


def ask(market, window, _cursor):
    return Request("rates", "/rates", params=(("symbol", market.symbol), ("to", str(window.ms[1]))))


def rates(body, context):
    read, rows = Reader("example", "rates"), decode(body, "example", "rates")
    at, rate = [read.ms(r, "t") for r in rows], [read.number(r, "rate", text=True) for r in rows]
    known = {"funding_time": at, "reported_time": at, "funding_rate": rate, "native_rate": rate}
    return funding_rows(context.market, context, known | {"mark_price": [None] * len(at)}, hours=1.0)


def listing(body, context):
    return market_rows([market_row(market(s), context, {}) for s in decode(body, "example", "markets")])


FETCHER = Fetcher(
    exchange="example", version=1, base_url="https://api.example.com", budget=Budget("example", 60, 60),
    markets=Sweep(lambda _known: [Request("markets", "/markets")], listing),
    current=Sweep(lambda _known: [], lambda _body, _context: snapshot_rows([])),  # shows no predicted rate
    history=History(Backward(100, open_start=True), ask, rates, depth="since listing"),
    market=market, refusal=lambda _status, _body: None, unit="fraction", interval="1 h", checked="2026-11-22",
)  # fmt: skip
