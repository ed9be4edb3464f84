"""Fetching, from a server of this process and from fsspec's own file systems."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data.fetch import fetch, without_secret
from hypermix.data.file import open_files
from hypermix.data.rows import Columns, clean_batches
from hypermix.errors import DataError
from hypermix.hashing import file_digest
from hypermix.names import is_url
from tests.serving import serving

CSV = b"text,label\nx,a\ny,b\n"
COLUMNS = Columns(["text"], "label")
SETTINGS = {"format": None, "encoding": "utf-8", "separator": None, "quoting": "csv", "validation": None, "test": None}


class _Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        kind = self.path[1:].partition("/")[0].partition("?")[0]
        if kind.isdigit():
            self._answer(int(kind), b"no, " + self.path.encode())
        elif kind == "short":
            self._answer(200, CSV, {"Content-Length": "1000"})
        elif kind == "chunks":
            self._answer(200, b"a\r\ntext,label\r\n8\r\nx,", {"Transfer-Encoding": "chunked"})
        elif kind == "hang-up":
            self.close_connection = True
        elif kind == "moved":
            self._answer(302, b"", {"Location": "/ok/rows.csv"})
        elif kind == "circle":
            self._answer(302, b"", {"Location": "/circle/rows.csv"})
        elif kind == "packed":
            self._answer(200, gzip.compress(CSV), {"Content-Encoding": "gzip"})
        else:
            self._answer(200, b"text,label\nz,a\n" if "split=test" in self.path else CSV)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = headers or {}
        if "Transfer-Encoding" not in headers:
            headers = {"Content-Length": str(len(body)), **headers}
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server on the loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{path}"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """Run one server for all tests of this module."""
    server = Server()
    with serving(server):
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """Return the server, which was asked nothing yet."""
    running.asked.clear()
    return running


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "downloads"


def refuse(url: str, downloads: Path) -> str:
    """Return why a URL cannot be fetched; nothing of it may be left, and no secret shown."""
    with pytest.raises(DataError) as caught:
        fetch(url, downloads)
    message = str(caught.value)
    assert list(downloads.glob("*")) == []
    assert "SECRET" not in message
    assert message.isprintable()
    return message


def test_file_is_fetched_whole(server: Server, downloads: Path) -> None:
    copy = fetch(server.url("ok/rows.csv"), downloads)

    assert copy.read_bytes() == CSV
    assert copy.suffix == ".csv"
    assert list(downloads.iterdir()) == [copy]


def test_second_read_takes_the_copy(server: Server, downloads: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = server.url("ok/rows.csv?token=SECRET", "me:SECRET@")
    with caplog.at_level(logging.INFO, logger="hypermix"):
        first = fetch(url, downloads)
        assert fetch(url, downloads) == first

    assert server.asked == ["/ok/rows.csv?token=SECRET"]
    own = [record.getMessage() for record in caplog.records if record.name.startswith("hypermix")]
    assert own == [f"{server.url('ok/rows.csv')}: taken from {first}; delete that file to fetch it again"]


def test_copy_that_was_deleted_is_fetched_again(server: Server, downloads: Path) -> None:
    url = server.url("ok/rows.csv")
    fetch(url, downloads).unlink()
    fetch(url, downloads)

    assert len(server.asked) == 2


def test_urls_that_differ_in_the_query_are_two_files(server: Server, downloads: Path) -> None:
    first, second = (fetch(server.url(f"ok/rows.csv?split={split}"), downloads) for split in ("train", "test"))

    assert first.read_bytes() != second.read_bytes()


def test_redirect_is_followed(server: Server, downloads: Path) -> None:
    assert fetch(server.url("moved/rows.csv"), downloads).read_bytes() == CSV


def test_packing_of_the_answer_is_not_that_of_the_file(server: Server, downloads: Path) -> None:
    """What is called .gz stays packed; else the packing was the server's own way of sending."""
    assert gzip.decompress(fetch(server.url("packed/rows.csv.gz"), downloads).read_bytes()) == CSV
    assert fetch(server.url("packed/rows.csv"), downloads).read_bytes() == CSV


