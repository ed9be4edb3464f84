"""A finished toy experiment that a test may take apart: what a run leaves that was killed, failed or changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.steps.joblog import FAILED
from tests.integration.steps.chain import AUGMENTATION, RUN, Chain, Key


class Leftover:
    """A copy of an experiment, with the times of its files."""

    def __init__(self, done: Chain, folder: Path) -> None:
        shutil.copytree(done.results, folder)
        self.chain = Chain(folder, done.cache, merge(done.raw, {"results": str(folder), "cache": str(done.cache)}))

    @property
    def config(self) -> Config:
        return self.chain.config

    @property
    def results(self) -> Path:
        return self.chain.results

    def with_settings(self, **overlay: Any) -> Config:
        """Return another config that has the same folder."""
        return load_config(merge(self.chain.raw, overlay))

    def remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink()

    def remove_augmentation(self, key: Key) -> None:
        """Remove an augmentation and all that was made from it."""
        self.remove([*self.chain.augmented(key).values(), self.chain.measured(key)])
        self.remove([*self.chain.trained(key).values(), self.chain.metrics(key)])

    def log(self, stage: str, key: Key, text: str = "") -> Path:
        """Write the log of a job."""
        names = AUGMENTATION if stage in ("augment", "quality") else RUN
        place = "/".join(f"{name}={key[name]}" for name in names)
        path = self.results / "logs" / stage / f"{place}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def fail(self, stage: str, key: Key, error: str) -> Path:
        return self.log(stage, key, f"12:00:00 4 of 8 rows\n12:00:01 {FAILED}{error}\n")
