"""partial: the tables, the verdict and the report of what is there, at any time; what is missing is named.

It writes into a folder of its own, so that what Snakemake's rules make stays what they made.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.files import write_text
from hypermix.report.console import plain
from hypermix.steps import aggregate
from hypermix.steps.artefacts import AGGREGATE_INPUTS, AGGREGATE_OUTPUTS
from hypermix.steps.missing import list_missing, tell_errors, tell_missing
from hypermix.steps.survey import Survey, survey

FOLDER = "partial"
MOST_RUNS = 1_000
"""So many runs are aggregated at the end of a failed run of the workflow without being asked for: seconds of work."""


_STATUS = "`hypermix status --json` with the same files"
"""What names all where no report is written."""


@dataclass(frozen=True)
class Partial:
    """What was written.

    Attributes:
        report: The report.
        missing: What it lacks, a sentence each.
    """

    report: Path
    missing: Sequence[str]

    def lines(self) -> list[str]:
        """Tell it in plain lines, without control characters: errors may hold what a server said."""
        return [*map(plain, self.missing), f"Report of the runs so far: {plain(str(self.report))}"]


def write(config: Config) -> Partial:
    """Aggregate what is there.

    What is not there, or was made with other settings than the config's, is left out and named: in the report before
    its numbers, and for machines in ``missing.json`` beside it.

    Args:
        config: The config at hand.

    Raises:
        ConfigError: If the config leaves no run, or a template of it cannot be read.
        ArtefactError: If a file that fits the config is damaged.
    """
    return write_found(survey(config))


def write_found(found: Survey) -> Partial:
    """Aggregate what is there; see `write`.

    Args:
        found: What is there.

    Raises:
        ArtefactError: If a file that fits the config is damaged.
    """
    results = found.config.results
    folder = Path(results, FOLDER)
    inputs = {
        kind: [unit.path(results, table) for unit in found.of_state(stage, "done")]
        for kind, (stage, table) in AGGREGATE_INPUTS.items()
    }
    outputs = {name: folder / file for name, file in AGGREGATE_OUTPUTS.items()}
    missing = tell_missing(found)
    aggregate.run(experiment.aggregate_slice(found.config), inputs, outputs, missing)
    write_text(folder / "missing.json", json.dumps(list_missing(found), indent=2, ensure_ascii=False) + "\n")
    return Partial(outputs["report"], missing)


def tell_failure(config: Config, command: str, most: int = MOST_RUNS) -> list[str]:
    """Tell what a run of the workflow that ended with errors leaves, and aggregate it if that takes no time.

    Args:
        config: The config at hand.
        command: What writes the report of what is there.
        most: More finished runs than these are left for the command.

    Returns:
        Plain lines; what failed, what is missing, and where the report is or how it is made.

    Raises:
        ConfigError: If the config leaves no run, or a template of it cannot be read.
        ArtefactError: If a file that fits the config is damaged.
    """
    found = survey(config)
    done, failed = (
        sum(state == wanted for stage in stages for state in found.states[stage].values())
        for wanted, stages in (("done", ["evaluate"]), ("failed", list(found.states)))
    )
    if done and failed and done <= most:
        return write_found(found).lines()
    if not done:  # all is missing, which need not be listed
        return list(map(plain, tell_errors(found, _STATUS)))
    lines = list(map(plain, tell_missing(found, _STATUS))) if failed else []
    return [*lines, f"A report of the runs so far: {command}"]


def word_command(files: Iterable[str | Path], overridden: bool = False) -> str:
    """Word the command that writes the report of what is there.

    Args:
        files: The config files, later ones laid over earlier ones.
        overridden: Whether settings were given on the command line too, which `hypermix` does not take.
    """
    here = Path.cwd()
    paths = [Path(file) for file in files]
    names = [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in paths]
    command = shlex.join(["hypermix", "partial", *names])
    return f"{command} (and a file with what --config gave)" if overridden else command
