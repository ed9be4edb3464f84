from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hypermix import __version__, tables
from hypermix.cli import main
from hypermix.files import write_table
from tests.architecture.source import ROOT
from tests.hub import Repository, hub, parquet

CONFIG = """
datasets:
  toy: {source: file, train: rows.csv}
seeds: {data: [1, 2], trials: [7]}
augmenters:
  none: {method: none}
  duplicate: {method: duplicate}
classifiers:
  tiny: {method: finetune}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", "text,label\n")
    return write(tmp_path / "config" / "config.yaml", CONFIG)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def check(*files: Path) -> int:
    return main(["config", "check", *map(str, files)])


# config check


def test_a_missing_file_is_told_with_its_key(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent.parent / "rows.csv").unlink()
    assert check(config) == 1
    told = capsys.readouterr().err
    assert "datasets.toy.train: rows.csv: no such file" in told


def test_an_overlay_alone_is_told_what_belongs_before_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "more.yaml", "augmenters: {duplicate: null}")
    assert check(overlay) == 1
    assert capsys.readouterr().err.endswith(f"name it first: config/config.yaml {overlay}\n")
    assert check(config, overlay) == 0

    write(overlay, "augmentors: {}")
    assert check(overlay) == 1
    assert "name it first" not in capsys.readouterr().err


def test_a_whole_config_alone_is_told_not_to_be_what_snakemake_runs(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write(config.parent / "mine.yaml", CONFIG.replace("duplicate: {method: duplicate}", "eda: {method: eda}"))
    assert check(whole) == 0
    told = capsys.readouterr()
    assert told.out == "The config is fine: 4 runs.\n"
    assert told.err.startswith(f"Told of {whole} alone. Snakemake lays it over config/config.yaml")
    assert told.err.endswith(f"name both: config/config.yaml {whole}\n")

    write(whole, CONFIG.replace("toy: {source: file, train: rows.csv}", "toy: {source: packaged, name: rt-snippets}"))
    assert check(whole) == 0  # and both together are no config
    assert "Snakemake lays it over config/config.yaml" in capsys.readouterr().err


def test_a_whole_config_that_says_all_that_the_default_one_does_is_no_news(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write(config.parent / "mine.yaml", CONFIG.replace("[1, 2]", "[1, 2, 3]"))
    assert check(whole) == 0
    assert check(config, whole) == 0
    config.unlink()
    assert check(write(whole, CONFIG.replace("toy:", "other:"))) == 0
    assert capsys.readouterr().err == ""


def test_good_config_is_counted(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config) == 0
    assert capsys.readouterr().out == "The config is fine: 4 runs.\n"


def test_config_of_the_folder_is_default(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    assert "4 runs" in capsys.readouterr().out


def test_overlays_are_laid_in_order(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = write(config.parent / "more.yaml", "seeds: {data: [1, 2, 3, 4, 5]}")
    fewer = write(config.parent / "fewer.yaml", "augmenters: {duplicate: null}")
    assert check(config, more, fewer) == 0
    assert "5 runs" in capsys.readouterr().out
    other = write(config.parent / "other.yaml", "seeds: {data: [9]}")
    assert check(config, more, other) == 0
    assert "2 runs" in capsys.readouterr().out


def test_every_mistake_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "bad.yaml", "augmentors: {}\nclassifiers: {tiny: {batch_size: 0}}")
    assert check(config, overlay) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "the config has 2 mistakes:" in told.err
    assert "augmentors: unknown key; did you mean 'augmenters'?" in told.err
    assert "classifiers.tiny.batch_size: 0 stands there" in told.err


def test_experiment_without_runs_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "none.yaml", "except: [{dataset: toy}]")
    assert check(config, overlay) == 1
    assert "only and except leave none of 4 runs" in capsys.readouterr().err


def test_missing_file_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config, Path("gone.yaml")) == 1
    assert capsys.readouterr().err == "gone.yaml: no such file\n"


@pytest.mark.parametrize("content", [b"a: [1,", b"a: b: c", b"\xff\xfe\x00", b"\tx: 1"])
def test_file_that_is_no_yaml_is_told(config: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    config.write_bytes(content)
    assert check(config) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{config}: is not YAML: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just words", "7"])
def test_file_without_settings_is_told(config: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    write(config, content)
    assert check(config) == 1
    assert capsys.readouterr().err == f"{config}: holds no mapping of settings\n"


def test_folder_in_place_of_file_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config.parent) == 1
    assert capsys.readouterr().err == f"{config.parent}: cannot be read: Is a directory\n"


# config write


def test_written_files_are_in_step(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "write"]) == 0
    assert json.loads((config.parent / "schema.json").read_text(encoding="utf-8"))["type"] == "object"
    assert "max_tokens" in (config.parent / "README.md").read_text(encoding="utf-8")
    assert main(["config", "write", "--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("config/README.md", "hypermix/config/model.py"),
        ("config/schema.json", "hypermix/config/model.py"),
        ("docs/datasets.md", "config/datasets.yaml"),
    ],
)
def test_file_out_of_step_is_shown(config: Path, capsys: pytest.CaptureFixture[str], name: str, source: str) -> None:
    write_registry(config)
    main(["config", "write"])
    lines = Path(name).read_text(encoding="utf-8").splitlines(keepends=True)
    changed = write(Path(name), "".join(["an old line\n", *lines]))
    assert main(["config", "write", "--check"]) == 1
    told = capsys.readouterr().out
    assert "-an old line\n" in told
    assert f"{name} is out of step with {source}; run: hypermix config write\n" in told
    assert told.count("out of step") == 1
    assert changed.read_text(encoding="utf-8").startswith("an old line")


def test_missing_files_are_out_of_step(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "write", "--check"]) == 1
    assert capsys.readouterr().out.count("is out of step") == 2
    assert sorted(path.name for path in config.parent.iterdir()) == ["config.yaml"]


def test_document_of_the_datasets_is_made_from_the_registry(config: Path) -> None:
    write_registry(config)
    assert main(["config", "write"]) == 0
    assert "| grammar | `lab/grammar` | 2 |" in Path("docs/datasets.md").read_text(encoding="utf-8")
    assert main(["config", "write", "--check"]) == 0


# The registry.

REGISTRY = """
grammar:
  path: lab/grammar
  revision: null
  text: sentence
  facts:
    rows: {train: 10, validation: null, test: 5}
    labels: ["yes", "no"]
    license: MIT
    checked: Made up.
    pitfalls: Small.
