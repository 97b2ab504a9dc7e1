"""Clauses about responses: the rows of good ones, the refusal of all others."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadCall, FundingdbError
from fundingdb.fetchers.testing.case import (
    Case,
    Endpoint,
    endpoints,
    error_text,
    examples_of,
    plain_context,
    same_value,
)
from fundingdb.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from fundingdb.fetchers.contract import Request, ResponseContext

    _Serve = Callable[[Request, Sequence[tuple[datetime, float]]], bytes]


def exact_rows(case: Case) -> Iterator[str]:
    """A response gives exactly the rows worked out by hand."""
    for name, endpoint, example, context in examples_of(case):
        try:
            rows = endpoint.rows(example.body, context).to_dicts()
        except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
            yield f"{name}: {error_text(error)}"
            continue
        if len(rows) != len(example.rows):
            yield f"{name}: {len(rows)} rows, expected {len(example.rows)}"
            continue
        for i, (row, expected) in enumerate(zip(rows, example.rows, strict=True)):
            for column, value in expected.items():
                if not same_value(row.get(column, "no such column"), value):
                    yield f"{name}, row {i}, {column}: {row.get(column, 'no such column')!r}, expected {value!r}"


def own_rows(case: Case) -> Iterator[str]:
    """Rows carry the fetcher's own exchange and source and the instant of receipt, and are in order."""
    fetcher = case.fetcher
    for name, endpoint, example, context in examples_of(case):
        frame = endpoint.parse(example.body, context)
        # an aggregator shows the rates of other exchanges: those that the expected rows name
        exchanges = {fetcher.exchange} | {row["exchange"] for row in example.rows if "exchange" in row}
        own = {"exchange": exchanges, "source": {fetcher.source}}
        for column in own.keys() & set(frame.columns):
            if others := set(frame[column]) - own[column]:
                yield f"{name}: {column} {min(map(str, others))!r}"
        # observed_at may be the response's own time
        for stamp in {"fetched_at", "last_seen"} & set(frame.columns):
            if set(frame[stamp]) - {context.at}:
                yield f"{name}: {stamp} is not the instant of receipt"
        if endpoint.name == "history" and not frame["funding_time"].is_sorted():
            yield f"{name}: rows are not in order of funding_time"


def pure(case: Case) -> Iterator[str]:
    """Parsing is pure: the same bytes give the same rows."""
    stamps = ["fetched_at", "observed_at", "first_seen", "last_seen"]
    for name, endpoint, example, context in examples_of(case):
        first = endpoint.rows(example.body, context)
        if not first.equals(endpoint.rows(example.body, context)):
            yield f"{name}: the same bytes give other rows the second time"
        later = endpoint.rows(example.body, replace(context, at=context.at + timedelta(seconds=1)))
        kept = [column for column in first.columns if column not in stamps]
        if not first.select(kept).equals(later.select(kept)):
            yield f"{name}: received a second later, the same bytes give other rows"


_DEEP = 100_000


_JUNK: Mapping[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "HTML": b"<html><body>403</body></html>",
    "null": b"null",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of a number": b"[1]",
    "a text": b'"x"',
    "a cut object": b"{",
    "a list 100,000 deep": b"[" * _DEEP + b"]" * _DEEP,
    "an object 100,000 deep": b'{"data":' * _DEEP + b"1" + b"}" * _DEEP,
    "an integer of 400 digits": b"1" * 400,
    "bytes that are no UTF-8": b"\xff\xfe",
    "NaN": b"[NaN]",
    "Infinity": b'{"data": Infinity}',
}


