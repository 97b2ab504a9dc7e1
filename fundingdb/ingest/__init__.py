"""Brings the rows of sources into the lake: collecting, recording, the gate for rows, the ledger of requests, intervals."""
