"""Requests to exchanges: budgets, retries, paging, streams and schedules. Network only, no disk."""
