"""Binance's monthly archive: published first rows, bad zips, a simulated archive walked end to end, beside the API."""

import asyncio
import hashlib
import json
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.catalog import catalog
from fundingdb.catalog.doctor import examine
from fundingdb.cli import main
from fundingdb.errors import BadCall, BadPayload, UnknownName, WalkNotProven
from fundingdb.fetchers import binance
from fundingdb.fetchers.binance_archive import COIN_M, SOURCE, USD_M
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.registry import ARCHIVES, BUILT_IN, archive
from fundingdb.ingest.collector import Collector
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING
from fundingdb.transport.http import Engine, _is_incomplete
from fundingdb.transport.paging import Page, requestable, walk
from fundingdb.window import HOUR, Window, from_ms, to_ms
from tests.fetchers.binance.archive_case import (
    AT,
    BITCOIN,
    COIN,
    DIVIDEND,
    HEADER,
    checksum,
    csv,
    month_file,
    zipped,
)
from tests.fetchers.binance.case import payment, written


def read(body, fetcher=USD_M, market=None, request=None):
    return FUNDING.check(fetcher.history.parse(body, ResponseContext(AT, market=market, request=request)))


def asking(body, symbol="BTCUSDT", fetcher=USD_M, at=datetime(2024, 1, 1, tzinfo=UTC)):
    """Market and request of the file, its hash promised."""
    market = fetcher.market(symbol)
    sha = hashlib.sha256(body).hexdigest()
    return market, fetcher.history.request(market, Window(at, at + HOUR), sha)


# --- the figures


def test_the_interval_stands_in_the_row():
    rows = read(month_file(BITCOIN))
    assert rows["funding_rate"].to_list() == [0.00037409, 0.00027213, 0.00033601]
    assert rows["interval_hours"].to_list() == [8.0] * 3
    assert set(rows["interval_from"]) == {"row"}
    assert rows.select("exchange", "source", "symbol", "base", "quote").unique().rows() == [
        ("binance", "binance-archive", "BTCUSDT", "BTC", "USDT")
    ]


def test_coin_margined_files_are_read_alike_and_a_late_stamp_is_snapped():
    rows = read(month_file(COIN, "BTCUSD_PERP", "2023-06"), COIN_M)
    assert rows["funding_time"][0] == datetime(2023, 6, 1, tzinfo=UTC)
    assert rows["reported_time"][0] == datetime(2023, 6, 1, 0, 0, 0, 11_000, tzinfo=UTC)
    assert rows.select("exchange", "source", "quote").unique().rows() == [
        ("binance-coinm", "binance-archive", "USD")
    ]
    assert rows["interval_hours"].to_list() == [8.0] * 3


def test_of_two_rows_at_one_instant_the_later_is_special_and_a_contradicted_interval_is_null():
    """1.78 of dividend at a mark of 746.2: -1.78 / (746.2 - 1.78) = -0.00239112. At 08:00 the row states 8 h, four
    hours after the payment before it.
    """
    rows = read(month_file(DIVIDEND, "SPYUSDT", "2026-06"))
    assert rows["rate_type"].to_list() == ["regular", "special", *["regular"] * 5]
    assert rows["funding_rate"][1] == pytest.approx(-1.78 / (746.2 - 1.78), abs=5e-9)
    assert rows["interval_hours"].to_list() == [1.0, None, 1.0, 1.0, 1.0, 1.0, None]
    assert rows["interval_from"].to_list() == ["row", "unknown", "row", "row", "row", "row", "unknown"]
    assert rows["funding_time"][6] == datetime(2026, 6, 18, 8, tzinfo=UTC)


def test_a_file_that_states_the_interval_of_today_for_each_old_payment_is_refused():
    rows = [(t, 4, r) for t, _, r in BITCOIN] + [(1704153600000, 4, "0.00065846")]
    with pytest.raises(BadPayload, match="contradicts the distance of the payments in 3 of 4 rows"):
        read(month_file(rows))


