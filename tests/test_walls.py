"""Who may import whom (the rooms of the house): read from the source, so a wall that is broken fails here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py")), *sorted((ROOT / "rbcore").rglob("*.py"))]

COMMON = {"errors", "registry", "running"}
ALLOWED = {
    "errors": set(),
    "registry": {"errors"},
    "running": {"errors"},
    "spreadsheet": set(),
    "outputs": {"errors", "running"},
    "pickles": {"errors"},
    "store": {"errors"},
    "partitions": {"errors", "registry"},
    "datasets": COMMON | {"partitions", "pickles", "store"},
    "command_lines": set(),
    "models": COMMON | {"command_lines", "outputs", "pickles", "recipes", "store"},
    "distances": COMMON | {"outputs", "partitions", "result_tables", "sampling"},
    "best": {"store", "distances"},
    "result_tables": {"errors"},
    "attributes": {"datasets", "errors", "partitions", "running", "sampling", "store"},
    "sampling": {"errors", "partitions"},
    "measures": {"errors", "registry", "partitions", "result_tables", "sampling"},
    "inference": {"errors", "measures", "partitions", "registry", "result_tables", "sampling"},
    "charts": {"measures", "inference", "result_tables"},
    "analyses": COMMON
    | {
        "api",
        "best",
        "datasets",
        "distances",
        "inference",
        "measures",
        "models",
        "partitions",
        "recipes",
        "result_tables",
        "sampling",
    },
    "report": {"charts", "errors", "spreadsheet", "store"},
    "disk": {"distances", "errors", "models", "store"},
    "selection_report": {
        "api",
        "best",
        "charts",
        "command_lines",
        "datasets",
        "distances",
        "errors",
        "inference",
        "measures",
        "models",
    }
    | {"partitions", "report", "sampling", "store"},
    "reproduction": COMMON
    | {"analyses", "api", "charts", "datasets", "distances", "inference", "measures", "models", "report", "store"}
    | {"training"},
    "pictures": set(),
    "recipes": COMMON,
    "mitigations": {"errors", "registry", "partitions", "store"},
    "epochs": COMMON | {"recipes", "datasets", "store", "mitigations"},
    "training": COMMON | {"attributes", "recipes", "datasets", "models", "store", "epochs", "mitigations"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_of_rbcore(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("rbcore.") and name.count(".") >= 1}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_in_their_rooms(path):
    tops = {name.split(".")[0] for name in imported(path)}
    if path.is_relative_to(ROOT / "rbcore"):
        assert not tops & {"streamlit", "pages", "app"}
    else:
        assert not tops & {"torch", "foolbox"}
    assert "pickle" not in tops  # a pickle is a program; rbcore.pickles looks into one without running it


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_only_what_lies_below(room):
    folder = ROOT / "rbcore" / room
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    modules = {path.stem for path in (ROOT / "rbcore").glob("*.py")}
    modules |= {path.parent.name for path in (ROOT / "rbcore").glob("*/__init__.py")}
    for path in files:
        rooms = rooms_of_rbcore(path) & modules
        assert rooms - {room} <= ALLOWED[room], path


def test_weights_are_never_unpickled():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "allow_pickle=True" not in text, path
