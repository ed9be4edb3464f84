"""In which language a text is, by the library py3langid, an optional extra."""

from __future__ import annotations

from hypermix.errors import AugmentError, accepted


class LanguageFilter:
    """Tells texts of another language than the wanted one.

    Args:
        wanted: The code of the language.

    Raises:
        AugmentError: If the library is not installed, or does not know the language.
    """

    def __init__(self, wanted: str) -> None:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise AugmentError(
                f"filters.language: {wanted} takes the library py3langid, which is not installed; run: "
                "pip install py3langid, or set filters.language: null"
            ) from error
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