@given(
    st.lists(st.tuples(st.integers(0, 743), st.integers(-10_000_000, 10_000_000)), min_size=1, max_size=50)
)
def test_what_is_packed_is_what_is_read(pairs):
    """Any rates on the hours of a month, eight decimals each, hour after hour or with holes."""
    start = to_ms(datetime(2024, 1, 1, tzinfo=UTC))
    wanted = {start + hour * 3_600_000: rate / 1e8 for hour, rate in pairs}
    times = sorted(wanted)
    hours = [1, *((b - a) // 3_600_000 for a, b in pairwise(times))]
    if max(hours) > 24:
        return
    body = month_file([(t, h, f"{wanted[t]:.8f}") for t, h in zip(times, hours, strict=True)])
    rows = read(body)
    assert rows["funding_time"].to_list() == [from_ms(t) for t in times]
    assert rows["funding_rate"].to_list() == pytest.approx([wanted[t] for t in times], abs=1e-15)
    assert rows["interval_hours"].to_list() == [float(h) for h in hours]
    assert not _is_incomplete(body)
    assert not _is_incomplete(checksum(body)), "the engine takes neither for cut JSON"


# --- what is refused


GOOD = csv(BITCOIN)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>maintenance</html>", "is neither a zip archive nor a checksum"),
        (b"", "is neither a zip archive nor a checksum"),
        (month_file(GOOD)[:-30], "is no whole zip archive"),
        (zipped(), "has 0 members, must be one"),
        (zipped(("BTCUSDT-fundingRate-2024-01.csv", GOOD), ("more.csv", GOOD)), "has 2 members"),
        (zipped(("../../BTCUSDT-fundingRate-2024-01.csv", GOOD)), "is not the month of a market"),
        (zipped(("/etc/passwd", GOOD)), "is not the month of a market"),
        (month_file(GOOD, symbol="NOBODY"), "NOBODY"),
        (
            zipped(("BTCUSDT-fundingRate-2024-01.csv", GOOD), method=zipfile.ZIP_BZIP2),
            "another way than deflate",
        ),
        (zipped(("BTCUSDT-fundingRate-2024-01.csv", b"0" * (1 << 24))), "is larger than a month of payments"),
        (b"PK" + b"\0" * (1 << 20), "is larger than a month of payments"),
        (month_file(csv(BITCOIN).partition("\n")[2]), "field .header.: is not calc_time"),
        (month_file(csv(BITCOIN, header=HEADER + ",mark_price")), "field .header."),
        (month_file(HEADER + "\n"), "are none"),
        (month_file(""), "field .header."),
        (month_file(csv([(1704067200000, 8)])), "has 2 cells"),
        (month_file(csv([(1704067200000, 8, "NaN")])), "last_funding_rate: is not a finite decimal"),
        (month_file(csv([(1704067200000, 8, "")])), "last_funding_rate: is not a finite decimal"),
        (month_file(csv([(1704067200000, 8, "0.5")])), "0.5 is beyond 0.1 per interval"),
        (month_file(csv([(1704067200000, "", "0.0001")])), "funding_interval_hours: is not within 1..24"),
        (month_file(csv([(1704067200000, 0, "0.0001")])), "funding_interval_hours: is not within 1..24"),
        (month_file(csv([(1704067200000, "8.5", "0.0001")])), "funding_interval_hours"),
        (month_file(csv([(1704067200, 8, "0.0001")])), "calc_time: is not a time in Unix milliseconds"),
        (month_file(csv([(1704069000000, 8, "0.0001")])), "not within a minute after a full hour"),
        (month_file(csv([(1706745600000, 8, "0.0001")])), "lies outside the month 2024-01"),
        (month_file(csv([BITCOIN[0], (BITCOIN[0][0], 8, "0.0002")])), "2 payments at one instant"),
        (zipped(("BTCUSDT-fundingRate-2024-01.csv", GOOD.replace("0.0", "0.\u0660"))), "no plain text"),
    ],
)
def test_a_file_that_is_not_as_described_gives_nothing(body, words):
    with pytest.raises((BadPayload, BadCall), match=words):
        read(body)


