import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, WalkNotProven
from fundingdb.fetchers.contract import Backward, Cursor, Days, Fixed, Forward, Offset
from fundingdb.transport.paging import Page, pieces, walk
from fundingdb.window import HOUR, Window

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(hour: int) -> datetime:
    return T0 + hour * HOUR


class Exchange:
    """Settlements at some hours; answers as real ones do. `widen` hours are last_span beyond each side by the fetcher."""

    def __init__(self, hours, cap, *, forward, widen=(0, 0), reach_back=0, doubles=False, shuffle=None):
        self.hours, self.cap, self.forward, self.widen = sorted(hours), cap, forward, widen
        self.reach_back, self.doubles, self.shuffle = reach_back, doubles, shuffle
        self.spans = []

    def answer(self, window: Window) -> list[datetime]:
        self.spans.append(window)
        start, stop = window.start - self.widen[0] * HOUR, window.stop + self.widen[1] * HOUR
        below = [at(h) for h in self.hours if at(h) < stop]
        inside = [t for t in below if t >= start]
        rows = inside[: self.cap] if self.forward else inside[-self.cap :]
        if not self.forward and len(inside) < self.reach_back:
            rows = below[-min(self.reach_back, self.cap) :]
        if self.doubles:
            rows = rows + rows[::2]
        if self.shuffle:
            self.shuffle.shuffle(rows)
        return rows


def collected(paging, exchange, window, step=HOUR, limit=10_000) -> list[datetime]:
    """What the walk brought, inside the window, without doubles."""
    walker, times = walk(paging, window, step), []
    request = next(walker)
    for _ in range(limit):
        rows = exchange.answer(request[0])
        times += rows
        try:
            request = walker.send(Page(rows))
        except StopIteration:
            return sorted({t for t in times if window.start <= t < window.stop})
        assert window.start <= request[0].start < request[0].stop <= window.stop
    raise AssertionError("the walk does not end")


def send_all(walker, pages):
    for page in pages:
        walker.send(page)


hours = st.sets(st.integers(0, 60), max_size=60)
spans = st.tuples(st.integers(0, 59), st.integers(1, 60)).map(lambda p: Window(at(p[0]), at(p[0] + p[1])))
caps = st.integers(1, 9)
lowered = st.integers(0, 8)


@st.composite
def walks(draw):
    kind = draw(st.sampled_from(["forward", "backward", "fixed"]))
    real = draw(caps)
    declared = real + draw(lowered)
    if draw(st.booleans()):
        declared = max(declared, 1000)  # lowered so far that no page ever looks full
    paging = {
        "forward": Forward(declared),
        "backward": Backward(declared),
        "fixed": Fixed(draw(st.integers(1, 40)), declared),
    }[kind]
    side = st.integers(0, 1) if real > 1 else st.just(0)
    exchange = Exchange(
        draw(hours),
        real,
        forward=kind == "forward",
        widen=(draw(side), draw(side)),
        reach_back=draw(st.integers(0, 5)) if kind != "forward" else 0,
        doubles=draw(st.booleans()),
        shuffle=random.Random(0) if draw(st.booleans()) else None,
    )
    return paging, exchange, draw(spans)


@given(walks())
def test_no_hour_is_lost_and_none_invented_and_the_walk_ends(case):
    paging, exchange, window = case
    want = [at(h) for h in exchange.hours if window.start <= at(h) < window.stop]
    try:
        assert collected(paging, exchange, window) == want
    except WalkNotProven:  # a full page of which nothing was last_span for
        last_span = exchange.spans[-1]
        rows = exchange.answer(last_span)
        assert len(rows) >= paging.cap
        assert not any(last_span.start <= t < last_span.stop for t in rows)
    spans_of = window.hours / getattr(paging, "hours", 1000)
    assert len(exchange.spans) <= window.hours + spans_of + 3


