"""Bring your own data: files of others become rows of table `funding`, or are refused with the reason. No network, no lake.

`prepare` reads one file and gives rows with the evidence for their unit, interval and zone. What is neither said nor proven
raises BadCall, what can't be right raises BadData; both name file, row and rule. Nothing is guessed.
"""

from fundingdb.importing.lake_says import fresh, refuse_another
from fundingdb.importing.plan import Prepared, Wanted, prepare, together

__all__ = ["Prepared", "Wanted", "fresh", "prepare", "refuse_another", "together"]
