"""All lists of packages name the same versions, and nothing unpinned is installed."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hypermix
from tests.architecture.kept import kept_texts
from tests.architecture.source import ROOT, imported, load

REQUIREMENTS = ROOT / "requirements"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PYTHON = {
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch"}
UNPINNED = {"pip"}
# Modules that go by another name, or are a part of a package that is listed.
PACKAGE_OF = {"yaml": "pyyaml", "sklearn": "scikit-learn", "markupsafe": "jinja2", "pydantic_core": "pydantic"}
# Taken apart, so that this file does not name them itself.
HOSTS = re.compile(r"\b(?:pypi\.o[r]g|pythonhosted\.o[r]g|anaconda\.o[r]g|download\.pytorch\.o[r]g|npmjs\.o[r]g)\b")


def read(name: str) -> str:
    return (REQUIREMENTS / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """Cut a requirements file into one text a requirement, its hashes included."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-r "))]


def requirements(text: str) -> list[Requirement]:
    return [Requirement(block.split(" --hash")[0].split(" #")[0].strip()) for block in blocks(text)]


def names(text: str) -> set[str]:
    return {canonicalize_name(found.name) for found in requirements(text)}


def pins(text: str) -> set[tuple[str, str]]:
    """Return all (name, version) pairs, whatever their markers."""
    return {(canonicalize_name(found.name), str(found.specifier).removeprefix("==")) for found in requirements(text)}


def versions(text: str) -> dict[str, str]:
    """Map each package to the version that Python 3.11 on Linux gets."""
    return {
        canonicalize_name(found.name): str(found.specifier).removeprefix("==")
        for found in requirements(text)
        if found.marker is None or found.marker.evaluate(PYTHON)
    }


def pinned_extras(text: str) -> dict[str, set[str]]:
    """Map each package that Python 3.11 on Linux gets to the extras of its pin."""
    return {
        canonicalize_name(found.name): found.extras
        for found in requirements(text)
        if found.marker is None or found.marker.evaluate(PYTHON)
    }


def asked_extras(package: str, own: set[str]) -> Iterator[tuple[str, str]]:
    """Tell the extras that an installed package, with some extras of its own, asks of other packages."""
    for need in map(Requirement, importlib.metadata.requires(package) or []):
        environments = [{**PYTHON, "extra": extra} for extra in ("", *own)]
        if need.marker is None or any(need.marker.evaluate(one) for one in environments):
            yield from ((canonicalize_name(need.name), extra) for extra in need.extras)


def environment_pins(document: dict[str, Any]) -> dict[str, str]:
    """Map each package of a conda environment to its version, under its name in the requirements."""
    plain = [entry for entry in document["dependencies"] if isinstance(entry, str)]
    inner = [line for entry in document["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]
    pairs = [entry.replace("==", "=").partition("=") for entry in [*plain, *inner]]
    return {CONDA_NAMES.get(name, canonicalize_name(name)): version for name, _, version in pairs if name != "python"}


def differing(document: dict[str, Any], wanted: dict[str, str]) -> list[str]:
    """List the packages of a conda environment whose version is not that of the requirements."""
    found = environment_pins(document)
    return [
        f"{name} is {version or 'not pinned'}, requirements/ has {wanted.get(name)}"
        for name, version in found.items()
        if name not in UNPINNED and version != wanted.get(name)
    ]


def without_hash(text: str) -> list[str]:
    return [block for block in blocks(text) if "--hash=sha256:" not in block]


def not_pinned(text: str) -> list[str]:
    return [str(found) for found in requirements(text) if not re.fullmatch(r"==[^*,]+", str(found.specifier))]


def hosts(texts: list[tuple[str, str]]) -> list[str]:
    return [f"{path}: names {found.group()}" for path, text in texts if (found := HOSTS.search(text))]


def environment(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "envs" / name).read_text(encoding="utf-8"))
    return document


ALL_VERSIONS = {
    name: version
    for stem in ("dev", "models", "setfit", "torch")
    for name, version in versions(read(f"{stem}.txt")).items()
}
RUN_NAMES = names(read("run.in")) | names(read("models.in")) | names(read("torch.txt"))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_has_required_versions(path: Path) -> None:
    assert differing(environment(path.name), ALL_VERSIONS) == []


def test_environments_hold_all_direct_packages() -> None:
    assert RUN_NAMES - environment_pins(environment("hypermix.yaml")).keys() == set()
    tested = names(read("dev.in")) | names(read("setfit.in"))
    assert RUN_NAMES | tested == environment_pins(environment("dev.yaml")).keys() - UNPINNED


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_uses_one_channel(path: Path) -> None:
    assert environment(path.name)["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("stem", ["run", "dev", "models", "setfit"])
def test_compiled_file_holds_its_source(stem: str) -> None:
    assert names(read(f"{stem}.in")) - names(read(f"{stem}.txt")) == set()


def test_dev_pins_include_run_pins() -> None:
    assert pins(read("run.txt")) - pins(read("dev.txt")) == set()
    assert versions(read("run.txt")).items() <= versions(read("dev.txt")).items()


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "models.txt", "setfit.txt"])
def test_every_requirement_has_hashes(name: str) -> None:
    assert without_hash(read(name)) == []


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "models.txt", "setfit.txt", "torch.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    assert not_pinned(read(name)) == []


