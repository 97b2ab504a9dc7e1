"""The report of a backtest as one HTML page that needs nothing else: no network, no font, no script to be read."""

from fundingdb.report.grid_page import grid_html
from fundingdb.report.page import html

__all__ = ["grid_html", "html"]
