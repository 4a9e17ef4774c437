"""Streamlit: a table that all sessions and all processes share.

    streamlit run streamlit_app.py

Unlike ``st.cache_data`` this copies nothing for each session: `flights` gives a DataFrame
over the cache's own pages, copy on write.
"""

import framecache
import pandas as pd
import streamlit as st


@st.cache_resource
def the_cache() -> framecache.Cache:
    """One a process; its tables are the machine's."""
    return framecache.Cache()


def load(rows: int) -> pd.DataFrame:
    """What takes long."""
    return pd.DataFrame({"day": range(rows), "delay": [n % 60 for n in range(rows)]})


rows = st.slider("Days", 10, 1000, 100)
cache = the_cache()
table = cache.get_or_compute(f"flights/{rows}", lambda: load(rows), ttl="10m")
st.metric("Mean delay", f"{table['delay'].mean():.2f}")
st.dataframe(table.head(10))
