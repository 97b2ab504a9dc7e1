"""From the rows of a source into the lake: collecting, the ledger of requests, listings, intervals, quarantine."""