"""


def write_registry(config: Path) -> Path:
    return write(config.parent / "datasets.yaml", REGISTRY)


def test_check_knows_the_registry(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "more.yaml", "datasets: {grammar: {source: registry}}")
    assert check(config, overlay) == 1
    assert "datasets.grammar.name: 'grammar' is no dataset of config/datasets.yaml; known: none yet" in (
        capsys.readouterr().err
    )
    write_registry(config)
    assert check(config, overlay) == 0
    assert capsys.readouterr().out == "The config is fine: 8 runs.\n"


def test_a_broken_registry_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(config.parent / "datasets.yaml", "grammar: {pth: a/b}")
    assert check(config) == 1
    assert capsys.readouterr().err.startswith("config/datasets.yaml: grammar.pth: unknown key; did you mean 'path'?")


# datasets pin

FIRST, SECOND = "1a2b" * 10, "3c4d" * 10


def pin(*files: Path) -> int:
    return main(["datasets", "pin", *map(str, files)])


def write_results(dataset: str, inputs: dict[str, str], revision: str | None = None, results: str = "results") -> None:
    """Write a train.parquet as `prepare` leaves it."""
    told = {"inputs": inputs, "slices": {"prepare": {"dataset": {"revision": revision}}}}
    rows = tables.schema("train").empty_table()
    write_table(Path(results) / "prepare" / f"dataset={dataset}" / "train.parquet", rows, told)


@pytest.fixture
def hubs(config: Path) -> Path:
    """Return an overlay with comments, quotes and an order of its own."""
    write_registry(config)
    text = """# My datasets.
datasets:
    grammar:   {source: registry}   # known
    tone:
        path: 'lab/tone'   # the "new" one
        source: hub

    # The next one is pinned.
    old: {source: hub, path: lab/old, revision: COMMIT}

