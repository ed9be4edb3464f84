"""Statistics: arrays and frames in, numbers and frames out. No files, no config, no torch."""

from __future__ import annotations
