"""One walk over a window of a fetcher's history against a venue played by the test: `walked(fetcher, market, serve, window)`."""

from fundingdb.fetchers.testing import walked

__all__ = ["walked"]
