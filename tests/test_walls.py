"""Who may import whom (the rooms of the house): read from the source, so a wall that is
broken fails here.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    ROOT / "app.py",
    *sorted((ROOT / "pages").rglob("*.py")),
    *sorted((ROOT / "rbcore").rglob("*.py")),
]

LEAVES = {"errors", "parameters", "registry", "runtime"}
DATA = LEAVES | {"norms", "partitions", "sampling", "store"}
RUNS = DATA | {"datasets", "models", "outputs", "runs", "runs.sidecar"}
RUNS |= {"training.mitigations", "training.recipes"}
NUMBERS = LEAVES | {"inference", "measures", "norms", "partitions", "sampling"}
ENGINE = LEAVES | {"distances", "measures.tables", "norms", "outputs", "partitions", "sampling"}
TABLES = {"distances.best", "distances.result_tables", "distances.stored"}
CALLS = RUNS | TABLES | {"distances", "distances.estimate", "distances.perturbed", "runs.loading"}
ALLOWED = {
    # What all may use, from the bottom up.
    "errors": set(),
    "registry": {"errors"},
    "parameters": {"errors", "registry"},
    "runtime": {"errors"},
    "norms": {"errors"},
    "partitions": {"errors", "registry"},
    "sampling": {"errors", "partitions"},
    "store": {"errors", "norms"},
    "outputs": {"errors", "runtime"},
    # Data, networks and what training leaves.
    "datasets": DATA,
    "models": LEAVES | {"outputs", "store"} | {"runs.sidecar"},
    "training.recipes": LEAVES,
    "runs": RUNS,
    "runs.sidecar": {"store"},
    "runs.loading": RUNS,
    "runs.importing": RUNS | {"training"},
    "training": RUNS | {"training.hooks"},
    "training.hooks": {"store"},
    "training.mitigations": LEAVES | {"norms", "outputs", "partitions", "store", "training.hooks"},
    # Distances: the engine and the attacks know torch callables; only what joins them knows
    # runs and the store.
    "distances": ENGINE,
    "distances.best": {"distances", "measures.tables", "norms", "store"},
    "distances.stored": RUNS | {"distances", "distances.best"},
    "distances.result_tables": RUNS | {"distances"},
    "distances.estimate": RUNS | TABLES | {"distances"},
    "distances.cost": RUNS | TABLES | {"distances", "measures.tables"},
    "distances.perturbed": RUNS
    | TABLES
    | {"distances", "distances.estimate", "distances.probabilities"},
    "distances.probabilities": {"models"},
    "distances.interpolation": {
        "charts.rendering",
        "datasets",
        "distances.probabilities",
        "models",
        "sampling",
    },
    # What is made of distances.
    "measures": LEAVES | {"measures.tables", "norms", "partitions", "sampling"},
    "measures.tables": {"errors"},
    "inference": NUMBERS | {"measures.tables"},
    "wording": {"distances", "inference", "measures.tables", "sampling"},
    "charts": {
        "inference",
        "measures",
        "measures.tables",
        "norms",
        "training.mitigations",
        "wording",
    },
    "charts.rendering": set(),
    "analyses": NUMBERS | CALLS | {"measures.tables", "wording"},
    # What users call.
    "store.storage": {"distances", "errors", "runs", "store"},
    "store.verify": CALLS,
    "store.migrate": {"datasets", "errors", "norms", "runs.sidecar", "runtime", "store"},
    "reports": NUMBERS | CALLS | {"analyses", "charts", "training", "wording"},
    "cli": NUMBERS
    | CALLS
    | {
        "analyses",
        "distances.cost",
        "measures.tables",
        "reports",
        "runs.importing",
        "store.migrate",
        "store.storage",
        "store.verify",
        "training",
        "wording",
    },
    "__main__": {"cli"},
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


def room_of(module: str) -> str | None:
    """Return the room a module of rbcore stands in: the longest name above that it begins with."""
    parts = module.split(".")[1:]
    return next(
        (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in ALLOWED),
        None,
    )


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_in_their_rooms(path):
    tops = {name.split(".")[0] for name in imported(path)}
    if path.is_relative_to(ROOT / "rbcore"):
        assert not tops & {"streamlit", "pages", "app"}
    else:
        assert not tops & {"torch", "foolbox"}
    assert (
        "pickle" not in tops
    )  # a pickle is a program; rbcore.store.pickles looks into one without running it


@pytest.mark.parametrize(
    "path", sorted((ROOT / "rbcore").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_rooms_import_only_what_lies_below(path):
    module = module_of(path)
    if module == "rbcore":
        return
    room = room_of(module)
    assert room is not None, (
        f"{module} stands in no room of this test: name the room, and what it may import"
    )
    rooms = {room_of(name) for name in imported(path) if name.startswith("rbcore.")} - {None, room}
    assert rooms <= ALLOWED[room]


def test_weights_are_never_unpickled():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "allow_pickle=True" not in text, path
