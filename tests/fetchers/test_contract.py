"""Every built-in fetcher passes the contract suite, on the responses of tests/fetchers/<venue>/case.py."""

from importlib import import_module
from pathlib import Path

import pytest

from fundingdb.fetchers.registry import BUILT_IN
from fundingdb.fetchers.testing import clauses


def cases():
    for path in sorted(Path(__file__).parent.glob("*/case.py")):
        module = import_module(f"tests.fetchers.{path.parent.name}.case")
        yield from getattr(module, "CASES", None) or [module.CASE]


CASES = list(cases())
# Some thousand parses a venue; test_mutations.py damages the same responses at random in the default run.
LONG = "A response with one wrong value raises BadPayload or gives rows that fit the table"


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param(
            clause,
            id=f"{case.fetcher.source}: {clause}",
            marks=[pytest.mark.slow] if str(clause) == LONG else [],
        )
        for case in CASES
        for clause in clauses(case)
    ],
)
def test_a_built_in_fetcher_keeps_the_contract(clause):
    clause.check()


def test_the_long_clause_is_one_of_each_case():
    assert all(sum(str(clause) == LONG for clause in clauses(case)) == 1 for case in CASES)


@pytest.mark.parametrize("exchange", [*BUILT_IN])
def test_each_built_in_exchange_has_a_case(exchange):
    assert exchange in {case.fetcher.source for case in CASES}
