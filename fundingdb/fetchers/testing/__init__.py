"""The contract suite for fetchers: a Case shows what a fetcher reads, `clauses` are the tests that it must pass.

In the test file of a fetcher, built-in or of a package of its own:

    @pytest.mark.parametrize("clause", clauses(CASE), ids=str)
    def test_the_fetcher_keeps_the_contract(clause):
        clause.check()
"""

from __future__ import annotations

from functools import partial

from fundingdb.fetchers.testing import requests, responses, walks
from fundingdb.fetchers.testing.case import RECEIVED_AT, Case, Clause, Example, Refusal
from fundingdb.fetchers.testing.walks import walked

__all__ = ["RECEIVED_AT", "Case", "Clause", "Example", "Refusal", "clauses", "walked"]

# the docstring of each is the clause in words
_CLAUSES = (
    requests.declaration,
    requests.complete,
    responses.exact_rows,
    responses.own_rows,
    responses.pure,
    responses.empty_responses,
    responses.junk_refused,
    responses.replaced_values,
    responses.one_bad_row,
    responses.clocks,
    responses.refused_responses,
    requests.named_markets,
    requests.plain_requests,
    requests.bounded_requests,
    walks.round_trip,
)


def clauses(case: Case) -> list[Clause]:
    """All clauses of the contract for the fetcher of `case`."""
    return [Clause((one.__doc__ or "").strip().removesuffix("."), partial(one, case)) for one in _CLAUSES]
