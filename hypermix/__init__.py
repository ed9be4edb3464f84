"""HyperMix: does LLM augmentation help a text classifier when labels are scarce?"""

from __future__ import annotations

__version__ = "0.1.0"
