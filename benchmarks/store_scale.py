"""Time the request store with many answers: look-up, export, import, verify, and what one answer costs to store.

    python benchmarks/store_scale.py [--entries 100000] [--lookups 2000]

Answers are made up in the form of llama.cpp's server: about 40 tokens, 20 likely tokens at each. Prints a Markdown
table for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from hypermix.hashing import canonical_json
from hypermix.llm.archive import SCHEMA, export_store, import_store, survey, to_rows
from hypermix.llm.claim import Claim
from hypermix.llm.store import Answer, Question, Record, RequestStore

TOKENS, TOP, PART = 40, 20, 1000


def make_record(number: int) -> Record:
    """Make a request and its answer from a number."""
    generator = random.Random(number)  # noqa: S311 - made-up answers
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz ", k=4)) for _ in range(TOKENS)]
    content = [
        {
            "token": word,
            "bytes": list(word.encode()),
            "logprob": -generator.random(),
            "top_logprobs": [{"token": word[::-1], "logprob": -float(place)} for place in range(TOP)],
        }
        for word in words
    ]
    choice = {"text": "".join(words), "index": 0, "finish_reason": "stop", "logprobs": {"content": content}}
    body = {"model": "made-up", "prompt": f"{' '.join(words * 4)} {number}", "max_tokens": 100, "logprobs": TOP}
    question = Question({"model_sha256": "0" * 64, "context": "4096"}, "/v1/completions", body, f"1-{number}-0")
    return Record(question, Answer(canonical_json({"choices": [choice], "usage": {"completion_tokens": TOKENS}})))


def write_archive(path: Path, entries: int) -> list[str]:
    """Write an exported store, and return its keys."""
    keys = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for start in range(0, entries, PART):
            records = [make_record(number) for number in range(start, min(start + PART, entries))]
            keys += [record.question.key for record in records]
            writer.write_batch(to_rows(records))
    return keys


def timed(action: Callable[[], object]) -> float:
    """Return the seconds of an action."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(folder: Path, entries: int, lookups: int) -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    store = RequestStore(folder / "requests")
    keys = write_archive(folder / "in.parquet", entries)
    yield f"import {entries:,} answers", f"{timed(lambda: import_store(store, folder / 'in.parquet')):.1f} s"
    found = survey(store)
    assert (found.answers, found.damaged) == (entries, [])
    yield "size of the store", f"{found.size / 1e6:.0f} MB"
    chosen = random.Random(1).sample(keys, min(lookups, entries))  # noqa: S311 - keys to look up
    yield (
        "look-up of a stored answer",
        f"{1e3 * timed(lambda: [store.get(key) for key in chosen]) / len(chosen):.2f} ms",
    )
    absent = [key[::-1] for key in chosen]
    yield "look-up of a missing one", f"{1e3 * timed(lambda: [store.get(key) for key in absent]) / len(absent):.2f} ms"
    new = [make_record(entries + number) for number in range(200)]

    def add_all() -> None:
        for record in new:
            claim = store.begin(record.question)
            assert isinstance(claim, Claim)
            store.finish(claim, record.question, record.answer)

    yield "claim and store a new answer", f"{1e3 * timed(add_all) / len(new):.1f} ms"
    yield "export", f"{timed(lambda: export_store(store, folder / 'out.parquet')):.1f} s"
    yield "size of the export", f"{(folder / 'out.parquet').stat().st_size / 1e6:.0f} MB"
    yield "verify", f"{timed(lambda: survey(store)):.1f} s"
    yield "import again", f"{timed(lambda: import_store(store, folder / 'out.parquet')):.1f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--lookups", type=int, default=2_000)
    parsed = parser.parse_args()
    print(f"| {parsed.entries:,} answers | |\n| --- | ---: |")
    with tempfile.TemporaryDirectory() as name:
        for what, figure in measure(Path(name), parsed.entries, parsed.lookups):
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
