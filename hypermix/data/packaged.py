"""The dataset of the default experiment: rated movie-review sentences that a package carries.

The sdist of vaderSentiment 3.3.2 (MIT) holds 10,605 sentences of the reviews of Pang and Lee (2004), each with the mean
of at least 20 people's ratings from -4 to 4 (Hutto and Gilbert, ICWSM 2014). Its wheel does not hold them.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from hypermix.data.raw import RawData, RawSplit
from hypermix.data.sample import draw
from hypermix.disk import writable
from hypermix.errors import DataError
from hypermix.files import write_bytes
from hypermix.hashing import file_digest

PACKAGE = "vaderSentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_SDIST = "vaderSentiment-3.3.2.tar.gz"
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_RATINGS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_SPLIT_SEED = 0
_TEST_ROWS = 1000
_VALIDATION_ROWS = 500
POSITIVE_FROM = 0.5
NEGATIVE_FROM = -0.5


def open_packaged(downloads: Path) -> RawData:
    """Open the splits of rt-snippets.

    Args:
        downloads: The folder that keeps the sdist.

    Raises:
        DataError: If the sdist cannot be had or is damaged.
    """
    sdist = fetch_sdist(downloads)
    splits = {name: pa.RecordBatch.from_pandas(rows) for name, rows in rt_snippets(sdist).items()}

    def batches(name: str) -> Iterator[pa.RecordBatch]:
        yield splits[name]

    opened = {name: RawSplit(f"rt-snippets, {name}", partial(batches, name)) for name in splits}
    return RawData(opened, {sdist.name: file_digest(sdist)})


def cached_sdist(downloads: Path) -> Path:
    """Return where the sdist lies, whether it is there or not."""
    return downloads / _SDIST


def fetch_sdist(downloads: Path) -> Path:
    """Fetch the sdist with pip, once.

    Args:
        downloads: The folder that keeps it.

    Returns:
        The file, whose SHA-256 is the pinned one.

    Raises:
        ArtefactError: If it cannot be kept, since the disk is full or the folder not to be written.
        DataError: If pip cannot fetch it.
    """
    target = cached_sdist(downloads)
    if target.is_file() and file_digest(target) == SHA256:
        return target
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        command += ["--no-build-isolation", "--require-hashes", "--dest", folder, "--requirement", str(pinned)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(
                f"rt-snippets: pip could not fetch {PACKAGE}: {last}; connect to a package index, or put {_SDIST} "
                f"(sha256 {SHA256}) into {downloads}"
            )
        with writable(target):
            write_bytes(target, (Path(folder) / _SDIST).read_bytes())
    return target


def read_ratings(sdist: Path) -> pd.DataFrame:
    """Read the rated sentences from the sdist.

    Returns:
        The columns ``rating`` (float, -4 to 4) and ``text``, in file order.

    Raises:
        DataError: If the file is not the sdist.
    """
    try:
        with tarfile.open(sdist) as outer:
            inner = outer.extractfile(_INNER)
            packed = inner.read() if inner else b""
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            ratings = archive.extractfile(_RATINGS)
            lines = ratings.read().decode("utf-8").split("\n") if ratings else []
    except (KeyError, tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{sdist}: is not the sdist of {PACKAGE} ({error}); delete it and run again") from error
    parts = [line.rstrip("\r").split("\t") for line in lines if line.strip()]
    return pd.DataFrame({"rating": [float(part[1]) for part in parts], "text": [part[2].strip() for part in parts]})


def rt_snippets(sdist: Path) -> dict[str, pd.DataFrame]:
    """Make the three splits of rt-snippets.

    Returns:
        ``train``, ``validation`` and ``test`` with the columns ``text`` and ``label`` (negative, positive). The split
        is fixed: balanced test and validation rows, drawn with a seed of their own; no sentence stands in two of them.
    """
    ratings = read_ratings(sdist).drop_duplicates("text")
    rated = ratings[(ratings["rating"] >= POSITIVE_FROM) | (ratings["rating"] <= NEGATIVE_FROM)]
    positive = rated["rating"] > 0
    rows = pd.DataFrame({"text": rated["text"], "label": positive.map({True: "positive", False: "negative"})})
    held = _TEST_ROWS + _VALIDATION_ROWS
    out = rows.iloc[draw(rows["label"].tolist(), held // 2, _SPLIT_SEED).rows]
    test = draw(out["label"].tolist(), _TEST_ROWS // 2, _SPLIT_SEED)
    return {
        "train": rows.drop(out.index).reset_index(drop=True),
        "validation": out.iloc[sorted(test.left)].reset_index(drop=True),
        "test": out.iloc[sorted(test.rows)].reset_index(drop=True),
    }
