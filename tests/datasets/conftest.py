import os

import pytest


@pytest.fixture(autouse=True)
def no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of real data that the user's environment names."""
    for name in list(os.environ):
        if name.startswith("RBCORE_") and name.endswith("_ROOT"):
            monkeypatch.delenv(name)