def test_a_damaged_byte_is_found():
    body = bytearray(zipped(("BTCUSDT-fundingRate-2024-01.csv", GOOD), method=zipfile.ZIP_STORED))
    place = bytes(body).index(b"0.00037409")
    body[place + 3] ^= 1
    with pytest.raises(BadPayload, match="is no whole zip archive"):
        read(bytes(body))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_is_damaged_gives_the_same_rows_or_none(changes):
    """A saved file without its checksum: the zip's own sums and the strict reading are what is left."""
    body = bytearray(month_file(GOOD))
    for place, byte in changes:
        body[place % len(body)] = byte
    try:
        rows = read(bytes(body))
    except (BadPayload, BadCall):
        return
    assert rows["funding_rate"].to_list() == [float(rate) for _, _, rate in BITCOIN]
    assert rows["interval_hours"].to_list() == [8.0] * 3


def test_only_the_file_with_the_promised_hash_is_read():
    good, other = month_file(GOOD), month_file(csv(BITCOIN[:2]))
    market, request = asking(good)
    assert read(good, market=market, request=request).height == 3
    with pytest.raises(BadPayload, match="does not hash to the checksum"):
        read(other, market=market, request=request)
    with pytest.raises(BadPayload, match="is no zip archive"):
        read(checksum(good), market=market, request=request)
    for body in (month_file(GOOD, "ETHUSDT"), month_file(GOOD, month="2024-02")):
        with pytest.raises(BadPayload, match="is not the month of BTCUSDT-fundingRate-2024-01.zip"):
            read(body, market=market, request=asking(body)[1])
    first = USD_M.history.request(market, Window(from_ms(BITCOIN[0][0]), from_ms(BITCOIN[1][0])), None)
    assert read(checksum(good), market=market, request=first).is_empty()
    with pytest.raises(BadPayload, match="is not that of BTCUSDT"):
        read(checksum(good, "ETHUSDT-fundingRate-2024-01.zip"), market=market, request=first)


def test_the_request_of_a_month():
    _, request = asking(b"", "BTCUSD_PERP", COIN_M)
    path = "/data/futures/cm/monthly/fundingRate/BTCUSD_PERP/BTCUSD_PERP-fundingRate-2024-01.zip"
    assert (request.path, request.sha256) == (path, hashlib.sha256(b"").hexdigest())
    assert {archive(name).budget for name in ARCHIVES if name.startswith("binance")} == {USD_M.budget}
    assert set(ARCHIVES) <= set(BUILT_IN)
    with pytest.raises(UnknownName, match="binance"):
        archive("binanse")
    with pytest.raises(UnknownName, match="exchange with an archive"):
        archive("bybit")


def test_a_missing_file_is_a_failure_that_names_both_reasons():
    assert "it does not say which" in str(USD_M.refusal(404, b"<Error><Code>NoSuchKey</Code></Error>"))


# --- months


def test_only_whole_months_that_are_surely_published_are_requested():
    paging = USD_M.history.paging
    window = Window(datetime(2019, 11, 20, 5, tzinfo=UTC), datetime(2020, 3, 9, 1, tzinfo=UTC))
    january, february = (
        Window(datetime(2020, m, 1, tzinfo=UTC), datetime(2020, m + 1, 1, tzinfo=UTC)) for m in (1, 2)
    )
    assert requestable(paging, window, datetime(2020, 3, 9, tzinfo=UTC)) == [january, february]
    assert requestable(paging, window, datetime(2020, 3, 8, 23, 59, tzinfo=UTC)) == [january]
    assert requestable(paging, window, AT, ended=datetime(2020, 1, 31, tzinfo=UTC)) == [january]
    december = Window(datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert requestable(paging, december, AT)[0].stop == datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(0, 40_000), st.integers(1, 5000))
