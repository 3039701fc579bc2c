import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.shell import jobs


@pytest.fixture(autouse=True)
def as_in_a_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test gets new caches and a new job runner, and runs app.py before every page.

    AppTest forgets before each run that app.py has called `st.navigation`, and would then run a
    page by itself; a server does that only with the first request of its life, which
    tests/browser makes.
    """
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.setattr(jobs, "_RUNNER", jobs.Runner())
    created = PagesManager.__init__

    def create(self, *args, **kwargs) -> None:
        created(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", create)
