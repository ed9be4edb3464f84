"""help: the targets of the workflow, and the commands beside them."""

from __future__ import annotations

from collections.abc import Mapping

_FIRST = ("all", "export", "help")
"""What a user asks for; the other rules are stages of it."""

_HINTS = """
Until a stage: snakemake --cores all --until augment
With a config of yours over the default one: snakemake --cores all --configfile config/config.yaml mine.yaml
Beside a run: hypermix plan, doctor, status, why, partial, predict; hypermix --help tells more.
"""


def targets_text(rules: Mapping[str, str | None]) -> str:
    """Write the targets for a terminal.

    Args:
        rules: What each rule makes, by its name, in the order of the workflow.
    """
    stages = [name for name in rules if name not in _FIRST]
    width = max(map(len, rules))
    lines = ["Targets:", *(_line(name, rules[name], width) for name in _FIRST if name in rules)]
    lines += ["", "Stages:", *(_line(name, rules[name], width) for name in stages)]
    return "\n".join(lines) + "\n" + _HINTS


def _line(name: str, told: str | None, width: int) -> str:
    return f"  {name:{width}}  {told or ''}".rstrip()