def test_torch_brings_nothing_unpinned() -> None:
    found = [Requirement(text) for text in importlib.metadata.requires("torch") or []]
    # Its CUDA libraries are pinned by torch itself.
    own = [need for need in found if not re.match(r"nvidia-|cuda-|triton", need.name)]
    needed = {
        canonicalize_name(need.name) for need in own if need.marker is None or need.marker.evaluate({"extra": ""})
    }

    assert needed - versions(read("run.txt")).keys() == set()


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_pins_keep_the_extras_that_packages_ask_for(name: str) -> None:
    """Without them, pip 23.2 looks for the newest version and stops, since no hash of it is known."""
    kept = pinned_extras(read(name))
    asked = {(need, extra) for package, own in kept.items() for need, extra in asked_extras(package, own)}
    assert {(need, extra) for need, extra in asked if extra not in kept[need]} == set()


def test_run_and_dev_ask_alike() -> None:
    assert "-r run.in" in read("dev.in").splitlines()


def test_project_takes_its_lists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"]

    assert {name for path in files for name in names((ROOT / path).read_text(encoding="utf-8"))} == RUN_NAMES
    assert project["project"]["dynamic"] == ["version", "dependencies"]


def test_citation_and_changelog_name_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert citation["version"] == hypermix.__version__
    assert hypermix.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_container_installs_as_make_does() -> None:
    """Its versions are those of requirements/, since it names none."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    steps = re.sub(r"\\\\\n\s*", " ", "\n".join(lines))
    targets = re.findall(r"RUN make VENV=(\S+) \1/(\S+)", steps)

    assert [name for _, name in targets] == [".run-installed"]
    assert "$(RUN_INSTALLED): $(MADE) $(RUN_FILES)" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"pip install[^;]* -r (\S+)", steps)) == {"requirements/torch.txt"}
    assert re.findall(r"[=~<>]=\s*\d|@\s*\d", steps) == []
    python = str(environment("hypermix.yaml")["dependencies"][0]).removeprefix("python=")
    assert re.findall(r"(?m)^FROM (.*)$", steps) == [f"python:{python}-slim"]
    copied = {name for line in re.findall(r"(?m)^COPY (.*) \S+$", steps) for name in line.split()}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "Makefile", "requirements"} <= copied


def test_container_runs_for_a_user_it_does_not_know() -> None:
    """Python looks for the name of such a user in LOGNAME first, and without it Snakemake stops."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert {"HOME", "LOGNAME"} <= {
        entry.partition("=")[0] for line in re.findall(r"(?m)^ENV (.*)$", text) for entry in line.split()
    }


def test_workflow_catalog_finds_what_it_shows() -> None:
    told = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]

    assert {"mandatory-flags", "software-stack-deployment", "report"} == told.keys()
    assert (ROOT / "config" / "README.md").is_file()
    assert told["report"] is True
    captions = (ROOT / "workflow" / "rules" / "captions.smk").read_text(encoding="utf-8")
    assert "report(" in captions


def test_no_file_names_a_registry() -> None:
    assert hosts(kept_texts()) == []


# The checks can fail.


def test_differing_version_is_found() -> None:
    document = {"dependencies": ["python=3.11", "pip", "pytorch=2.0", "rich", {"pip": ["openai==1", "yte==2"]}]}

    assert differing(document, {"torch": "2.1", "rich": "3", "openai": "1"}) == [
        "torch is 2.0, requirements/ has 2.1",
        "rich is not pinned, requirements/ has 3",
        "yte is 2, requirements/ has None",
    ]


def test_marker_decides_the_version() -> None:
    text = "numpy==1 ; python_full_version < '3.12' \\\n    --hash=sha256:a\nnumpy==2 ; python_full_version >= '3.12'\n"

    assert versions(text) == {"numpy": "1"}
    assert pins(text) == {("numpy", "1"), ("numpy", "2")}


def test_missing_hash_is_found() -> None:
    assert without_hash("a==1 \\\n    --hash=sha256:b\n    # via c\nd==2\n") == ["d==2"]


@pytest.mark.parametrize("text", ["a", "a>=1", "a==1.*", "a==1,<2"])
def test_missing_pin_is_found(text: str) -> None:
    assert not_pinned(f"{text}\nb==1\n") == [str(Requirement(text))]


def test_registry_is_found() -> None:
    host = ".".join(("files", "pythonhosted", "org"))

    assert hosts([("a.md", f"from {host}/x"), ("b.md", "none")]) == [f"a.md: names {host.removeprefix('files.')}"]


def test_what_the_library_imports_is_listed() -> None:
    imports = {name.split(".")[0] for source in load("hypermix") for name in imported(source)}
    outside = imports - set(sys.stdlib_module_names) - {"hypermix"}
    listed = names(read("run.in")) | names(read("torch.txt"))
    extra = names(read("setfit.in")) | {"wn"}
    assert {PACKAGE_OF.get(name, canonicalize_name(name)) for name in outside} <= listed | extra
    assert {"safetensors", "torch", "openai"} <= outside