@given(
    hours=hours,
    cap=caps,
    forward=st.booleans(),
    window=spans,
    widen=st.integers(0, 2),
    more=st.integers(3, 9),
)
def test_a_widened_span_with_room_for_its_margin_is_always_proven(
    *, hours, cap, forward, window, widen, more
):
    real = cap + more
    exchange = Exchange(hours, real, forward=forward, widen=(widen, widen))
    paging = Forward(real + 100) if forward else Backward(real + 100)
    want = [at(h) for h in exchange.hours if window.start <= at(h) < window.stop]
    assert collected(paging, exchange, window) == want


@pytest.mark.parametrize(
    ("paging", "cap", "spans"),
    [
        (Backward(1000), 1000, 3),
        (Forward(500), 500, 5),
        (Fixed(720, 749), 749, 3),
        (Fixed(720, 749), 700, 6),
        (Backward(1000), 500, 5),
        (Backward(2160), 2160, 1),
    ],
)
def test_2160_full_hours_take_the_least_asks(paging, cap, spans):
    exchange = Exchange(range(-10, 2200), cap, forward=isinstance(paging, Forward))
    assert len(collected(paging, exchange, Window(at(0), at(2160)))) == 2160
    assert len(exchange.spans) == spans


def test_a_walk_that_stops_at_a_short_page_would_lose_rows():
    exchange = Exchange(range(100), 40, forward=False)
    window = Window(at(0), at(100))
    naive = exchange.answer(window)
    assert len(naive) < 1000  # short by the declared cap of 1,000, yet 60 hours are missing
    assert len(collected(Backward(1000), exchange, window)) == 100 > len(naive)


def test_an_eight_hour_market_needs_no_proving_ask():
    for forward, paging in ((True, Forward(100)), (False, Backward(100))):
        exchange = Exchange(range(0, 48, 8), 100, forward=forward)
        assert len(collected(paging, exchange, Window(at(0), at(47)), 8 * HOUR)) == 6
        assert len(exchange.spans) == 1


def test_hourly_rows_of_a_market_declared_as_eight_hours_are_not_lost():
    for forward, paging in ((True, Forward(1000)), (False, Backward(1000))):
        exchange = Exchange(range(20), 15, forward=forward)
        assert len(collected(paging, exchange, Window(at(0), at(20)), 8 * HOUR)) == 20


