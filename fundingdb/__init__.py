"""fundingdb: the funding rates of perpetual futures, right, on one's own machine."""

__version__ = "0.1.0"
