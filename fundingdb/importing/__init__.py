"""Import files of other tools: their rates become rows of table `funding`, or the file is refused with the reason.

`prepare` reads one file and returns its rows with the evidence for their unit, interval and time zone. It raises BadCall for
what is neither stated nor proven, BadData for what can't be right; both name file, row, rule and next step. Nothing is
guessed, nothing is written, and no request is sent.
"""

from fundingdb.importing.overlap import fresh, refuse_another, spans
from fundingdb.importing.preparing import CheckedRows, ImportOptions, prepare, prepare_all, together

__all__ = [
    "CheckedRows",
    "ImportOptions",
    "fresh",
    "prepare",
    "prepare_all",
    "refuse_another",
    "spans",
    "together",
]
