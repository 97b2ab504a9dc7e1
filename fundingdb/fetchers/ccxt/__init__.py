"""Exchanges on an allowlist, read through ccxt; their rows have source 'ccxt'."""
