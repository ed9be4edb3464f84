"""The prompt templates that a config names: read, and checked before any job starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypermix.config.augmenter_llm import Template
from hypermix.config.model import Config
from hypermix.errors import ConfigError

MOST_BYTES = 1_000_000


def read_template(path: str) -> str:
    """Return the text of a template.

    Raises:
        ConfigError: If it cannot be read as text of a reasonable size.
    """
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: a prompt template has at most {MOST_BYTES} bytes; name another file")
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a prompt template in UTF-8: {error}; mend it") from error


def template_files(config: Config) -> dict[str, str]:
    """Return the files of templates by the place where they are named."""
    return {
        f"augmenters.{name}.template": augmenter.template
        for name, augmenter in config.augmenters.items()
        if isinstance(augmenter, Template)
    }


def find_faults(config: Config) -> Iterator[str]:
    """Find what is wrong with the templates, which must be there.

    Yields:
        One line a template.
    """
    from hypermix.templates import ASKED, find_fault  # Jinja is imported where a template is

    for name, augmenter in config.augmenters.items():
        if not isinstance(augmenter, Template):
            continue
        where = f"augmenters.{name}.template: {augmenter.template}"
        try:
            fault = find_fault(read_template(augmenter.template), {} if augmenter.label == "written" else ASKED)
        except ConfigError as error:
            fault = str(error)
        if fault is not None:
            yield f"{where}: {fault}"
