from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import ArtefactError
from hypermix.report.data import ReportData
from hypermix.report.files import write_files
from hypermix.report.numbers import SHEETS
from hypermix.report.outputs import FIGURE_NAMES, TABLE_NAMES, file_outputs
from hypermix.report.pictures import FIGURES, Gallery, page_figures
from tests.report_data import make_comparisons, make_report, make_runs, parse_svg


def written(data: ReportData, folder: Path, *names: str) -> dict[str, bytes]:
    """Write the files with these names, or all."""
    paths = {name: folder / path for name, path in file_outputs().items() if not names or name in names}
    write_files(Gallery(data), paths)
    return {name: path.read_bytes() for name, path in paths.items()}


def nothing() -> ReportData:
    full = make_report()
    names = ("runs", "summary", "comparisons", "costs", "spending", "quality", "curves", "seed_costs", "calibration")
    return make_report(**{name: getattr(full, name).head(0) for name in names})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(make_report(runs=make_runs(subsamples=["8s", "16s"])), tmp_path_factory.mktemp("files"))


def test_every_name_has_its_drawer() -> None:
    assert FIGURE_NAMES == FIGURES
    assert tuple(SHEETS) == TABLE_NAMES


def test_all_files_are_written(files: dict[str, bytes]) -> None:
    assert all(files.values())
    assert len(files) == 5 * 2 + 4 * 3


def test_the_same_bytes_come_again(files: dict[str, bytes], tmp_path: Path) -> None:
    assert written(make_report(runs=make_runs(subsamples=["8s", "16s"])), tmp_path) == files


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # a limit of the process, where no small disk is
    try:
        with pytest.raises(ArtefactError, match=r"\.csv cannot be written: File too large; make room there"):
            written(make_report(), tmp_path, f"table_{TABLE_NAMES[0]}_csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_a_figure_needs_no_style_sheet(files: dict[str, bytes], name: str) -> None:
    root = parse_svg(files[f"figure_{name}_svg"].decode("utf-8"))
    background = root.find("{*}rect")
    assert background is not None
    assert background.get("fill") == "#ffffff"
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert text.get("fill", "").startswith("#")


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_a_pdf_has_no_date_and_embeds_its_font(files: dict[str, bytes], name: str) -> None:
    content = files[f"figure_{name}_pdf"]
    assert content.startswith(b"%PDF-")
    assert b"CreationDate" not in content
    assert b"/Type3" not in content
    assert b"/FontFile2" in content


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("accuracy", "no runs"),
        ("differences", "nothing to compare"),
        ("sizes", "two subsample sizes"),
        ("curves", "two different steps"),
        ("costs", "No language model was asked"),
    ],
)
def test_a_figure_without_anything_says_so(name: str, told: str, tmp_path: Path) -> None:
    svg, pdf = written(nothing(), tmp_path, f"figure_{name}_svg", f"figure_{name}_pdf").values()
    assert told in svg.decode("utf-8")
    assert pdf.startswith(b"%PDF-")
    assert page_figures(Gallery(nothing()), name) == []


def test_only_what_is_named_is_written(tmp_path: Path) -> None:
    write_files(Gallery(make_report()), {"table_costs_csv": tmp_path / "costs.csv"})
    assert [path.name for path in tmp_path.iterdir()] == ["costs.csv"]


def test_differences_of_seeds_without_spread_are_drawn(tmp_path: Path) -> None:
    runs = make_runs(seeds=[1])
    changes: dict[str, Any] = {"runs": runs, "comparisons": make_comparisons(runs)}
    (svg,) = written(make_report(**changes), tmp_path, "figure_differences_svg").values()
    assert b"nan" not in svg