def test_a_page_full_by_the_declared_cap_that_ends_where_the_interval_changed_is_followed_by_another():
    exchange = Exchange([*range(8), *range(8, 88, 8)], 10, forward=False)
    assert len(collected(Backward(10), exchange, Window(at(1), at(88)), 8 * HOUR)) == 17


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("cap", range(1, 10))
def test_full_hours_of_every_length_lose_nothing_at_either_edge(cap, forward):
    for length in range(1, 25):
        exchange = Exchange(range(-30, 60), cap, forward=forward)
        window = Window(at(0), at(length))
        paging = Forward(1000) if forward else Backward(1000)
        assert collected(paging, exchange, window) == [at(h) for h in range(length)]
        assert len(exchange.spans) == -(-length // cap)


def test_an_empty_answer_proves_the_rest():
    exchange = Exchange([], 5, forward=False)
    assert collected(Backward(5), exchange, Window(at(0), at(50))) == []
    assert len(exchange.spans) == 1


def test_an_exchange_that_always_returns_its_newest_rows_is_refused():
    newest = [at(h) for h in range(900, 1000)]
    walker = walk(Backward(1000), Window(at(0), at(1000)), HOUR)
    next(walker)
    with pytest.raises(WalkNotProven, match=r"\[2026-01-01T00:00Z, .*outside may hide.*Report it"):
        send_all(walker, [Page(newest)] * 10)


def test_a_full_page_outside_the_window_is_refused():
    walker = walk(Forward(3), Window(at(0), at(10)), HOUR)
    next(walker)
    with pytest.raises(WalkNotProven, match="full page of 3 rows, none of them inside"):
        walker.send(Page([at(-1), at(-2), at(-3)]))


@pytest.mark.parametrize(
    ("paging", "hours", "hint"),
    [
        (Backward(3), [-3, -2, -1], r"takes no lower bound: Backward\(3, open_start=True\)"),
        (Forward(3), [7, 8, 9], r"no upper bound: Offset\(\) or Cursor\(newest_first=True\)"),
        (Backward(3), [10, 11, 12], r"or Forward\(3\) where its pages begin at the lower bound"),
    ],
)
def test_a_wrong_kind_of_paging_is_refused_with_the_kind_to_try(paging, hours, hint):
    """The window 0..5 is requested; the exchange pages in another way than the fetcher declares."""
    walker = walk(paging, Window(at(0), at(5)), HOUR)
    next(walker)
    with pytest.raises(WalkNotProven, match=hint):
        walker.send(Page([at(h) for h in hours]))


def test_more_settlements_than_fit_are_refused():
    walker = walk(Backward(1000), Window(at(0), at(2)), HOUR)
    next(walker)
    with pytest.raises(WalkNotProven, match="can't fit"):
        walker.send(Page([at(0) + timedelta(minutes=20 * n) for n in range(5)]))


def test_a_cursor_is_followed_until_none_is_named():
    window = Window(at(0), at(10))
    walker = walk(Cursor(), window, HOUR)
    assert next(walker) == (window, None)
    assert walker.send(Page([at(1)], "b")) == (window, "b")
    assert walker.send(Page([], "c")) == (window, "c")
    with pytest.raises(StopIteration):
        walker.send(Page([at(2)]))


def test_a_cursor_that_comes_twice_or_never_ends_is_refused():
    walker = walk(Cursor(), Window(at(0), at(10)), HOUR)
    next(walker)
    walker.send(Page([at(1)], "b"))
    with pytest.raises(WalkNotProven, match="'b' came twice"):
        walker.send(Page([at(1)], "b"))
    walker = walk(Cursor(), Window(at(0), at(10)), HOUR)
    next(walker)
    with pytest.raises(WalkNotProven, match="does not end"):
        send_all(walker, [Page([at(1)], str(n)) for n in range(5000)])


def test_a_step_that_is_no_interval_is_refused():
    with pytest.raises(BadCall, match="must be positive"):
        next(walk(Forward(1), Window(at(0), at(1)), timedelta(0)))


@given(hours=st.integers(1, 2_000), step=st.sampled_from([1, 4, 8]), cap=st.sampled_from([10, 74, 100, 900]))
def test_a_long_window_falls_into_pieces_of_bounded_rows_that_are_the_window(hours, step, cap):
    window = Window(T0, T0 + hours * HOUR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fundingdb.transport.paging._WALK_ROWS", 300)
        for paging in (Forward(cap), Backward(cap)):
            found = pieces(paging, window, step * HOUR)
            assert [found[0].start, *(p.stop for p in found)] == [*(p.start for p in found), window.stop]
            assert all(p.hours / step <= 300 + cap + 72 / step for p in found)
            assert len(found) == 1 or found[-1].hours > 72, "no seam where rows may still come late"


@pytest.mark.parametrize("forward", [True, False])
def test_a_seam_costs_a_page_at_most_and_no_row(forward, monkeypatch):
    monkeypatch.setattr("fundingdb.transport.paging._WALK_ROWS", 300)
    paging = Forward(100) if forward else Backward(100)
    window = Window(T0, T0 + 1500 * HOUR)
    for step in (1, 4, 8):
        exchange = Exchange(range(0, 1500, step), 100, forward=forward)
        found = pieces(paging, window, step * HOUR)
        rows = [t for piece in found for t in collected(paging, exchange, piece, step * HOUR)]
        assert rows == [at(hour) for hour in range(0, 1500, step)]
        assert len(exchange.spans) <= -(-1500 // step // 100) + len(found)


def test_a_source_that_pages_from_its_newest_row_is_walked_in_one_go():
    window = Window(T0, T0 + 50_000 * HOUR)
    for paging in (Cursor(newest_first=True), Cursor(), Offset(), Days(), Fixed(168, 168)):
        assert pieces(paging, window, HOUR) == [window]
