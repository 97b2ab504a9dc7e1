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


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param(clause, id=f"{case.fetcher.source}: {clause}")
        for case in CASES
        for clause in clauses(case)
    ],
)
def test_a_built_in_fetcher_keeps_the_contract(clause):
    clause.check()


@pytest.mark.parametrize("exchange", [*BUILT_IN])
def test_each_built_in_exchange_has_a_case(exchange):
    assert exchange in {case.fetcher.source for case in CASES}
