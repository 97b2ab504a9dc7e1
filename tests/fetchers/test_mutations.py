"""Damaged responses of every fetcher: each is refused by an error of fundingdb, or gives rows that are possible."""

import json
import math
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from multiprocessing import get_context
from random import Random

import msgspec
import pytest

from fundingdb.errors import FundingdbError
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.limits import BOUND, LIMITS, SPECIAL_BOUND
from fundingdb.fetchers.testing.case import endpoints
from tests.fetchers.test_contract import CASES

SHORT, LONG = 20, 1_500  # damaged copies of each example
VALUES = (
    *(
        None,
        True,
        [],
        {},
        "",
        "x",
        "NaN",
        "-inf",
        "1e400",
        "0x10",
        "\u0661",
        "1_000",
        " 1",
        -1,
        0,
        8.5,
        1e308,
    ),
    *(
        "8",
        10**400,
        2**63,
        -(2**63),
        1e-320,
        "9" * 5000,
        "\u2028",
        1789142400,
        1789142400000,
        1789142400000000,
    ),
)
SOURCES = [f"{number}-{case.fetcher.source}" for number, case in enumerate(CASES)]


def places(value, path=()):
    """The paths of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(value, chance):
    """Another value in place of one: of another kind, unit, sign or size."""
    if value is None or isinstance(value, bool) or chance.random() < 0.5:
        return chance.choice(VALUES)
    if isinstance(value, list | dict):
        return value[1:] if isinstance(value, list) else dict(list(value.items())[1:])
    factor = chance.choice((-1, 8, 24, 100, 1000, 1e-3, 1 / 8, 1e30))
    if not isinstance(value, str):
        return type(value)(value * factor)
    try:
        return f"{float(value) * factor:.10f}"
    except ValueError:
        return value[: chance.randrange(len(value) + 1)] + chance.choice(("", "x", "-", "\x00"))


def damaged(body, chance, count):
    """So many damaged copies of a body: bytes lost or changed, or values of its JSON removed, replaced, moved or doubled."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    paths = list(places(value))
    for _ in range(count):
        if not paths or chance.random() < 0.1:
            at = chance.randrange(len(body) or 1)
            yield (
                body[:at]
                + bytes([chance.randrange(256)]) * chance.randrange(3)
                + body[at + chance.randrange(4) :]
            )
            continue
        copy = msgspec.json.decode(msgspec.json.encode(value))
        for path in chance.sample(paths, min(len(paths), chance.choice((1, 1, 2)))):
            parent = copy
            try:
                for key in path[:-1]:
                    parent = parent[key]
                old, way = parent[path[-1]], chance.random()
            except (KeyError, IndexError, TypeError):  # an earlier change has removed it
                continue
            if not isinstance(parent, dict | list):
                continue
            if way < 0.1:
                del parent[path[-1]]
            elif way < 0.15 and isinstance(parent, list):
                parent.append(deepcopy(old))
            else:
                parent[path[-1]] = changed(old, chance)
        yield json.dumps(copy).encode()


def problems(case, endpoint, body, context):
    """What is wrong with the reading of one body; nothing where it is refused or its rows are possible."""
    try:
        frame = endpoint.rows(body, context)
    except FundingdbError:
        return
    except Exception as error:  # noqa: BLE001 - this is what the test looks for
        yield f"{type(error).__name__}: {error}"
        return
    if endpoint.name != "history" or frame.is_empty():
        return
    limit = LIMITS.get(case.fetcher.exchange)
    for rate, kind, hours in frame.select("funding_rate", "rate_type", "interval_hours").rows():
        most = SPECIAL_BOUND if kind == "special" else BOUND
        if limit and kind == "regular":
            most = limit.bound * (max(hours or 8.0, 1.0) if limit.per == "hour" else 1.0)
        if abs(rate) > most * (1 + 1e-9):
            yield f"a rate of {rate} is beyond {most}"
    if case.fetcher.exchange == "hyperliquid":
        yield from off_premium(body)


def off_premium(body):
    """Rates of an accepted response that do not follow from the premiums beside them (main dex since 2024, xyz)."""
    for row in json.loads(body):
        rate, dex = float(row["fundingRate"]), row["coin"].rpartition(":")[0]
        if row["premium"] is None or dex not in ("", "xyz") or row["time"] < 1_704_067_200_000:
            continue
        premium = float(row["premium"])
        clamp, parts = (0.0003, 16) if dex else (0.0005, 8)
        due = (premium + min(max(0.0001 - premium, -clamp), clamp)) / parts
        due = min(max(due, -0.04), 0.04)
        if rate != premium and not math.isclose(rate, due, abs_tol=1.01e-8):
            yield f"the rate {rate} beside the premium {premium}, which makes {due}"


def damage(case, count):
    """The number of damaged bodies that were read, and what was wrong (the first of each kind)."""
    chance, done, wrong = Random(case.fetcher.source), 0, {}
    for endpoint in endpoints(case):
        market = case.market if endpoint.name == "history" else None
        for example in endpoint.examples:
            for body in damaged(example.body, chance, count):
                context = ResponseContext(example.at, market, example.markets, example.request)
                done += 1
                for problem in problems(case, endpoint, body, context):
                    wrong.setdefault(f"{endpoint.name}: {problem[:60]}", (problem, body[:2000]))
    return done, wrong


@pytest.mark.parametrize("case", CASES, ids=SOURCES)
def test_damaged_responses_are_refused_or_give_possible_rows(case):
    done, wrong = damage(case, SHORT)
    assert done >= SHORT
    assert wrong == {}


def damage_many(number):
    return damage(CASES[number], LONG)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_damaged_responses_are_refused_or_give_possible_rows():
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results = dict(zip(SOURCES, pool.map(damage_many, range(len(CASES))), strict=True))
    assert sum(done for done, _ in results.values()) >= 100_000
    assert {source: wrong for source, (_, wrong) in results.items() if wrong} == {}
