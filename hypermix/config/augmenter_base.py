"""What the settings of all augmenters have in common."""

from __future__ import annotations

from typing import Literal

from hypermix.config.setting import Settings, setting


class Augmenter(Settings):
    """What every augmenter has."""

    draw: Literal["trial", "data_seed"] = setting(
        "trial",
        "augment",
        "`trial` makes new rows for each trial; with `data_seed` the trials of a data seed share them.",
    )
