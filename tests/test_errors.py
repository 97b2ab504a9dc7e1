"""The tree of errors: drawn as it is, near matches, and whole after a trip to another process."""

import inspect
import pickle
import re

import pytest

from fundingdb import errors
from fundingdb.errors import (
    BadCall,
    BadPayload,
    FundingdbError,
    RateLimited,
    SchemaError,
    UnknownName,
    escaped,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__ and issubclass(kind, FundingdbError)
]


def test_the_drawing_in_the_docstring_is_the_tree():
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"((?:[|` ]   |[|`]-- )*)([A-Z]\w+)\b", line):
            depth, name = len(found[1]) // 4, found[2]
            if depth or name == "FundingdbError":
                path = [*path[:depth], name]
                drawn[name] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}


def test_wrong_calls_end_with_2_and_the_rest_with_1():
    assert {kind.exit_code for kind in KINDS if issubclass(kind, BadCall)} == {2}
    assert {kind.exit_code for kind in KINDS if not issubclass(kind, BadCall)} == {1}


@pytest.mark.parametrize(
    ("name", "names", "text"),
    [
        ("extendd", ["extended", "lighter"], "unknown exchange 'extendd': did you mean extended?"),
        ("KPEPE", ["kPEPE", "BTC"], "did you mean kPEPE?"),
        ("zzz", ["extended", "lighter"], "choose from extended, lighter."),
        ("zzz", [], "there is none yet."),
        ("zzz", [f"n{i:02}" for i in range(20)], "n11 and 8 more"),
    ],
)
def test_an_unknown_name_comes_with_near_or_existing_ones(name, names, text):
    assert text in str(UnknownName("exchange", name, names))


def test_an_unknown_name_ends_with_its_hint():
    error = UnknownName("token", "KAITOO", ["KAITO"], "Run fundingdb markets.")
    assert str(error) == "unknown token 'KAITOO': did you mean KAITO? Run fundingdb markets."
    assert (error.kind, error.name, error.near) == ("token", "KAITOO", ("KAITO",))


def test_a_bad_payload_shows_a_short_excerpt_on_one_line():
    error = BadPayload("lighter", "fundings", "rate", "is missing", "{\n" + "x" * 500)
    assert "\n" not in str(error)
    assert str(error).startswith("lighter fundings: field rate: is missing near '{\\n")
    assert len(error.excerpt) == 120


@pytest.mark.parametrize(
    "error",
    [
        UnknownName("token", "KAITOO", ["KAITO"]),
        SchemaError("funding", ["column a is missing"]),
        BadPayload("lighter", "fundings", "rate", "is missing", "{}"),
        RateLimited("slow down", retry_after=3.5),
        FundingdbError("plain"),
    ],
)
def test_an_error_crosses_processes_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("A\u2028USDT", "A\\u2028USDT"),
        ("\u202eTDSU", "\\u202eTDSU"),
        ("BTC\u200b", "BTC\\u200b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("A\nB\x85", "A\\nB\\x85"),
        ("币安人生USDT", "币安人生USDT"),
        ("a b", "a b"),
    ],
)
def test_invisible_characters_of_a_name_are_printed_as_escapes(name, printed):
    assert escaped(name) == printed


def test_a_message_keeps_its_lines_but_no_control_of_the_terminal():
    assert str(SchemaError("funding", ["a\x1b[2J", "b\u202ec"])) == (
        "the frame does not fit table funding:\n  a\\x1b[2J\n  b\\u202ec"
    )
