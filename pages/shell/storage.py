"""What the cache takes on the disk, and how to delete a run or a table of distances from it."""

from collections.abc import Callable

import streamlit as st

from pages.shell import gate, read_only, tasks
from pages.shell.text import plain
from rbcore.store import cache_root, storage

DELETED = "deleted"


def draw() -> None:
    """Draw the sizes, and, where this server may change anything, what can be deleted."""
    st.subheader("On the disk", anchor=False)
    used = _disk_use(str(cache_root()))
    parts = ", ".join(
        f"{in_units(used[kind])} {what}" for kind, what in storage.KINDS.items() if used[kind]
    )
    st.markdown(
        plain(f"{in_units(sum(used.values()))} in {cache_root()}{': ' if parts else ''}{parts}.")
    )
    st.caption("What ships with the project is not counted and cannot be deleted.")
    st.caption(plain(gate.in_words()))
    if read_only.is_read_only():
        return
    if DELETED in st.session_state:
        st.success(plain(f"Deleted: {st.session_state.pop(DELETED)}."))
    runs, tables = storage.deletable_runs(), storage.deletable_tables()
    left, right = st.columns(2)
    with left:
        _offer(
            "run",
            "runs",
            runs,
            tasks.delete_run,
            "Its checkpoints go with it; distances estimated on it stay.",
        )
    with right:
        _offer(
            "table of distances",
            "tables",
            tables,
            tasks.delete_table,
            "The run stays, so it can be computed again.",
        )


def _offer(
    what: str,
    many: str,
    items: list[storage.Item],
    delete: Callable[[storage.Item], None],
    loss: str,
) -> None:
    if not items:
        st.caption(f"No {many} of this user's to delete.")
        return
    item = st.selectbox(
        f"Delete a {what}",
        items,
        format_func=_option,
        index=None,
        placeholder=f"{len(items):,} {many}",
    )
    if item is None:
        return
    with st.popover(f"Delete this {what} …"):
        st.markdown(plain(f"{item.name}, {in_units(item.n_bytes)}. {loss} This cannot be undone."))
        if st.button("Delete it", type="primary", key=f"delete {what}"):
            delete(item)
            _disk_use.clear()
            st.session_state[DELETED] = item.name
            st.rerun()


def _option(item: storage.Item) -> str:
    return f"{item.name} ({in_units(item.n_bytes)})"


@st.cache_data(ttl=10, show_spinner=False)
def _disk_use(root: str) -> dict[str, int]:
    """Return the sizes, counted anew after some seconds: a folder of originals can hold very many files."""
    return storage.disk_use()


def in_units(n_bytes: int) -> str:
    """Return a size as people say it: 0 B, 12 kB, 3.4 MB, 1.2 GB."""
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "B" else f"{size:,.1f} {unit}"
