"""Synonyms of a wordnet, by the library wn and the data that it has on this machine. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypermix.errors import AugmentError
from hypermix.packages import has_wordnet

_ENGLISH = "en"


def open_wordnet(lexicon: str) -> Callable[[str], Sequence[str]]:
    """Return a function that looks synonyms up.

    Args:
        lexicon: A wordnet by wn's name and version, such as ``oewn:2024``.

    Raises:
        AugmentError: If the library or the data are not installed.
    """
    if not has_wordnet(lexicon):
        raise AugmentError(
            f"the wordnet {lexicon!r} is not installed; pip install 'hypermix[wordnet]' and python -m wn download "
            f"{lexicon}, or set synonyms: embedding"
        )
    import wn
    from wn.morphy import Morphy

    bare = wn.Wordnet(lexicon, expand="")
    english = all(one.language == _ENGLISH for one in bare.lexicons())
    # As in WordNet's own search, films are looked up as film.
    net = wn.Wordnet(lexicon, expand="", lemmatizer=Morphy(bare)) if english else bare
    known: dict[str, tuple[str, ...]] = {}

    def look_up(word: str) -> Sequence[str]:
        if word not in known:
            found = sorted({lemma.lower() for synset in net.synsets(word) for lemma in synset.lemmas()} - {word})
            known[word] = tuple(found)
        return known[word]

    return look_up