@pytest.mark.parametrize("status", [404, 410])
def test_missing_file_is_told(server: Server, downloads: Path, status: int) -> None:
    message = refuse(server.url(f"{status}/rows.csv?token=SECRET", "me:SECRET@"), downloads)

    what = "no such file; mend the URL" if status == 404 else "was not fetched whole (status 410)"
    assert message.startswith(f"{server.url(f'{status}/rows.csv')}: {what}")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("500/rows.csv", "status 500"),
        ("403/rows.csv", "status 403"),
        ("503/rows.csv", "status 503"),
        ("short/rows.csv", "ClientPayloadError"),
        ("chunks/rows.csv", "ClientPayloadError"),
        ("hang-up/rows.csv", "ServerDisconnectedError"),
        ("circle/rows.csv", "TooManyRedirects"),
    ],
)
def test_part_of_a_file_is_not_kept(server: Server, downloads: Path, path: str, why: str) -> None:
    message = refuse(server.url(f"{path}?token=SECRET"), downloads)

    assert message == (f"{server.url(path)}: was not fetched whole ({why}); nothing is kept, run again to try again")


def test_host_that_does_not_answer_is_told(downloads: Path) -> None:
    with Server() as server:
        url = server.url("ok/rows.csv?token=SECRET")

    assert "/ok/rows.csv: was not fetched whole (ClientConnectorError); nothing is kept" in refuse(url, downloads)


def test_failure_leaves_an_older_copy(server: Server, downloads: Path) -> None:
    copy = fetch(server.url("ok/rows.csv"), downloads)
    with pytest.raises(DataError):
        fetch(server.url("short/rows.csv"), downloads)

    assert list(downloads.iterdir()) == [copy]


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("rows.csv", ".csv"),
        ("rows.jsonl.gz", ".jsonl.gz"),
        ("v1.2 final.csv", ".csv"),
        ("rows.csv;..", ""),
        ("rows.c%2f..%2f..%2fetc", ""),
        ("rows./../../etc/passwd", ""),
        ("..", ""),
        ("", ""),
        ("rows.%00", ""),
        ("rows.csv%0a", ""),
        ("rows." + "a" * 300, ""),
        ("rows.日本", ""),
    ],
)
def test_no_name_leaves_the_folder(server: Server, downloads: Path, path: str, suffix: str) -> None:
    copy = fetch(server.url(f"ok/{path}?name=../../evil.csv#/../x.csv"), downloads)

    assert copy.parent == downloads
    assert copy.name == copy.name[:16] + suffix
    assert set(copy.name[:16]) <= set("0123456789abcdef")


def test_other_file_systems_are_read(tmp_path: Path, downloads: Path) -> None:
    (tmp_path / "my rows.csv").write_bytes(CSV)
    fsspec.filesystem("memory").pipe("/fetched/rows.csv", CSV)

    assert fetch(f"file://{tmp_path}/my rows.csv", downloads).read_bytes() == CSV
    assert fetch("memory://fetched/rows.csv", downloads).read_bytes() == CSV


@pytest.mark.parametrize("url", ["file:///gone/rows.csv", "file:///", "memory://gone/rows.csv"])
def test_missing_file_of_other_systems_is_told(downloads: Path, url: str) -> None:
    assert refuse(url, downloads) == f"{url}: no such file; mend the URL"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        (
            "htp://host/x.csv?SECRET",
            "'htp' is no protocol that can be fetched; did you mean 'http'? (known: ftp, gs",
        ),
        ("://host/x.csv", "'' is no protocol that can be fetched; known: ftp,"),
        ("http://[half/x.csv?SECRET", "is no URL of the kind http; mend it"),
        ("http://me:SECRET@host:99999/x.csv", "is no URL of the kind http; mend it"),
        ("http:///x.csv?SECRET", "is no URL of the kind http; mend it"),
        ("data://SECRET@x", "is no URL of the kind data; mend it"),
    ],
)
def test_what_is_no_url_is_told(downloads: Path, url: str, what: str) -> None:
    assert refuse(url, downloads).startswith(f"{without_secret(url)}: {what}")


