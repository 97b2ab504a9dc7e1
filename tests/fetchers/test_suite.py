"""The contract suite finds what is wrong: the example package with one mistake fails at the clause that is about it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from fundingdb.fetchers.testing import clauses

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
MODULE = (EXAMPLE / "src/fundingdb_example/exchange.py").read_text()
TEST = (EXAMPLE / "tests/test_exchange.py").read_text()


@pytest.fixture
def broken_clauses(monkeypatch):
    """The failures, by their sentence, of the example package whose module or test has one text replaced."""

    def failures(old, new):
        assert (old in MODULE) or (old in TEST)
        monkeypatch.setitem(sys.modules, "fundingdb_example", ModuleType("fundingdb_example"))
        for name, code in (("exchange", MODULE), ("test_exchange", TEST)):
            module = ModuleType(f"fundingdb_example.{name}")
            monkeypatch.setitem(sys.modules, module.__name__, module)
            exec(compile(code.replace(old, new), name, "exec"), module.__dict__)
        failed = {}
        for clause in clauses(module.CASE):
            try:
                clause.check()
            except AssertionError as error:
                failed[clause.words] = str(error)
        return failed

    return failures


def test_the_example_as_it_is_breaks_no_clause(broken_clauses):
    assert broken_clauses("GET, no key", "GET, no key") == {}


@pytest.mark.parametrize(
    ("old", "new", "words", "text"),
    [
        ('unit="percent per hour"', 'unit=""', "The declaration has", "unit is stated"),
        ("serve=serve", "serve=None", "The case shows", "Case.serve is missing"),
        ("-0.0001}", "0.0001}", "The case shows", "the sign is not shown"),
        (
            '"funding_rate": [read.percent(row, "rate", text=True)',
            '"funding_rate": [read.number(row, "rate", text=True)',
            "A response gives exactly",
            "history 0, row 0, funding_rate: -0.01, expected -0.0001",
        ),
        (
            '"funding_rate": [read.percent(',
            '"funding_rate": [-read.percent(',
            "A response gives exactly",
            "0.0001, expected -0.0001",
        ),
        (
            '"paid_at") for row in rows]',
            '"paid_at") - 3600000 for row in rows]',
            "A response",
            "funding_time",
        ),
        ('Market("example"', 'Market("okx"', "Rows carry", "exchange 'okx'"),
        (
            'read.array(decode(body, "example", "/tickers"))',
            'decode(body, "example", "/tickers")',
            "Bytes that are no response",
            "current, an empty object: 0 rows, must raise BadPayload",
        ),
        (
            'decode(body, "example", "/rates")',
            '__import__("json").loads(body)',
            "Bytes that are no response",
            "history, nothing: JSONDecodeError",
        ),
        (
            'read.percent(row, "rate", text=True) for row in rows]',
            'float(row["rate"]) / 100 for row in rows]',
            "A response with one wrong value",
            "ValueError",
        ),
        (
            'named_market(read, "symbol", read.get(row, "symbol", str), market)',
            'market(read.get(row, "symbol", str))',
            "A response with one wrong value",
            "0.symbol is the text x: BadCall",
        ),
        (
            'from_ms(read.ms(row, "next"))',
            'from_ms(read.get(row, "next", int) % 4_000_000_000_000)',
            "A time in another unit",
            "current 0, 0.next times 1000: gives other times",
        ),
        (
            '"interval_hours": 1.0,',
            '"interval_hours": 1.0 + context.at.second,',
            "Parsing is pure",
            "received a second later",
        ),
        ("may_be_empty=True", "may_be_empty=False", "A response without rows", "is an empty list"),
        ("return refused(", "return None and refused(", "A refusal", "NoneType, expected RateLimited"),
        ("asset in (", "asset in (symbol[5], ", "A symbol gives", "IndexError"),
        (
            'Request("/tickers", "/tickers")',
            'Request("/tickers", "/tickers", cost=61)',
            "Requests are",
            "cost 61",
        ),
        ('Request("/tickers", "/tickers")', 'Request("/tickers", "/a b")', "Requests are", "is not plain"),
        (
            '("to", str(window.ms[1]))',
            '("to", "1767326400000")',
            "A request states",
            "stop is not in the request",
        ),
        ("Backward(100, open_start=True)", "Forward(100)", "A walk over", "Backward(100, open_start=True)"),
        ("str(window.ms[1])", "str(window.ms[0])", "A walk over", "are lost, the first at"),
    ],
)
def test_a_mistake_fails_at_the_clause_that_is_about_it(broken_clauses, old, new, words, text):
    new = new.replace("Forward(", '__import__("fundingdb.fetchers.contract", fromlist=["x"]).Forward(')
    failed = broken_clauses(old, new)
    found = [message for clause, message in failed.items() if clause.startswith(words)]
    assert found, failed
    assert text in found[0]
