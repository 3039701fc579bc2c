"""What the cache takes on disk, and deleting a run or a table of distances from it."""

from collections.abc import Callable

import streamlit as st

from pages.shell import access, read_only, tasks
from pages.shell.text import escape_markdown, format_bytes
from rbcore.store import cache_root, storage

DELETED = "deleted"


def draw() -> None:
    """Draw the sizes, and what can be deleted where this server is not read-only."""
    st.subheader("Storage", anchor=False)
    used = _disk_use(str(cache_root()))
    parts = ", ".join(
        f"{format_bytes(used[kind])} {what}" for kind, what in storage.KINDS.items() if used[kind]
    )
    total = format_bytes(sum(used.values()))
    st.markdown(escape_markdown(f"{total} in {cache_root()}{': ' if parts else ''}{parts}."))
    st.caption("What is bundled with the project is not counted and cannot be deleted.")
    st.caption(escape_markdown(access.describe_server()))
    if read_only.is_read_only():
        return
    if DELETED in st.session_state:
        st.success(escape_markdown(f"Deleted: {st.session_state.pop(DELETED)}."))
    left, right = st.columns(2)
    with left:
        _offer_deletion(
            "run",
            storage.deletable_runs(),
            tasks.delete_run,
            "Its checkpoints are deleted too; distances estimated on it are kept.",
        )
    with right:
        _offer_deletion(
            "table",
            storage.deletable_tables(),
            tasks.delete_table,
            "The run is kept, so the table can be computed again.",
        )


def _offer_deletion(
    what: str, items: list[storage.Item], delete: Callable[[storage.Item], None], loss: str
) -> None:
    if not items:
        st.caption(f"You have no {what}s to delete.")
        return
    item = st.selectbox(
        f"Delete a {what}",
        items,
        format_func=lambda item: f"{item.name} ({format_bytes(item.n_bytes)})",
        index=None,
        placeholder=f"{len(items):,} {what}{'' if len(items) == 1 else 's'}",
    )
    if item is None:
        return
    with st.popover(f"Delete this {what} …"):
        size = format_bytes(item.n_bytes)
        st.markdown(escape_markdown(f"{item.name}, {size}. {loss} This cannot be undone."))
        if st.button("Delete it", type="primary", key=f"delete {what}"):
            delete(item)
            _disk_use.clear()
            st.session_state[DELETED] = item.name
            st.rerun()


@st.cache_data(ttl=10, show_spinner=False)
def _disk_use(root: str) -> dict[str, int]:
    """Return the sizes, for some seconds: a folder of originals can hold very many files."""
    return storage.disk_use()
