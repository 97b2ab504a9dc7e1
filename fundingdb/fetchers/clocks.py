"""The old name of `fundingdb.fetchers.payload`, for the venue files."""

from fundingdb.fetchers.payload import (
    HOUR_MS,
    bounded,
    counted,
    hour_of,
    hundredth,
    iso_ms,
    ns_ms,
    refused,
    text_ms,
)

__all__ = ["HOUR_MS", "bounded", "counted", "hour_of", "hundredth", "iso_ms", "ns_ms", "refused", "text_ms"]
