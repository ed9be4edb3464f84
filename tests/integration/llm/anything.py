"""Any question and any answer that a file can hold, for tests that find their own cases."""

from __future__ import annotations

from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
HEADERS = st.dictionaries(TEXTS, TEXTS, max_size=3)
SETTINGS = st.dictionaries(
    TEXTS, st.floats(allow_nan=False, allow_infinity=False) | st.integers() | TEXTS | st.none(), max_size=3
)
