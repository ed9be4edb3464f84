from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wn

from hypermix.config.augmenter_offline import Eda
from hypermix.errors import AugmentError
from hypermix.packages import has_wordnet
from hypermix.rewrite.wordnet import open_wordnet

SYNSETS = {
    "film-n": ("n", ("film", "movie", "motion picture")),
    "coat-n": ("n", ("film", "coating")),
    "go-v": ("v", ("go", "travel")),
    "gut-a": ("a", ("Good", "fine")),
}


def lexicon(name: str, language: str) -> str:
    """Write a small wordnet in the format of the Global WordNet Association."""
    entries, synsets = [], []
    for synset, (kind, words) in SYNSETS.items():
        synsets.append(f'<Synset id="{name}-{synset}" ili="" partOfSpeech="{kind}"/>')
        entries += [
            f'<LexicalEntry id="{name}-{synset}-{number}"><Lemma writtenForm="{word}" partOfSpeech="{kind}"/>'
            f'<Sense id="{name}-{synset}-{number}-s" synset="{name}-{synset}"/></LexicalEntry>'
            for number, word in enumerate(words)
        ]
    body = "".join((*entries, *synsets))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.0.dtd">\n'
        '<LexicalResource xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<Lexicon id="{name}" label="Tiny" language="{language}" email="a@b.c" license="none" version="1">'
        f"{body}</Lexicon></LexicalResource>\n"
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of the library's data with an English and a German wordnet; the user's own is not touched."""
    before, folder = wn.config._data_directory, tmp_path_factory.mktemp("wn")
    wn.config.data_directory = folder
    for name, language in (("tiny", "en"), ("klein", "de")):
        (folder / f"{name}.xml").write_text(lexicon(name, language))
        wn.add(folder / f"{name}.xml", progress_handler=None)
    yield folder
    wn.config.data_directory = before


def test_synonyms_are_the_words_of_all_meanings(data: Path) -> None:
    look_up = open_wordnet("tiny:1")
    assert look_up("film") == ("coating", "motion picture", "movie")
    assert look_up("good") == ("fine",)
    assert look_up("unknown") == ()


def test_english_forms_are_looked_up_by_their_lemma(data: Path) -> None:
    assert open_wordnet("tiny:1")("films") == ("coating", "film", "motion picture", "movie")
    assert open_wordnet("tiny:1")("went") == ()  # an irregular form that this wordnet does not list
    assert open_wordnet("klein:1")("films") == ()


def test_auto_takes_the_wordnet_that_is_installed(data: Path) -> None:
    assert Eda(method="eda", lexicon="tiny:1").synonyms == "wordnet"
    assert Eda(method="eda", lexicon="tiny:2").synonyms == "embedding"
    assert Eda(method="eda", lexicon="tiny:1", synonyms="embedding").synonyms == "embedding"


@pytest.mark.parametrize("name", ["tiny:2", "none:1"])
def test_a_wordnet_that_is_not_installed_is_told(data: Path, name: str) -> None:
    with pytest.raises(
        AugmentError, match=rf"the wordnet '{name}' is not installed; pip install .* wn download {name}"
    ):
        open_wordnet(name)


def test_looking_for_it_makes_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wn.config, "_data_directory", tmp_path / "none")
    monkeypatch.setattr(wn.config, "_dbpath", tmp_path / "none" / "wn.db")
    assert not has_wordnet("tiny:1")
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wn", None)
    assert not has_wordnet("oewn:2024")
    assert Eda(method="eda").synonyms == "embedding"
