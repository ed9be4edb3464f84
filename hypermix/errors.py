"""Every error that HyperMix raises on purpose.

HypermixError
├── ConfigError      a setting is wrong; nothing has started
├── DataError        a dataset cannot be used as it is
├── ArtefactError    a file of results/ or cache/ is missing, damaged or stale
├── LlmError         an answer could not be had
│   ├── BudgetError  a cap is reached; nothing was sent
│   └── ServerError  the embedded server did not start
├── AugmentError     the answers cannot be made into rows
└── TrainError       a classifier cannot be loaded or trained

A message says where, what is wrong, what may stand there, and what to do.
Jobs print it without a traceback, since it is meant for the user.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HypermixError(Exception):
    """Base of all errors whose message is written for the user."""


class ConfigError(HypermixError):
    """The config is wrong. The message lists every mistake, one a line."""


class DataError(HypermixError):
    """A dataset is missing, damaged or does not fit what was asked of it."""


class ArtefactError(HypermixError):
    """A file of the results or the cache is missing, damaged or stale."""


class LlmError(HypermixError):
    """A language model gave no answer that can be stored."""


class BudgetError(LlmError):
    """A request could go beyond a cap of the budget, and was not sent."""


class ServerError(LlmError):
    """The embedded language model could not be started."""


class AugmentError(HypermixError):
    """The answers of a language model cannot be made into rows."""


class TrainError(HypermixError):
    """A classifier cannot be loaded or trained."""


def accepted(name: str, known: Iterable[str]) -> str:
    """Word what may stand in the place of an unknown name.

    Args:
        name: What stands there now.
        known: The names that may stand there, in the order to show them.

    Returns:
        One clause, such as ``did you mean 'none'? (known: none, duplicate)``.
    """
    names = list(known)
    listed = "known: " + (", ".join(names) or "none yet")
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}? ({listed})" if close else listed
