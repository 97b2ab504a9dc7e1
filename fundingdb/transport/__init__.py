"""From a request to the bytes of its answer: budgets, retries, paging, streams and schedules. Network only, no disk."""
