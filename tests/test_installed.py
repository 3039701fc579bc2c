"""The README's installation: `pip install .` into an empty folder, then what it says of a notebook,
far from the checkout.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rbcore as rb
from rbcore import store

ROOT = Path(__file__).resolve().parent.parent
BUILT_FROM = (
    "rbcore",
    "cache/bundled",
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "README.md",
    "LICENSE",
)
TRY = """
import importlib, json, pkgutil, sys
import rbcore
walked = pkgutil.walk_packages(rbcore.__path__, "rbcore.", onerror=lambda name: None)
found = [module.name for module in walked]
for name in found:
    importlib.import_module(name)
names = {}
exec(sys.stdin.read(), names)
from rbcore import store
from rbcore.reports.page import page_text
assert "<h1>a &lt; b</h1>" in page_text("a < b", [], [], str)
bundled = store.bundled_root()
print(json.dumps({
    "at": rbcore.__file__,
    "modules": found,
    "bundled": sorted(
        path.relative_to(bundled).as_posix() for path in bundled.rglob("*") if path.is_file()
    ),
    "bias": names["bias"].to_json(orient="table"),
}))
"""


def notebook_lines() -> str:
    """Return the lines of Python that README.md gives for a notebook."""
    (lines,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    return lines


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict:
    """Build and install the package without its dependencies, which lie on the path; import it and
    run the notebook's lines.
    """
    folder = tmp_path_factory.mktemp("installed")
    source, site, home = (folder / name for name in ("source", "site", "home"))
    for name in (
        BUILT_FROM
    ):  # a copy: a build leaves its folder behind, and takes up what an older one left
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, source / name)
    home.mkdir()
    offline = [
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        *offline,
        "--target",
        site,
        source,
    ]
    subprocess.run(install, check=True, cwd=home, capture_output=True)
    own = {"PYTHONPATH": str(site), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment = {name: value for name, value in os.environ.items() if name != "RBCORE_CACHE"}
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        cwd=home,
        env=environment | own,
        input=notebook_lines(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    verdict, result = done.stdout.splitlines()
    written = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    return json.loads(result) | {"site": str(site), "verdict": verdict, "written": written}


@pytest.mark.slow
def test_every_module_is_installed_and_can_be_imported(installed):
    sources = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "rbcore").rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__") for path in sources}
    assert set(installed["modules"]) == modules - {"rbcore"}
    assert installed["at"].startswith(installed["site"])


@pytest.mark.slow
def test_the_bundled_results_are_installed(installed):
    shipped = store.bundled_root()
    assert installed["bundled"] == sorted(
        path.relative_to(shipped).as_posix() for path in shipped.rglob("*") if path.is_file()
    )


@pytest.mark.slow
def test_the_notebook_of_the_readme_gives_what_ships_and_computes_nothing(installed):
    run = next(run for run in rb.list_runs("toyfaces", "small_cnn") if run.is_plain)
    expected = rb.robustness_bias(rb.stored_distances(run, "last", "minimal").rows, by="lighting")
    assert installed["verdict"] == rb.verdict(expected)
    table = json.loads(installed["bias"])["data"]
    assert [row["group"] for row in table] == expected["group"].tolist()
    assert [row["sigma"] for row in table] == pytest.approx(expected["sigma"].tolist(), rel=1e-9)
    assert not [path for path in installed["written"] if "distances" in path or "runs" in path]
