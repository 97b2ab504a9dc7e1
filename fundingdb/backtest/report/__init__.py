"""The report of a backtest as one HTML page that needs nothing else: no network, no font, no script to be read."""

from fundingdb.backtest.report.page import html

__all__ = ["html"]
