"""Where the recorded answers and real series stand; tests that read them skip cleanly without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared (recorded answers, real series) is absent")
    return SHARED