def test_missing_package_is_named(downloads: Path) -> None:
    assert refuse("smb://me:SECRET@host/share/x.csv", downloads).startswith(
        "smb://host/share/x.csv: cannot be fetched without another package: SMB requires "
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b.csv", "https://host/a/b.csv"),
        ("https://me:pass@host:8/b.csv?token=x#y", "https://host:8/b.csv"),
        ("https://me@host?token=x", "https://host"),
        ("https://host/pkg@1.0/b.csv", "https://host/pkg@1.0/b.csv"),
        ("https://a@b@host/b", "https://host/b"),
        ("https://host/b#token", "https://host/b"),
        ("http://[half?x", "http://[half"),
        ("zip://a.csv::https://me:pass@host/b.zip?x", "zip://a.csv::https://host/b.zip"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert without_secret(url) == shown


@given(st.text())
def test_any_name_can_be_shown(name: str) -> None:
    secret = f"https://me:SECRET@host/{name}?SECRET"

    assert "SECRET" not in without_secret(secret)
    assert without_secret(without_secret(secret)) == without_secret(secret)
    assert is_url(secret)


@pytest.mark.parametrize("path", ["data/train.csv", "/abs/train.csv", "C:\\train.csv", "a:b.csv", "http:/x"])
def test_paths_are_no_urls(path: str) -> None:
    assert not is_url(path)


def open_all(tmp_path: Path, **how: Any) -> Any:
    return open_files({**SETTINGS, **how}, COLUMNS, tmp_path / "cache")


def rows_of(data: Any, split: str) -> list[tuple[str, str]]:
    return [
        (row["text"], row["label"]) for batch in clean_batches(data.splits[split], COLUMNS) for row in batch.to_pylist()
    ]


def test_fetched_rows_are_read(server: Server, tmp_path: Path, downloads: Path) -> None:
    data = open_all(tmp_path, train=server.url("ok/rows.csv?token=SECRET", "me:SECRET@"))

    assert rows_of(data, "train") == rows_of(data, "train") == [("x", "a"), ("y", "b")]
    assert data.inputs == {server.url("ok/rows.csv"): file_digest(next(downloads.iterdir()))}
    assert data.splits["train"].where == server.url("ok/rows.csv")
    assert len(server.asked) == 1


def test_splits_whose_urls_differ_in_the_query_are_told_apart(server: Server, tmp_path: Path) -> None:
    shown = server.url("ok/rows.csv")
    data = open_all(tmp_path, train=f"{shown}?split=train", test=f"{shown}?split=test")

    assert rows_of(data, "test") == [("z", "a")]
    assert list(data.inputs) == [shown, f"{shown} (test)"]
    assert len(set(data.inputs.values())) == 2


def test_format_is_set_where_the_url_does_not_tell_it(server: Server, tmp_path: Path) -> None:
    url = server.url("ok/export?format=csv")

    assert rows_of(open_all(tmp_path, train=url, format="csv"), "train") == [("x", "a"), ("y", "b")]
    with pytest.raises(DataError, match=r"/ok/export: it has no suffix that names a format; .* or set format$"):
        open_all(tmp_path, train=url)


def test_page_in_place_of_a_file_is_told(server: Server, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/fetched/page.csv", b"<!DOCTYPE html>\n<p>Log in, please</p>\n")
    data = open_all(tmp_path, train="memory://fetched/page.csv")

    with pytest.raises(DataError, match=r"^memory://fetched/page\.csv: the header is the one field '<!DOCTYPE html>'"):
        rows_of(data, "train")