def test_a_walk_requests_checksum_and_file_of_each_month_once(start, hours):
    begin = datetime(2020, 1, 1, tzinfo=UTC) + start * HOUR
    window = Window(begin, begin + hours * HOUR)
    walker, steps = walk(USD_M.history.paging, window, HOUR), []
    step = next(walker)
    while step is not None:
        steps.append(step)
        try:
            step = walker.send(
                Page([] if step[1] is None else [step[0].start], "sum" if step[1] is None else None)
            )
        except StopIteration:
            step = None
    assert [cursor for _, cursor in steps] == [None, "sum"] * (len(steps) // 2)
    months = [span for span, cursor in steps if cursor]
    assert months[0].start == window.start
    assert months[-1].stop == window.stop
    assert all(a.stop == b.start and b.start.day == 1 for a, b in pairwise(months))
    assert all((m.stop - HOUR).month == m.start.month for m in months)


@pytest.mark.parametrize(
    "pages",
    [
        [Page([])],
        [Page([AT], "sum")],
        [Page([], "sum"), Page([], "more")],
        [Page([], "sum"), Page([datetime(2024, 2, 1, tzinfo=UTC)])],
    ],
)
def test_a_walk_that_does_not_add_up_is_not_proven(pages):
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    walker = walk(USD_M.history.paging, Window(begin, begin + 5 * HOUR), HOUR)
    next(walker)
    *good, bad = pages
    for page in good:
        walker.send(page)
    with pytest.raises(WalkNotProven):
        walker.send(bad)


# --- end to end


class Venue:
    """Archive and API as one transport: `months` by (symbol, month), the API's rows by symbol."""

    def __init__(self, months, api=(), listed=None):
        self.listed = listed
        self.months, self.api, self.requests = months, list(api), []

    def __call__(self, request):
        host, path = request.url.host, request.url.path
        self.requests.append((host, path))
        if path.endswith(("/exchangeInfo", "/fundingInfo")):
            name = path.rpartition("/")[2]
            body = json.loads(written("binance", name))
            if name == "exchangeInfo":
                body["symbols"] = [s for s in body["symbols"] if s["symbol"] == "BTCUSDT"]
                body["symbols"][0]["onboardDate"] = self.listed and to_ms(self.listed)
            return httpx.Response(200, json=body)
        if path.endswith("/fundingRate"):
            p = dict(request.url.params)
            low, high = int(p["startTime"]), int(p["endTime"])
            return httpx.Response(200, json=[r for r in self.api if low <= r["fundingTime"] <= high][:1000])
        name = path.rpartition("/")[2]
        body = self.months.get(name.removesuffix(".CHECKSUM"))
        if body is None:
            return httpx.Response(404, text="<Error><Code>NoSuchKey</Code></Error>")
        return httpx.Response(200, content=checksum(body, name[:-9]) if name.endswith(".CHECKSUM") else body)

    def files(self):
        return [path for _, path in self.requests if path.endswith(".zip")]


def backfill(home, venue, window, fetchers=(USD_M,), env=None):
    async def work():
        def dated(request):
            response = venue(request)
            response.headers["Date"] = format_datetime(AT, usegmt=True)
            return response

        net = Engine(transport=httpx.MockTransport(dated), now=lambda: AT, jitter=lambda: 0.0, env=env or {})
        async with net as engine:
            return await Collector(Lake(home), home, engine, now=lambda: AT).backfill(fetchers, window)

    return asyncio.run(work())


def paid_rate(t):
    return f"{((t // 3_600_000) * 7919 % 2001 - 1000) / 1e7:.8f}"


def a_world(first, last, changed):
    """Payments each 8 h, each 4 h after `changed`: (stamp, hours, rate); files by name."""
    times, at = [], first
    while at < last:
        times.append((to_ms(at) + 3, 8 if at <= changed else 4))
        at += timedelta(hours=8 if at < changed else 4)
    rows = [(t, h, paid_rate(t)) for t, h in times]
    files: dict[str, list] = {}
    for row in rows:
        files.setdefault(f"{from_ms(row[0]):%Y-%m}", []).append(row)
    return rows, {f"BTCUSDT-fundingRate-{m}.zip": month_file(r, month=m) for m, r in files.items()}


def day(month, number=1):
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.mark.slow
def test_finished_months_come_whole_one_that_is_missing_fails_alone_and_a_repeat_requests_only_it(
    tmp_path,
):
    rows, files = a_world(day(5), day(11, 20), day(8, 3))
    hole = files.pop("BTCUSDT-fundingRate-2026-07.zip")
    venue = Venue(files)
    report = backfill(tmp_path, venue, Window(day(5, 20), AT))
    assert [(f.exchange, f.window) for f in report.failures] == [("binance", Window(day(7), day(8)))]
    assert "no such month (404): not published, or the market had no payment" in str(report.failures[0].error)
    assert (report.exit_code, report.windows) == (3, 5)
    lake = Lake(tmp_path)
    stored = lake.scan("funding").sort("funding_time").collect()
    wanted = [r for r in rows if from_ms(r[0]).month not in (7, 11)]
    assert stored["funding_time"].to_list() == [from_ms(t - 3) for t, _, _ in wanted]
    assert stored["funding_rate"].to_list() == [float(r) for _, _, r in wanted]
    assert stored["interval_hours"].to_list() == [float(h) for _, h, _ in wanted]
    assert set(stored["source"]) == {SOURCE}
    assert not any("2026-11" in path for path in venue.files()), "an unfinished month has no file"
    assert lake.scan("markets").collect()["symbol"].to_list() == ["BTCUSDT"], (
        "the list is the API's, and kept"
    )
    venue.months["BTCUSDT-fundingRate-2026-07.zip"] = hole
    venue.requests.clear()
    again = backfill(tmp_path, venue, Window(day(5, 20), AT))
    assert (again.exit_code, again.windows, len(venue.files())) == (0, 1, 1)
    assert lake.scan("funding").collect().height == sum(from_ms(t) < day(11) for t, _, _ in rows)
    spans = (
        catalog.connect(tmp_path)
        .sql("select interval_hours, change from intervals order by first_time")
        .fetchall()
    )
    assert spans == [(8.0, "first"), (4.0, "shorter")]


def test_a_listing_within_a_month_leaves_no_hole_before_it_and_old_files_are_no_stale_source(
    tmp_path,
):
    rows, files = a_world(day(5, 15), day(7), day(4))
    venue = Venue(files, listed=day(5, 15) - 3 * HOUR)
    assert backfill(tmp_path, venue, Window(day(1), AT)).windows == 2, (
        "May and June; July to October are missing"
    )
    con = catalog.connect(tmp_path)
    assert con.sql("select count(*) from funding").fetchall() == [(len(rows),)]
    assert con.sql("select count(*) from gaps where place <> 'after'").fetchall() == [(0,)]
    (fresh,) = [f for f in examine(tmp_path) if (f.section, f.subject) == ("freshness", SOURCE)]
    assert not fresh.alarm


def test_a_file_that_does_not_hash_to_its_checksum_is_kept_aside(tmp_path):
    _, files = a_world(day(9), day(10), day(8))
    venue = Venue(files)

    def lying(request):
        response = venue(request)
        return (
            httpx.Response(200, content=month_file(BITCOIN))
            if request.url.path.endswith(".zip")
            else response
        )

    report = backfill(tmp_path, lying, Window(day(9), day(10)))
    assert report.exit_code == 1
    assert "does not hash to the checksum" in str(report.failures[0].error)
    assert [p.read_bytes() for p in (tmp_path / "quarantine/binance").glob("*.body")] == [month_file(BITCOIN)]
    assert Lake(tmp_path).scan("funding").collect().is_empty()


def test_the_archive_has_its_own_address_by_environment(tmp_path):
    _, files = a_world(day(9), day(10), day(8))
    venue = Venue(files)
    env = {"FUNDINGDB_BINANCE_ARCHIVE_URL": "http://here.test/x", "FUNDINGDB_BINANCE_URL": "http://api.test"}
    assert backfill(tmp_path, venue, Window(day(9), day(10)), env=env).exit_code == 0
    assert {(host, path.startswith("/x/data/futures/um/")) for host, path in venue.requests} == {
        ("here.test", True),
        ("api.test", False),
    }


# --- two sources of one payment


def api_rows(rows):
    return [payment(r, t, markPrice="77000.0") for t, _, r in rows]


def test_the_exchanges_own_rows_are_shown_with_the_hours_that_the_archive_states(tmp_path):
    """Payments each 8 h, then each 4 h: of rows alone the first ones and the step stay unknown; the archive states it."""
    rows, files = a_world(day(8), day(9), day(8, 15))
    venue = Venue(files, api_rows(rows))
    window = Window(day(8), day(9))
    backfill(tmp_path, venue, window, (binance.FETCHER,))
    unknown = "select count(*) from funding where interval_hours is null"
    con = catalog.connect(tmp_path)
    ((before,),) = con.sql(unknown).fetchall()
    assert before > 0
    backfill(tmp_path, venue, window)
    con = catalog.connect(tmp_path)
    assert con.sql(unknown).fetchall() == [(0,)]
    shown = con.sql(
        "select source, interval_hours, interval_from, mark_price from funding order by funding_time"
    ).pl()
    assert set(shown["source"]) == {"binance"}
    assert set(shown["mark_price"]) == {77000.0}
    assert shown["interval_hours"].to_list() == [float(h) for _, h, _ in rows]
    assert shown["interval_from"].to_list().count("row") == before
    assert con.sql("select verdict, count(*) from reconciliation group by all").fetchall() == [
        ("agree", len(rows))
    ]


def test_hours_do_not_come_from_a_source_with_another_rate(tmp_path):
    rows, files = a_world(day(8), day(9), day(8, 15))
    doubled = [(t, h, f"{float(r) * 8:.8f}") for t, h, r in rows]
    backfill(tmp_path, Venue(files, api_rows(doubled)), Window(day(8), day(9)), (binance.FETCHER, USD_M))
    con = catalog.connect(tmp_path)
    known = con.sql(
        "select interval_from, count(*) from funding where funding_rate <> 0 group by all"
    ).fetchall()
    assert {who for who, _ in known} == {"observed", "unknown"}
    verdicts = con.sql("select verdict from reconciliation_summary").fetchall()
    assert verdicts == [("/8",)], "the archive is an eighth of the API: the fault has a name"


@pytest.mark.slow
def test_real_years_of_the_api_packed_as_files_agree_payment_by_payment(tmp_path, shared):
    saved = shared / "data/raw/binance/fundingRate_BTCUSDT_2022-01_2025-12_rekeyed.json"
    rows = [(int(r["time"]), 8, r["funding_rate"]) for r in json.loads(saved.read_text())]
    api = {t // 3_600_000: float(rate) for t, _, rate in rows}
    assert [float(rate) for _, _, rate in BITCOIN] == [api[t // 3_600_000] for t, _, _ in BITCOIN]
    rows = [r for r in rows if datetime(2025, 1, 1, tzinfo=UTC) <= from_ms(r[0])]
    months: dict[str, list] = {}
    for row in rows:
        months.setdefault(f"{from_ms(row[0]):%Y-%m}", []).append(row)
    files = {f"BTCUSDT-fundingRate-{m}.zip": month_file(r, month=m) for m, r in months.items()}
    window = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    report = backfill(tmp_path, Venue(files, api_rows(rows)), window, (binance.FETCHER, USD_M))
    assert not report.failures
    con = catalog.connect(tmp_path)
    assert con.sql("select verdict, count(*) from reconciliation group by all").fetchall() == [
        ("agree", len(rows))
    ]
    assert con.sql("select source, interval_hours, count(*) from funding group by all").fetchall() == [
        ("binance", 8.0, len(rows))
    ]


# --- by hand


def test_a_saved_file_is_parsed_by_hand(tmp_path, capsys):
    file = tmp_path / "saved.zip"
    file.write_bytes(month_file(BITCOIN))
    words = ["parse", "binance", "history", str(file), "--source", "archive", "--json"]
    assert main(words) == 0
    (first, *_) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["symbol"], first["interval_hours"], first["funding_rate"]) == ("BTCUSDT", 8.0, 0.00037409)
    assert main([*words, "--symbol", "ETHUSDT"]) == 1
    assert "is not of the requested ETHUSDT" in capsys.readouterr().err
    assert main(["parse", "binance", "current", str(file), "--source", "archive"]) == 2
    assert "settled rates only" in capsys.readouterr().err


def test_the_command_line_names_the_exchanges_that_have_an_archive(tmp_path, capsys):
    assert main(["backfill", "bybit", "--source", "archive", "--all", "--warehouse", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert "unknown exchange with an archive 'bybit'" in errors
    assert "binance, binance-coinm" in errors
