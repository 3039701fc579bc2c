import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch: small networks on two shared cores mostly wait for each other

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("machines of any speed", deadline=None)
settings.load_profile("machines of any speed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for every test; what ships stays visible below it."""
    root = tmp_path / "cache"
    monkeypatch.setenv("RBCORE_CACHE", str(root))
    monkeypatch.delenv("RBCORE_UTKFACE_ROOT", raising=False)
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that is not part of the project: utkface/UTKFace, ug100."""
    folder = os.environ.get("RBCORE_TEST_DATA")
    if not folder:
        pytest.skip("RBCORE_TEST_DATA is not set, so the real data are not at hand")
    return Path(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run fast tests first: those that train longer after them, those that need a browser last."""
    items.sort(
        key=lambda item: ("browser" in item.path.parts, item.get_closest_marker("slow") is not None)
    )
