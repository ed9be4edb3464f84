"""Ask whether a pinned package has a known vulnerability; fail only where a version without it is out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FILES = ("run.txt", "models.txt", "torch.txt", "setfit.txt", "dev.txt")
_SECONDS = 300


def main() -> int:
    """Audit all pinned packages; without a network, or an index that knows vulnerabilities, say so and pass."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        pins.write_text("\n".join(read_pins()) + "\n", encoding="utf-8")
        report, trouble = _ask(pins)
    if report is None:
        sys.stderr.write(f"Not audited: pip-audit had no answer ({trouble}).\n")
        return 0
    audited, skipped = _count(report)
    if not audited:
        sys.stderr.write(f"Not audited: the package index knows no vulnerabilities of any of {skipped} packages.\n")
        return 0
    mendable, others = sort_out(report)
    sys.stderr.writelines(f"{line}\n" for line in [*others, *mendable])
    sys.stderr.write(f"{audited} packages audited, {skipped} not known there; {len(mendable)} must be raised.\n")
    return int(bool(mendable))


def read_pins() -> list[str]:
    """Return what is pinned, each with its marker and without hashes and extras, which have pins of their own."""
    folder = Path(__file__).resolve().parent
    texts = [(folder / file).read_text(encoding="utf-8") for file in _FILES]
    found = [line for text in texts for line in re.findall(r"(?m)^[A-Za-z0-9._-]+(?:\[[\w,-]+\])?==[^\\#\n]+", text)]
    return sorted({re.sub(r"\[[\w,-]+\]", "", line).strip() for line in found})


def _ask(pins: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the report of pip-audit, or None and what it said last."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        report = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {_SECONDS} s"
    except ValueError:
        return None, next(iter(done.stderr.strip().splitlines()[-1:]), f"status {done.returncode}")
    return report, ""


def _count(report: Mapping[str, Any]) -> tuple[int, int]:
    skipped = sum("skip_reason" in package for package in report["dependencies"])
    return len(report["dependencies"]) - skipped, skipped


def sort_out(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Sort what is known into what a new version mends and what none does yet.

    Args:
        report: What pip-audit writes as JSON.

    Returns:
        A line each.
    """
    mendable, others = [], []
    for package, found in _vulnerabilities(report):
        where, fixed = f"{package['name']} {package['version']}: {found['id']}", found["fix_versions"]
        if fixed:
            mendable.append(f"{where} is mended in {', '.join(fixed)}; raise it in requirements/ (see its README)")
        else:
            others.append(f"{where} has no version without it yet")
    return mendable, others


def _vulnerabilities(report: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for package in report["dependencies"]:
        for found in package.get("vulns", ()):
            yield package, found


if __name__ == "__main__":
    sys.exit(main())
