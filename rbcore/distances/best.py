"""The best of what the store holds: for each sample the smallest upper bound of any attack."""

from pathlib import Path

import pandas as pd

from rbcore import store
from rbcore.distances import METHODS, Method, format_method, method_spellings, resolve_method
from rbcore.measures.tables import Bound
from rbcore.norms import COLUMN, Norm
from rbcore.store import BestKey, BestProvenance, BestTable, TableKey

BEST = "best"
TITLE = "Best of all attacks"
BOUND_NOTE = (
    "For each image the smallest distance that any attack found among those computed: still an "
    "upper bound, and not the same method for every image."
)


def best_table(weights_sha256: str, dataset_fingerprint: str, split: str) -> BestTable | None:
    """Join what the store holds of attacks on one network and dataset; None if it holds none.

    Certificates, closed forms and attacks on the smoothed classifier are left out: they
    bound something else. So are attacks in another norm than L2.

    Returns
    -------
    BestTable or None
        ``rows`` as of any method, and ``method``, the name of the one that gave the distance (empty
        where none did). A sample counts that any of them covers. The key names the tables that were
        joined, under ``of``.
    """
    attacks = {
        name: path
        for name, (path, method) in stored_methods(
            weights_sha256, dataset_fingerprint, split
        ).items()
        if counts(method)
    }
    if not attacks:
        return None
    tables = {name: store.read_table_file(path) for name, path in attacks.items()}
    rows = join_best({name: table.rows for name, table in tables.items()})
    rows.attrs[COLUMN] = Norm.L2.value
    key = BestKey(
        weights=weights_sha256,
        dataset=dataset_fingerprint,
        split=split,
        of={name: table.key for name, table in sorted(tables.items())},
    )
    histories = {name: table.provenance for name, table in sorted(tables.items())}
    return BestTable(
        next(iter(attacks.values())),
        rows,
        key,
        BestProvenance(of=histories),
        store.sha256_of_rows(rows),
    )


def counts(method: Method) -> bool:
    """Whether a method's distances are upper bounds for the network itself, in L2."""
    return method.bound == Bound.UPPER and not method.smoothed and method.norm == Norm.L2


def stored_methods(
    weights_sha256: str, dataset_fingerprint: str, split: str
) -> dict[str, tuple[Path, Method]]:
    """Return file and method of what the store holds on one network and dataset.

    The names are those of the methods with their parameters.

    Tables of methods that are unknown here, or whose numbers have changed since, are left out.
    """
    found: dict[str, tuple[Path, Method]] = {}
    tables = store.files_with(split=split, weights=weights_sha256, dataset=dataset_fingerprint)
    for path, key in tables.items():
        if is_current(key):
            method = METHODS[key.method]
            found.setdefault(format_method(method, key.parameters), (path, method))
    return found


def is_current(key: TableKey) -> bool:
    """Whether a table's numbers are those its method gives today."""
    return key.method in METHODS and METHODS[key.method].version == key.version


def title_of(method: str) -> str:
    """Return the name for people of a method as it is spelled."""
    if method == BEST:
        return TITLE
    resolve_method(method)
    named, _, differing = method.partition(" ")
    title = method_spellings().get(named, resolve_method(named)[0].title)
    return f"{title} ({differing})" if differing else title


def note_of(method: str) -> str:
    """Return what a method's distances are of the true ones, in a sentence."""
    return BOUND_NOTE if method == BEST else resolve_method(method)[0].bound_note


def join_best(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return for each sample of any table the row with the smallest distance.

    ``method`` is the name of its table.
    """
    named = [table.assign(method=name) for name, table in sorted(tables.items())]
    joined = pd.concat(named, ignore_index=True).sort_values(
        "distance", kind="stable", na_position="last"
    )
    best = joined.drop_duplicates("sample_id").sort_index()
    best.loc[best["distance"].isna(), "method"] = ""
    longest = max(named, key=len)["sample_id"]
    order = pd.Series(range(len(longest)), index=longest)
    return best.sort_values("sample_id", key=lambda ids: ids.map(order), kind="stable").reset_index(
        drop=True
    )
