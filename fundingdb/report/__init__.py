"""Backtest reports as self-contained HTML pages: no network, no fonts, readable without scripts."""

from fundingdb.report.grid_page import grid_html
from fundingdb.report.page import html

__all__ = ["grid_html", "html"]
