"""The explorer: ``streamlit run app.py``. Navigation, sidebar and page; no logic.

Streamlit imports this file once for the server, and runs it for every visitor.
"""

import streamlit as st
from starlette.middleware import Middleware

from pages.shell import access

if __name__ != "__main__":
    app = st.App(__file__, lifespan=access.announce, middleware=[Middleware(access.AccessControl)])
else:
    from pages.shell import navigation, sidebar
    from pages.shell.text import escape_markdown
    from rbcore import RobustnessBiasError
    from rbcore.runtime import keep_freed_memory

    keep_freed_memory()
    st.set_page_config(
        page_title="Robustness bias explorer", page_icon="assets/icon.png", layout="wide"
    )
    page = st.navigation(navigation.sections())
    try:
        sidebar.draw()
        page.run()
    except RobustnessBiasError as error:
        st.error(escape_markdown(str(error)))
