"""Funding rates in memory for backtests and notebooks: known at an instant, earned over a span."""