def junk_refused(case: Case) -> Iterator[str]:
    """Bytes that are no response raise an error of fundingdb."""
    for endpoint in endpoints(case):
        if endpoint.request is None:
            continue
        right = [body.strip() for name, body in case.empty if name == endpoint.name]
        context = plain_context(case, endpoint)
        for name, body in _JUNK.items():
            if body.strip() not in right:
                yield from _not_refused(endpoint, f"{endpoint.name}, {name}", body, context)
        for example in endpoint.examples[:1]:
            whole = example.body.rstrip()
            for end in range(1, len(whole) - 1, max(1, len(whole) // 40)):
                yield from _not_refused(
                    endpoint, f"{endpoint.name} 0, cut at byte {end}", whole[:end], context
                )


def _not_refused(endpoint: Endpoint, name: str, body: bytes, context: ResponseContext) -> Iterator[str]:
    try:
        frame = endpoint.parse(body, context)
    except FundingdbError:
        return
    except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
        yield f"{name}: {error_text(error)}"
    else:
        yield f"{name}: {frame.height} rows, must raise BadPayload"


class _Gone:
    """In place of a value of an object: its key is removed."""


_REPLACED: tuple[tuple[str, object], ...] = (
    ("is removed", _Gone),
    ("is null", None),
    ("is the text x", "x"),
    ("is the text NaN", "NaN"),
    ("is the text Infinity", "Infinity"),
    ("is a list", []),
    ("is true", True),
    ("is an integer of 400 digits", 10**400),
    ("is -1", -1),
)


def replaced_values(case: Case) -> Iterator[str]:
    """A response with one wrong value raises BadPayload or gives rows that fit the table."""
    for name, endpoint, example, context in examples_of(case):
        for what, body in _changed(example.body, lambda _value: _REPLACED):
            try:
                endpoint.rows(body, context)
            except BadCall as error:
                yield f"{name}, {what}: {error_text(error)}; must be BadPayload"
            except FundingdbError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
                yield f"{name}, {what}: {error_text(error)}"


def clocks(case: Case) -> Iterator[str]:
    """A time in another unit (seconds for milliseconds) is refused."""
    for name, endpoint, example, context in examples_of(case):
        times = [column for column, dtype in endpoint.table.schema.items() if dtype == TIME]
        right = endpoint.rows(example.body, context).select(times)
        for what, body in _changed(example.body, _in_other_units):
            alone = replace(context, left_out=[])
            try:
                rows = endpoint.rows(body, alone)
            except FundingdbError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
                yield f"{name}, {what}: {error_text(error)}"
                continue
            if alone.left_out:
                rows = _surely_read(rows).select(times)
                if set(rows.rows()) <= set(right.rows()):
                    continue
            if not rows.select(times).equals(right):
                yield f"{name}, {what}: gives other times, must raise BadPayload or leave the row out"


def _surely_read(rows: pl.DataFrame) -> pl.DataFrame:
    """Without the markets whose listing could not be read."""
    return rows.filter(rows["status"] != "unknown") if "status" in rows.columns else rows


def one_bad_row(case: Case) -> Iterator[str]:
    """One bad row of a list of markets or of current rates is left out and reported, and the others stay as they are."""
    for name, endpoint, example, context in examples_of(case):
        if endpoint.name == "history":
            continue
        whole, partly = replace(context, left_out=[]), False
        right = set(endpoint.rows(example.body, whole).rows())
        if whole.left_out:
            continue
        for what, body in _changed(example.body, lambda _value: (("is the text x", "x"),)):
            alone = replace(context, left_out=[])
            try:
                rows = set(_surely_read(endpoint.rows(body, alone)).rows())
            except FundingdbError:
                continue
            if alone.left_out and (rows - right or len(right - rows) > len(alone.left_out)):
                yield f"{name}, {what}: {len(right - rows)} rows are lost and {len(rows - right)} others come instead"
            partly |= bool(alone.left_out) and bool(rows)
        if len(right) > 1 and not partly:
            yield f"{name}: a bad value in one row refuses the whole response; use rows.markets_of, rows.snapshots_of"


def _in_other_units(value: object) -> Iterator[tuple[str, object]]:
    """A Unix time between 2010 and 2100, in seconds to nanoseconds, a thousand times later and earlier."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if isinstance(value, bool) or not (isinstance(value, int) or digits):
        return
    number = int(value)
    if any(1_262_304_000 <= number / 1000**unit < 4_102_444_800 for unit in range(4)):
        for what, other in (("times 1000", number * 1000), ("divided by 1000", number // 1000)):
            yield what, str(other) if digits else other


def empty_responses(case: Case) -> Iterator[str]:
    """A response without rows gives none, with all columns of its table."""
    for endpoint in endpoints(case):
        for number, body in enumerate(body for name, body in case.empty if name == endpoint.name):
            rows = endpoint.rows(body, plain_context(case, endpoint))
            if rows.height:
                yield f"empty {endpoint.name} {number}: {rows.height} rows"


def refused_responses(case: Case) -> Iterator[str]:
    """A refusal of the exchange becomes the error that names what to do."""
    refusal = case.fetcher.refusal
    for one in case.refusals:
        error = refusal(one.status, one.body)
        if not isinstance(error, one.error or type(None)):
            expected = one.error.__name__ if one.error else "None"
            yield f"{one.status} {one.body[:60]!r}: {type(error).__name__}, expected {expected}"
    for name, _, example, _ in examples_of(case):
        if error := refusal(200, example.body):
            yield f"{name}: an ordinary response becomes {error_text(error)}"
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for what, body in _JUNK.items():
            error = refusal(status, body)
            if not isinstance(error, FundingdbError | None):
                yield f"{status} with {what}: {type(error).__name__}, must be an error of fundingdb or None"


def _changed(
    body: bytes, others: Callable[[object], Iterable[tuple[str, object]]]
) -> Iterator[tuple[str, bytes]]:
    """Copies of a JSON (or JSON Lines) body, each with one value replaced by one of `others` of it; none of other bodies."""
    whole = _is_json(body)
    try:
        values = [json.loads(line) for line in ([body] if whole else body.splitlines()) if line.strip()]
    except ValueError:
        return
    for parent, key, path in list(_places(values, "")):
        where = f"line {path}" if not whole else path.removeprefix("0.") if path != "0" else "the body"
        right = parent[key]
        for what, other in others(right):
            parent[key] = other
            yield f"{where} {what}", _encoded(values)
        parent[key] = right


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _encoded(values: list[Any]) -> bytes:
    return "\n".join(json.dumps(value) for value in _without_gone(values)).encode()


def _without_gone(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_gone(inner) for key, inner in value.items() if inner is not _Gone}
    return (
        [_without_gone(inner) for inner in value if inner is not _Gone] if isinstance(value, list) else value
    )


def _places(value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """(container, key, path in words) of everything inside `value`."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        where = f"{path}.{key}".strip(".")
        yield value, key, where
        yield from _places(inner, where)
