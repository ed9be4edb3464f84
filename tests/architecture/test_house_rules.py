"""The house rules hold for the library and the workflow, and each check can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture import house_rules
from tests.architecture.kept import kept_files, kept_texts
from tests.architecture.source import ROOT, Rule, Source, imported, load, parse, rules

LIBRARY = load("hypermix")
SCRIPTS = load("workflow/scripts")
CODE = [*LIBRARY, *SCRIPTS]
TESTS = load("tests")
RULES_FILES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
RULES = [
    rule
    for path in RULES_FILES
    if path.name != "common.smk"
    for rule in rules(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
]


def breaches(found: Iterable[str]) -> str:
    return "\n".join(found)


# The house itself.


def test_there_is_something_to_check() -> None:
    assert LIBRARY
    assert SCRIPTS
    assert RULES


def test_imports_point_toward_the_leaves() -> None:
    assert not breaches(house_rules.import_direction(LIBRARY))


def test_scripts_import_only_steps() -> None:
    inner = [
        f"{source.path}:{line}: imports {name}"
        for source in SCRIPTS
        for name, line in imported(source).items()
        if name.startswith("hypermix.") and house_rules.part(name) not in {"steps", "errors", "config"}
    ]

    assert not breaches(inner)


def test_no_module_imports_itself() -> None:
    assert not breaches(house_rules.import_cycles(LIBRARY))


@pytest.mark.parametrize("module", ["evaluate", "aggregate", "choose", "export", "partial", "status"])
def test_step_starts_without_torch(module: str) -> None:
    code = f"import sys, hypermix.steps.{module}; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr or f"hypermix.steps.{module} imports torch"


def test_environment_is_read_in_its_places() -> None:
    assert not breaches(house_rules.environment_reads(CODE))


def test_modules_keep_their_budget() -> None:
    assert not breaches(house_rules.long_files(LIBRARY, 400))


def test_scripts_keep_their_budget() -> None:
    assert not breaches(house_rules.long_files(SCRIPTS, 40))


def test_common_rules_keep_their_budget() -> None:
    text = (ROOT / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 150


def test_functions_keep_their_budget() -> None:
    assert not breaches(house_rules.long_functions(LIBRARY, most=80, p90=40, median=15))


def test_every_function_is_typed() -> None:
    assert not breaches(house_rules.missing_annotations([*CODE, *TESTS]))


def test_public_names_have_docstrings() -> None:
    assert not breaches(house_rules.missing_docstrings(CODE))


def test_no_handler_catches_everything() -> None:
    assert not breaches(house_rules.broad_handlers(CODE))


def test_no_code_runs_data() -> None:
    assert not breaches(house_rules.unsafe_code(CODE))


def test_only_the_terminal_modules_print() -> None:
    assert not breaches(house_rules.prints(CODE))


def test_modules_are_named_by_nouns() -> None:
    assert not breaches(house_rules.drawers(source.path for source in [*CODE, *TESTS]))


def test_tests_are_as_long_as_code() -> None:
    tests, code = house_rules.full_lines(TESTS), house_rules.full_lines(LIBRARY)

    assert tests >= code, f"{tests} lines of tests for {code} lines of code"


def test_scripts_leave_the_config_alone() -> None:
    assert not breaches(house_rules.script_config(SCRIPTS))


def test_rules_leave_the_config_alone() -> None:
    assert not breaches(house_rules.rule_config(RULES))


def test_rules_have_one_anatomy() -> None:
    assert not breaches(house_rules.rule_anatomy(RULES))


def test_every_script_has_its_rule() -> None:
    assert not breaches(house_rules.lonely_scripts((source.path for source in SCRIPTS), RULES))


def test_no_file_holds_leftovers() -> None:
    assert not breaches(house_rules.leftovers(kept_texts()))


# The checks can fail.


def made_up(text: str, path: str = "hypermix/made_up.py") -> list[Source]:
    return [parse(text, path)]


@pytest.mark.parametrize(
    ("path", "text", "word"),
    [
        ("hypermix/errors.py", "from hypermix import hashing", "errors may import only nothing"),
        ("hypermix/errors.py", "import numpy", "only the standard library"),
        ("hypermix/hashing.py", "def f():\n    import pandas", "only the standard library"),
        ("hypermix/seeding.py", "from .registry import Registry", "imports hypermix.registry.Registry"),
        ("hypermix/files.py", "import hypermix.records", "files may import only errors, hashing, tables"),
        (
            "hypermix/augment/mix.py",
            "def f():\n    from hypermix.llm.client import ask",
            "imports hypermix.llm.client.ask",
        ),
        ("hypermix/augment/mix.py", "from ..files import read_table", "imports hypermix.files.read_table"),
        ("hypermix/classify/train.py", "from hypermix import config", "imports hypermix.config"),
        ("hypermix/stats/metric.py", "import pyarrow", "stats may use only numpy, pandas, scipy"),
        ("hypermix/report/page.py", "from hypermix.config.model import Config", "imports hypermix.config.model.Config"),
        ("hypermix/steps/train.py", "import hypermix.cli", "imports hypermix.cli"),
        ("hypermix/steps/train.py", "import torch.nn", "which is for classify"),
        ("hypermix/steps/augment.py", "import importlib\nimportlib.import_module('openai')", "which is for llm"),
        ("hypermix/config/load.py", "from snakemake.utils import validate", "which is for nobody"),
        ("hypermix/other/thing.py", "", "the part 'other' is not in MAY_IMPORT"),
    ],
)
def test_wrong_import_is_found(path: str, text: str, word: str) -> None:
    assert word in breaches(house_rules.import_direction(made_up(text, path)))


def test_right_imports_are_let_pass() -> None:
    text = (
        "import torch\nfrom hypermix import __version__\nfrom hypermix.classify.loss import soft\nfrom . import batch"
    )

    assert not breaches(house_rules.import_direction(made_up(text, "hypermix/classify/train.py")))


def test_local_import_cycle_is_found() -> None:
    one = parse("from hypermix.llm import two", "hypermix/llm/one.py")
    two = parse("def f():\n    from hypermix.llm.one import g", "hypermix/llm/two.py")
    three = parse("from hypermix.llm import one", "hypermix/llm/three.py")

    found = breaches(house_rules.import_cycles([one, two, three]))

    assert "hypermix.llm.one: imports itself over hypermix.llm.two" in found
    assert "three" not in found


@pytest.mark.parametrize("text", ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"])
def test_environment_read_is_found(text: str) -> None:
    assert "environ" in breaches(house_rules.environment_reads(made_up(text)))
    assert not breaches(house_rules.environment_reads(made_up(text, "hypermix/llm/credentials.py")))


def test_long_file_is_found() -> None:
    assert "has 41 lines" in breaches(house_rules.long_files(made_up("x = 1\n" * 41), 40))
    assert not breaches(house_rules.long_files(made_up("x = 1\n" * 40), 40))


def test_long_function_is_found() -> None:
    text = "def f():\n" + "    x = 1\n" * 80

    found = breaches(house_rules.long_functions(made_up(text), most=80, p90=40, median=15))

    assert "hypermix/made_up.py:1 f: has 81 lines" in found
    assert "90th percentile of the functions' lengths is 81" in found
    assert "median of the functions' lengths is 81" in found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a, *b, c=1, **d): ...", "a, c, b, d, return"),
        ("async def f(a: int): ...", "return"),
        ("class A:\n    def f(self, a) -> int: ...", "a"),
        ("class A:\n    @staticmethod\n    def f(a) -> int: ...", "a"),
        ("def f() -> None:\n    def g(): ...", "return"),
    ],
)
def test_missing_annotation_is_found(text: str, names: str) -> None:
    assert breaches(house_rules.missing_annotations(made_up(text))).endswith(f"has no type for {names}")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x = 1", "the module has no docstring"),
        ("'''M.'''\ndef f(): ...", "f has no docstring"),
        ("'''M.'''\nclass A:\n    '''A.'''\n    def f(self): ...", "A.f has no docstring"),
        ("'''M.'''\ndef f():\n    '''F.'''\n    if x:\n        raise ValueError", "has no 'Raises:'"),
    ],
)
def test_missing_docstring_is_found(text: str, word: str) -> None:
    assert word in breaches(house_rules.missing_docstrings(made_up(text)))


@pytest.mark.parametrize(
    "text",
    [
        "def _f(): ...",
        "class _A:\n    def f(self): ...",
        "def f():\n    '''F.'''\n    def g():\n        raise ValueError",
        "def f():\n    '''F.'''\n    try:\n        x\n    except ValueError:\n        raise",
        "def f():\n    '''F.\n\n    Raises:\n        ValueError: Always.\n    '''\n    raise ValueError",
    ],
)
def test_private_code_needs_no_docstring(text: str) -> None:
    assert not breaches(house_rules.missing_docstrings(made_up(f"'''M.'''\n{text}")))


@pytest.mark.parametrize("kind", ["", " Exception", " BaseException as error", " (OSError, Exception)"])
def test_broad_handler_is_found(kind: str) -> None:
    text = f"try:\n    x\nexcept{kind}:\n    y\n"

    assert "catches everything" in breaches(house_rules.broad_handlers(made_up(text)))
    assert not breaches(house_rules.broad_handlers(made_up(text, house_rules.MAY_CATCH_ALL)))
    assert "catches everything" in breaches(house_rules.broad_handlers(made_up(text * 2, house_rules.MAY_CATCH_ALL)))


def test_tidying_up_is_no_catching() -> None:
    text = "try:\n    f()\nexcept BaseException:\n    g()\n    {}\n"
    assert not breaches(house_rules.broad_handlers(made_up(text.format("raise"))))
    assert "catches everything" in breaches(house_rules.broad_handlers(made_up(text.format("raise OSError"))))


@pytest.mark.parametrize(
    "text", ["eval('1')", "exec('x')", "import pickle", "from joblib import load", "pd.read_pickle(p)"]
)
def test_unsafe_code_is_found(text: str) -> None:
    assert breaches(house_rules.unsafe_code(made_up(text)))
    assert not breaches(house_rules.unsafe_code(made_up("model.eval()")))


def test_print_is_found() -> None:
    assert "made_up.py:1: prints" in breaches(house_rules.prints(made_up("print(1)")))
    assert not breaches(house_rules.prints(made_up("print(1)", "hypermix/cli/made_up.py")))


@pytest.mark.parametrize("path", ["hypermix/utils.py", "hypermix/llm/helper.py", "hypermix/common/store.py"])
def test_empty_name_is_found(path: str) -> None:
    assert path in breaches(house_rules.drawers([path, "hypermix/commonsense.py"]))


def test_blank_lines_do_not_count() -> None:
    assert house_rules.full_lines(made_up("x = 1\n\n   \ny = 2\n")) == 2


def test_config_in_script_is_found() -> None:
    assert "made_up.py:2" in breaches(house_rules.script_config(made_up("p = snakemake.params\nsnakemake.config['a']")))


@pytest.mark.parametrize("use", ["config['a']", 'config["a"]', "config.get('a')", "lambda w: config [w.dataset]"])
def test_config_in_rule_is_found(use: str) -> None:
    assert "rule a reads config" in breaches(
        house_rules.rule_config([Rule("a", "a.smk", f"    params:\n        {use},\n")])
    )


def test_config_in_path_is_let_pass() -> None:
    assert not breaches(house_rules.rule_config([Rule("a", "a.smk", '    input:\n        "config.yaml",\n')]))


GOOD_RULE = '''
# rule zero:
rule train:
    """Train."""
    input:
        "a",  # config["x"]
    log:
        "logs/train.log",
    threads: 2
    conda:
        "../../envs/hypermix.yaml"
    script:
        "../scripts/train.py"


def accessor(name):
    return config[name]
'''


def test_good_rule_is_let_pass() -> None:
    found = rules(GOOD_RULE)

    assert [rule.name for rule in found] == ["train"]
    assert not breaches(house_rules.rule_anatomy(found))
    assert not breaches(house_rules.rule_config(found))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('    """Train."""\n', "", "rule train has no docstring"),
        ("    log:\n", "    output:\n", "rule train has no log:"),
        ("    conda:\n", "    container:\n", "rule train has no conda:"),
        ("    threads: 2\n", "", "neither threads: nor resources:"),
        ("scripts/train.py", "scripts/fit.py", "not scripts/train.py"),
        ("    script:\n", "    shell:\n", "runs no script"),
    ],
)
def test_rule_without_a_part_is_found(old: str, new: str, word: str) -> None:
    assert word in breaches(house_rules.rule_anatomy(rules(GOOD_RULE.replace(old, new))))


def test_script_without_rule_is_found() -> None:
    paths = ["workflow/scripts/train.py", "workflow/scripts/fit.py"]

    assert (
        breaches(house_rules.lonely_scripts(paths, rules(GOOD_RULE)))
        == "workflow/scripts/fit.py: no rule has this name"
    )


@pytest.mark.parametrize(
    "parts",
    [("", "home", "ann", "x"), ("", "Users", "ann", "x"), ("", "tmp", "x"), ("", "root", "x")],
)
def test_private_path_is_found(parts: tuple[str, ...]) -> None:
    assert "a.md:2" in breaches(house_rules.leftovers([("a.md", f"one\nsee {'/'.join(parts)}")]))


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME"])
def test_unfinished_work_is_found(word: str) -> None:
    assert word in breaches(house_rules.leftovers([("a.py", f"x = 1  # {word}: later")]))
    assert not breaches(house_rules.leftovers([("a.py", "x = 1  # done: /path/home/x, METHODOLOGY")]))


def test_files_are_listed_without_git(tmp_path: Path) -> None:
    for name in ("a.md", "results/b.md", "venv/pyvenv.cfg", "venv/lib/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert kept_files(tmp_path) == [tmp_path / "a.md"]


def test_snakemake_starts_without_heavy_packages() -> None:
    """Each dry run, each look at the rules and each job of a cluster reads the rules first."""
    rules = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
    lines = [line for text in rules for line in re.findall(r"^(?:from|import) hypermix.*$", text, re.MULTILINE)]
    assert lines
    heavy = {"pandas", "pyarrow", "scipy", "matplotlib", "torch"}
    code = "\n".join([*lines, "import sys", f"sys.exit(' '.join(sorted({heavy!r} & set(sys.modules))))"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert done.stderr.strip() == ""
