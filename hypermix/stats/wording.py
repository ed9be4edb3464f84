"""The verdict in plain words, for someone without statistics.

Accuracy is told in points: 100 times the difference of two shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hypermix.stats.compare import MAX_PAIRS
from hypermix.stats.outcome import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    MIXED,
    NO_DIFFERENCE,
    NOTHING,
    OUTCOMES,
    Finding,
)

_NAMED = 5  # a headline names at most this many augmenters
_EACH_NAMED = 2  # up to this many augmenters get a sentence each in the headline
_STEPS = (
    "Duplicated rows give the same number of training steps, "
    "so the gain over none may come from the additional training steps alone."
)
CAUTIONS = {
    "none": "No augmenter of the method none ran, so nothing tells whether any is better than no augmentation.",
    "duplicate": "No augmenter of the method duplicate ran, so a gain may come from additional training steps alone.",
}
"""What it means that a method is missing from an experiment."""


@dataclass(frozen=True)
class Told:
    """What the headline needs to know of one augmenter in one setting.

    Attributes:
        dataset: The dataset of the setting.
        augmenter: The augmenter under test.
        outcome: One of `hypermix.stats.outcome.OUTCOMES`.
        findings: The augmenter against each baseline.
    """

    dataset: str
    augmenter: str
    outcome: str
    findings: tuple[Finding, ...]

    @property
    def n_seeds(self) -> int:
        """The data seeds that the outcome rests on: the fewest pairs of any of its comparisons."""
        return min((finding.n_pairs for finding in self.findings), default=0)


def tell_points(share: float) -> str:
    """Return a difference of shares in points with its sign, such as ``+1.2``; zero has none."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def tell_p(p_value: float) -> str:
    """Return a p value with three decimals, such as ``p = 0.031`` or ``p < 0.001``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def tell_dollars(usd: float) -> str:
    """Return an amount of money, such as ``$3.20``."""
    return f"${usd:,.2f}" if usd >= 0.01 else "$0.01"


def tell_setting(told: Told, alpha: float, level: float, methods: Mapping[str, str]) -> str:
    """Return what is known of one augmenter in one setting, a sentence for each baseline.

    Args:
        told: The augmenter, its outcome and its findings.
        alpha: The bound for p.
        level: Coverage of the intervals.
        methods: The method of a baseline whose name does not tell it.
    """
    if not told.findings:
        return f"{told.augmenter} cannot be compared: no baseline ran in this setting."
    sentences = [_tell_finding(told.augmenter, finding, alpha, level) for finding in told.findings]
    outcomes = [(methods.get(one.baseline, one.baseline), one.outcome) for one in told.findings]
    unclear = any(method == "duplicate" and outcome in (NO_DIFFERENCE, CANNOT_TELL) for method, outcome in outcomes)
    if ("none", HELPS) in outcomes and unclear:
        sentences.append(_STEPS)
    return " ".join(sentences)


def _tell_finding(augmenter: str, finding: Finding, alpha: float, level: float) -> str:
    if finding.n_pairs == 0:
        return f"{augmenter} cannot be compared with {finding.baseline}: no data seed has both."
    changed = f"accuracy changed by {tell_points(finding.mean_difference)} points"
    if finding.outcome == CANNOT_TELL:
        return _tell_too_few(augmenter, finding, changed, alpha, level)
    opening = {
        HELPS: f"{augmenter} helps against {finding.baseline}",
        HURTS: f"{augmenter} hurts against {finding.baseline}",
        NO_DIFFERENCE: f"{augmenter} shows no clear difference from {finding.baseline}",
    }[finding.outcome]
    corrected = f", corrected for {finding.family} comparisons" if finding.family > 1 else ""
    numbers = f"({_interval(finding, level)}; {tell_p(finding.p_adjusted)}{corrected})"
    rest = "".join(_tell_open(finding)) if finding.outcome == NO_DIFFERENCE else ""
    return f"{opening} over {_seeds(finding.n_pairs)}: {changed} {numbers}{rest}."


def _tell_open(finding: Finding) -> Iterator[str]:
    """Tell what is still possible where no difference is shown."""
    if finding.ci_low < finding.ci_high:  # without any spread an interval says nothing
        yield f"; the data still allow {tell_points(finding.largest_difference)}"
    if (finding.pairs_needed or 0) > finding.n_pairs:
        yield f"; {_about(finding)} would be needed for a difference of this size{_tell_price(finding)}"


def _tell_price(finding: Finding) -> str:
    usd = finding.usd_needed
    return f", about {tell_dollars(usd)} more for its language model" if usd > 0 else ""


def _tell_too_few(augmenter: str, finding: Finding, changed: str, alpha: float, level: float) -> str:
    opening = f"{augmenter} cannot be told apart from {finding.baseline} with {_seeds(finding.n_pairs)}: {changed}"
    at_once = f" when {finding.family} comparisons are corrected for" if finding.family > 1 else ""
    if finding.n_pairs < 2:
        reason = ", and one seed does not show what is chance"
    else:
        reason = (
            f" ({_interval(finding, level)}), and no test over {finding.n_pairs} seeds can reach p = {alpha:g}{at_once}"
        )
    more = (finding.pairs_needed or 0) > finding.seeds_for_test
    needed = f", and {_about(finding, unit=False)} for a difference of this size" if more else ""
    return f"{opening}{reason}; at least {finding.seeds_for_test} are needed{needed}{_tell_price(finding)}."


def _about(finding: Finding, unit: bool = True) -> str:
    count = finding.pairs_needed or 0
    rounded = count if count < 100 else int(float(f"{count:.2g}"))
    number = f"at least {MAX_PAIRS}" if count >= MAX_PAIRS else f"about {rounded}"
    return f"{number} data seeds" if unit else number


def _interval(finding: Finding, level: float) -> str:
    low, high = tell_points(finding.ci_low), tell_points(finding.ci_high)
    return f"{100 * level:g} % interval {low} to {high}"


def _seeds(count: int) -> str:
    return f"{count} data seed" if count == 1 else f"{count} data seeds"


def tell_experiment(told: Sequence[Told]) -> str:
    """Return the headline of an experiment: one or two sentences.

    Args:
        told: Every augmenter under test in every setting that has a baseline; at least one.
    """
    by_augmenter: dict[str, list[Told]] = {}
    for one in told:
        by_augmenter.setdefault(one.augmenter, []).append(one)
    if len(by_augmenter) <= _EACH_NAMED:
        return " ".join(_tell_augmenter(name, settings) for name, settings in by_augmenter.items())
    return _tell_many(by_augmenter)


def _tell_augmenter(name: str, settings: Sequence[Told]) -> str:
    if len(settings) == 1:
        return _tell_single(settings[0])
    n = len(settings)
    counts = {outcome: sum(one.outcome == outcome for one in settings) for outcome in OUTCOMES}
    if counts[HELPS] == n:
        return f"{name} helps in all {n} settings."
    if counts[CANNOT_TELL] == n:
        seeds = sorted({one.n_seeds for one in settings})
        source = f"from {_seeds(seeds[0])}" if len(seeds) == 1 else f"from {seeds[0]} to {_seeds(seeds[-1])}"
        return f"Cannot be told {source} whether {name} helps in any of {n} settings."
    parts = [f"helps in {counts[HELPS]} of {n} settings"]
    rest = {
        HURTS: "hurts in {}",
        MIXED: "helps against one baseline and hurts against another in {}",
        NO_DIFFERENCE: "shows no clear difference in {}",
        CANNOT_TELL: "cannot be judged in {} (too few data seeds)",
    }
    parts += [text.format(counts[outcome]) for outcome, text in rest.items() if counts[outcome]]
    return f"{name} {_listed(parts)}."


def _tell_single(told: Told) -> str:
    name, dataset, seeds = told.augmenter, told.dataset, _seeds(told.n_seeds)
    changes = _listed(
        [f"{tell_points(finding.mean_difference)} points against {finding.baseline}" for finding in told.findings]
    )
    return {
        HELPS: f"{name} helps on {dataset}: {changes}, over {seeds}.",
        HURTS: f"{name} hurts on {dataset}: {changes}, over {seeds}.",
        MIXED: f"{name} helps against one baseline on {dataset} and hurts against another: {changes}, over {seeds}.",
        NO_DIFFERENCE: f"{name} is not shown to help on {dataset}: {changes}, over {seeds}.",
        CANNOT_TELL: f"Cannot be told from {seeds} whether {name} helps on {dataset}.",
        NOTHING: f"{name} cannot be compared on {dataset}.",
    }[told.outcome]


def _tell_many(by_augmenter: dict[str, list[Told]]) -> str:
    n = len(by_augmenter)
    helping = [name for name, settings in by_augmenter.items() if any(one.outcome == HELPS for one in settings)]
    hurting = [name for name, settings in by_augmenter.items() if any(one.outcome == HURTS for one in settings)]
    if helping:
        first = f"{len(helping)} of {n} augmenters {_verb(helping, 'help')} in at least one setting: {_names(helping)}."
    else:
        first = f"None of {n} augmenters is shown to help in any setting."
    if hurting:
        return f"{first} {len(hurting)} {_verb(hurting, 'hurt')} in at least one: {_names(hurting)}."
    outcomes = [one.outcome for settings in by_augmenter.values() for one in settings]
    unclear = outcomes.count(CANNOT_TELL)
    if unclear:
        return f"{first} {unclear} of {len(outcomes)} questions cannot be answered: too few data seeds."
    return first


def _verb(names: Sequence[str], verb: str) -> str:
    return f"{verb}s" if len(names) == 1 else verb


def _names(names: Sequence[str]) -> str:
    hidden = len(names) - _NAMED
    return _listed([*names[:_NAMED], f"{hidden} more"] if hidden > 0 else names)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
