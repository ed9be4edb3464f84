"""In which language a text is, by the library py3langid, whose model is a part of its package."""

from __future__ import annotations

from hypermix.errors import AugmentError, accepted


class LanguageFilter:
    """Tells texts of another language than the wanted one.

    Args:
        wanted: The code of the language.

    Raises:
        AugmentError: If the library does not know the language.
    """

    def __init__(self, wanted: str) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        # A copy of its own, so that nothing else in this process sets its languages.
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = sorted(self._identifier.labels)
        if wanted not in known:
            raise AugmentError(f"filters.language: py3langid knows no {wanted!r}; {accepted(wanted, known)}")
        self._wanted = wanted

    def refuses(self, text: str) -> bool:
        """Tell whether a text is more likely than not in another language. One that tells too little is not."""
        found, probability = self._identifier.classify(text)
        return bool(found != self._wanted and probability >= 0.5)
