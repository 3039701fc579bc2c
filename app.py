"""The explorer: ``streamlit run app.py``. The menu and the pickers that all pages share; no logic.

Streamlit imports this file once for the server, and runs it for every visitor.
"""

import streamlit as st
from starlette.middleware import Middleware

from pages.shell import gate

if __name__ != "__main__":
    app = st.App(__file__, lifespan=gate.opening, middleware=[Middleware(gate.Gate)])
else:
    from pages.shell import menu, report, selection
    from pages.shell.text import plain
    from rbcore import RobustnessBiasError
    from rbcore.runtime import keep_freed_memory

    keep_freed_memory()
    st.set_page_config(
        page_title="Robustness bias explorer", page_icon="assets/icon.png", layout="wide"
    )
    page = st.navigation(menu.sections())
    try:
        report.button(selection.pick())
        page.run()
    except RobustnessBiasError as error:
        st.error(plain(str(error)))
