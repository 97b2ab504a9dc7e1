"""Keeps refused responses, each with a file of the reason, and internal errors, under warehouse/quarantine/<exchange>."""

from __future__ import annotations

import hashlib
import json
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from fundingdb.errors import BadPayload, InternalError
    from fundingdb.ingest.ledger import Attempt


def keep(warehouse: Path, attempt: Attempt, error: BadPayload, now: datetime) -> Path:
    """Write the body of `error` and a JSON file with the reason; return the path of the body."""
    home = warehouse / "quarantine" / attempt.exchange
    home.mkdir(parents=True, exist_ok=True)
    name = f"{now:%Y%m%dT%H%M%S}-{hashlib.sha256(error.body).hexdigest()[:12]}"
    body = home / f"{name}.body"
    body.write_bytes(error.body)
    reason = {
        "exchange": attempt.exchange,
        "symbol": attempt.symbol,
        "endpoint": error.endpoint,
        "window": [attempt.window.start.isoformat(), attempt.window.stop.isoformat()]
        if attempt.window
        else None,
        "reason": str(error),
        "kept_at": now.isoformat(),
    }
    (home / f"{name}.json").write_text(json.dumps(reason, indent=2) + "\n")
    return body


def keep_trace(warehouse: Path, attempt: Attempt, error: InternalError, now: datetime) -> Path:
    """Write a file with an internal error and where in fundingdb it arose; return its path."""
    home = warehouse / "quarantine" / attempt.exchange
    home.mkdir(parents=True, exist_ok=True)
    lines = "".join(traceback.format_exception(error.__cause__, limit=-8)) if error.__cause__ else ""
    path = (
        home
        / f"{now:%Y%m%dT%H%M%S}-{hashlib.sha256(f'{attempt}{lines}'.encode()).hexdigest()[:12]}.error.txt"
    )
    path.write_text(f"{attempt}\n{error}\n\n{lines}")
    return path
