"""Where the recorded answers and real series stand; tests that read them skip cleanly without them."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fundingdb", deadline=None)  # a busy machine is no defect
settings.load_profile("fundingdb")
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared (recorded answers, real series) is absent")
    return SHARED