report: {rows: 5}
"""
    return write(config.parent / "mine.yaml", text.replace("COMMIT", FIRST))


def test_commits_of_the_results_are_pinned(config: Path, hubs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results("grammar", {"lab/grammar": FIRST})
    write_results("tone", {"lab/tone": SECOND})
    before, base = hubs.read_text(encoding="utf-8"), config.read_bytes()
    assert pin(config, hubs) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"grammar: lab/grammar at {FIRST} (from results)",
        f"tone: lab/tone at {SECOND} (from results)",
    ]
    expected = before.replace("{source: registry}", f"{{source: registry, revision: {FIRST}}}").replace(
        '# the "new" one\n', f'# the "new" one\n        revision: {SECOND}\n'
    )
    assert hubs.read_text(encoding="utf-8") == expected
    assert config.read_bytes() == base
    assert pin(config, hubs) == 0
    assert capsys.readouterr().out == "Nothing to pin: no dataset of the config comes from the hub without a commit.\n"


def test_last_file_takes_the_commits(config: Path, hubs: Path) -> None:
    last = write(config.parent / "last.yaml", "# Mine.\nresults: other\n")
    write_results("grammar", {"lab/grammar": FIRST}, results="other")
    write_results("tone", {"lab/tone": SECOND}, results="other")
    before = hubs.read_bytes()
    assert pin(config, hubs, last) == 0
    assert hubs.read_bytes() == before
    text = last.read_text(encoding="utf-8")
    assert text.startswith("# Mine.\nresults: other\n")
    assert yaml.safe_load(text)["datasets"] == {"grammar": {"revision": FIRST}, "tone": {"revision": SECOND}}
    assert check(config, hubs, last) == 0


def test_config_of_the_folder_is_pinned_by_default(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, CONFIG.replace("{source: file, train: rows.csv}", "{source: hub, path: lab/toy, revision: main}"))
    write_results("toy", {"lab/toy": FIRST}, revision="main")
    assert pin() == 0
    assert f"path: lab/toy, revision: {FIRST}}}" in config.read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"toy: lab/toy at {FIRST} (from results)\n"


def test_files_and_pinned_datasets_are_left_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = config.read_bytes()
    assert pin(config) == 0
    assert capsys.readouterr().out.startswith("Nothing to pin: ")
    assert config.read_bytes() == before


def test_damaged_results_are_told(config: Path, hubs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("results/prepare/dataset=grammar/train.parquet"), "no Parquet")
    before = hubs.read_bytes()
    assert pin(config, hubs) == 1
    assert "train.parquet: cannot be read as Parquet" in capsys.readouterr().err
    assert hubs.read_bytes() == before


def run_pin(url: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Pin in a process of its own: the libraries read where the hub is on import."""
    code = "import sys; from hypermix.cli import main; sys.exit(main())"
    home = {"HF_HOME": str(Path.cwd() / "hf"), "HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **home}
    words = [sys.executable, "-c", code, "datasets", "pin", *map(str, files)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_hub_is_asked_for_what_the_results_do_not_tell(config: Path, hubs: Path) -> None:
    files = {"train.parquet": parquet({"text": ["a", "b"], "label": ["x", "y"]})}
    grammar, tone = Repository(files), Repository({**files, "more.txt": b"c"})
    # The results were made from another branch than the config asks for now.
    write_results("tone", {"lab/tone": FIRST}, revision="draft")
    with hub({"lab/grammar": grammar, "lab/tone": tone}) as server:
        done = run_pin(server.url, config, hubs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"grammar: lab/grammar at {grammar.commit()} (from the hub)",
        f"tone: lab/tone at {tone.commit()} (from the hub)",
    ]
    pinned = yaml.safe_load(hubs.read_text(encoding="utf-8"))["datasets"]
    assert (pinned["grammar"]["revision"], pinned["tone"]["revision"]) == (grammar.commit(), tone.commit())


def test_nothing_is_written_when_the_hub_lacks_one(config: Path, hubs: Path) -> None:
    write_results("grammar", {"lab/grammar": FIRST})
    before = hubs.read_bytes()
    with hub({}) as server:
        done = run_pin(server.url, config, hubs)
    assert done.returncode == 1
    assert "lab/tone" in done.stderr
    assert done.stderr.count("\n") == 1
    assert hubs.read_bytes() == before


# The command.


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"hypermix {__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["config"], ["datasets"], ["no-such-command"], ["config", "check", "--no-such-option"]]
)
def test_wrong_use_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: hypermix" in capsys.readouterr().err


def test_process_ends_with_the_status(config: Path) -> None:
    code = "import sys; from hypermix.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for words, status in ((["config", "check"], 0), (["config", "check", "gone.yaml"], 1)):
        ended = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, check=False)
        assert ended.returncode == status


# plan


def test_plan_of_no_language_model_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan"]) == 0
    told = capsys.readouterr().out
    assert told == "No augmenter of the experiment asks a language model: nothing will be spent on one.\n"


def test_plan_tells_what_is_not_there_yet(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 0)
    text = """
    llms: {far: {api: chat, model: any, base_url: "https://model.example/v1"}}
    augmenters: {mix: {method: gpt3mix, llm: far}}
    """
    overlay = write(config.parent / "mix.yaml", text)
    before = sorted(config.parent.parent.rglob("*"))
    assert main(["plan", str(config), str(overlay)]) == 0
    told = capsys.readouterr().out
    assert "2 of 2 draws of rows are not there yet" in told
    command = f"snakemake --cores 2 --until subsample \\ --configfile {config} \\ {overlay}"
    assert "".join(command.split()) in "".join(told.split())
    assert "far: the config gives no price" in told
    assert max(map(len, told.splitlines())) <= 60
    assert sorted(config.parent.parent.rglob("*")) == before


def test_plan_of_a_wrong_config_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write(config.parent / "bad.yaml", "augmentors: {}"))]) == 1
    assert capsys.readouterr().out == ""
