from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
)

from hypermix.errors import LlmError
from hypermix.llm.local import generate as local_generate
from hypermix.llm.local.generate import Draw, Generator, Step, _cut_tail, _gumbel, _Sampler, _signed, _splitmix
from tests.integration.llm.local_models import folder, gpt2, llama
from tests.one_thread import one_thread

__all__ = ["folder", "gpt2", "llama", "one_thread"]

GAMMA = 0x9E3779B97F4A7C15
PROMPTS = ([5, 6, 7, 8, 9, 10, 11, 12, 13], [40], [90, 91, 92, 93], [7, 7, 7, 8, 8])


@dataclass
class Choice:
    """Takes tokens until it has enough."""

    prompt: int
    draw: Draw
    wanted: int
    steps: list[Step] = field(default_factory=list)

    @property
    def unfinished(self) -> bool:
        return len(self.steps) < self.wanted

    def add(self, step: Step) -> None:
        self.steps.append(step)

    @property
    def tokens(self) -> list[int]:
        return [step.token for step in self.steps]


def draw(seed: int = 0, temperature: float = 1.0, top_p: float = 1.0, penalty: float = 0.0, top: int = 0) -> Draw:
    return Draw(seed, temperature, top_p, penalty, top)


@pytest.fixture(scope="module")
def network(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def plain(network: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """Return the log-probabilities after each token, by one forward pass without cache, mask or batch."""
    with torch.inference_mode():
        return network(torch.tensor([tokens]), use_cache=False).logits[0].float().log_softmax(-1)


# The numbers are those of a plain forward pass.


def test_logprobs_of_drawn_tokens_are_exact(network: PreTrainedModel) -> None:
    choices = [Choice(row, draw(seed=row, top=5), wanted=6 + row) for row in range(len(PROMPTS))]
    Generator(network).run(PROMPTS, [None] * len(PROMPTS), choices)
    for prompt, made in zip(PROMPTS, choices, strict=True):
        assert len(made.steps) == made.wanted
        wanted = plain(network, [*prompt, *made.tokens])[len(prompt) - 1 : -1]
        for row, step in zip(wanted, made.steps, strict=True):
            assert step.logprob == pytest.approx(float(row[step.token]), abs=1e-5)
            likely = row.topk(5)
            assert [token for token, _ in step.top] == likely.indices.tolist()
            assert [value for _, value in step.top] == pytest.approx(likely.values.tolist(), abs=1e-5)


@pytest.mark.parametrize("chunk", [1 << 26, 300 * 4 * 3, 1])
def test_logprobs_of_prompts_are_exact(network: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(local_generate, "_CHUNK", chunk)
    choices = [Choice(row, draw(seed=row), wanted=3) for row in range(len(PROMPTS))]
    told = Generator(network).run(PROMPTS, [2, 2, None, 0], choices)
    assert told[2] == []
    for prompt, steps, top in ((PROMPTS[0], told[0], 2), (PROMPTS[1], told[1], 2), (PROMPTS[3], told[3], 0)):
        assert [step.token for step in steps] == list(prompt)
        assert steps[0] == Step(prompt[0], None, ())
        wanted = plain(network, prompt)
        for row, step in zip(wanted[:-1], steps[1:], strict=True):
            assert step.logprob == pytest.approx(float(row[step.token]), abs=1e-5)
            assert [value for _, value in step.top][:top] == pytest.approx(row.topk(top).values.tolist(), abs=1e-5)
    for prompt, made in zip(PROMPTS, choices, strict=True):
        first = plain(network, prompt)[-1]
        assert made.steps[0].logprob == pytest.approx(float(first[made.tokens[0]]), abs=1e-5)


def gemma3() -> PreTrainedModel:
    kinds = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=120,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            sliding_window=4,
            layer_types=kinds,
            initializer_range=0.3,
        )
    )


def bloom() -> PreTrainedModel:
    return BloomForCausalLM(BloomConfig(vocab_size=120, hidden_size=32, n_layer=2, n_head=2, initializer_range=0.3))


@pytest.mark.parametrize("make", [gemma3, bloom])
def test_window_and_alibi_are_exact_too(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_generate, "_CHUNK", 120 * 4 * 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()  # type: ignore[operator]
    choices = [Choice(row, draw(seed=row), wanted=4 + 2 * row) for row in range(len(PROMPTS))]
    told = Generator(network).run(PROMPTS, [0, None, 0, 0], choices)
    for prompt, made, steps in zip(PROMPTS, choices, told, strict=True):
        wanted = plain(network, [*prompt, *made.tokens])
        read = [step.logprob for step in [*steps[1:], *made.steps]]
        tokens = [*prompt, *made.tokens][-len(read) :]
        exact = [float(row[token]) for row, token in zip(wanted[-len(read) - 1 : -1], tokens, strict=True)]
        assert read == pytest.approx(exact, abs=1e-5)


def test_model_without_attention_is_refused() -> None:
    network = MambaForCausalLM(MambaConfig(vocab_size=20, hidden_size=8, state_size=4, num_hidden_layers=1))
    with pytest.raises(LlmError, match="MambaForCausalLM keeps no keys and values; take a model with attention"):
        Generator(network)


def test_scores_that_are_no_numbers_are_refused(folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        network.get_output_embeddings().weight.fill_(math.nan)
    with pytest.raises(LlmError, match="are no numbers"):
        Generator(network).run(PROMPTS, [None] * 4, [Choice(0, draw(), 1)])


# Rows do not know of each other.


def test_row_alone_is_the_row_in_a_batch(network: PreTrainedModel) -> None:
    generator = Generator(network)
    together = [Choice(row, draw(seed=row, top_p=0.9), wanted=12 - 3 * row) for row in range(len(PROMPTS))]
    generator.run(PROMPTS, [None] * 4, together)
    for row, prompt in enumerate(PROMPTS):
        alone = Choice(0, draw(seed=row, top_p=0.9), wanted=12 - 3 * row)
        generator.run([prompt], [None], [alone])
        assert alone.tokens == together[row].tokens


def test_choices_share_a_prompt_in_any_order(network: PreTrainedModel) -> None:
    generator = Generator(network)
    order = (2, 0, 2, 1, 2)
    choices = [Choice(prompt, draw(seed=number), wanted=5) for number, prompt in enumerate(order)]
    generator.run(PROMPTS[:3], [None] * 3, choices)
    for number, prompt in enumerate(order):
        alone = Choice(0, draw(seed=number), wanted=5)
        generator.run([PROMPTS[prompt]], [None], [alone])
        assert alone.tokens == choices[number].tokens
    assert choices[0].tokens != choices[2].tokens


def test_no_choice_gets_a_token_where_none_is_wanted(network: PreTrainedModel) -> None:
    closed = Choice(0, draw(), wanted=0)
    (told,) = Generator(network).run([PROMPTS[0]], [1], [closed])
    assert len(told) == len(PROMPTS[0])
    assert closed.steps == []


# Drawing.


def test_noise_is_splitmix() -> None:
    gammas = (torch.arange(5) + 1) * _signed(GAMMA)
    (numbers,) = _splitmix([1234567], gammas).tolist()
    # The first numbers for this seed, as the generator's authors and Rosetta Code print them.
    assert [number % (1 << 64) for number in numbers] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.integers(0, 2**64 - 1))
def test_signed_integers_are_the_same_bits(number: int) -> None:
    assert _signed(number) % (1 << 64) == number
    assert -(1 << 63) <= _signed(number) < 1 << 63


def test_noise_is_finite_and_of_gumbels_distribution() -> None:
    noise = _gumbel([1, 2**64 - 1], (torch.arange(100_000) + 1) * _signed(GAMMA))
    assert bool(noise.isfinite().all())
    assert noise.mean(-1).tolist() == pytest.approx([0.5772] * 2, abs=0.02)
    assert noise.var(-1).tolist() == pytest.approx([math.pi**2 / 6] * 2, abs=0.05)


def drawn(logits: Sequence[float], count: int, **how: float) -> Counter[int]:
    """Draw one token a seed."""
    rows = torch.tensor([list(logits)] * count).log_softmax(-1)
    draws = [Draw(seed, **{"temperature": 1.0, "top_p": 1.0, "penalty": 0.0, "top": 0, **how}) for seed in range(count)]  # type: ignore[arg-type]
    return Counter(_Sampler(draws, len(logits), torch.device("cpu")).draw(rows).tolist())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_they_should(temperature: float) -> None:
    logits = [2.0, 1.0, 0.0, -1.0]
    weights = [math.exp(value / temperature) for value in logits]
    found = drawn(logits, 4000, temperature=temperature)
    for token, weight in enumerate(weights):
        share = weight / sum(weights)
        assert found[token] / 4000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


def test_no_temperature_takes_the_likeliest() -> None:
    assert drawn([0.0, 0.1, 0.05], 50, temperature=0.0, top_p=0.1) == {1: 50}


def test_top_p_leaves_the_smallest_set_that_reaches_it() -> None:
    logits = [math.log(share) for share in (0.4, 0.3, 0.2, 0.1)]
    assert set(drawn(logits, 400, top_p=0.39)) == {0}
    assert set(drawn(logits, 400, top_p=0.65)) == {0, 1}
    assert set(drawn(logits, 400, top_p=0.75)) == {0, 1, 2}
    assert set(drawn(logits, 400, top_p=1.0)) == {0, 1, 2, 3}


@pytest.mark.parametrize("nucleus", [1, 3, 1024])
def test_nucleus_is_that_of_a_whole_sort(monkeypatch: pytest.MonkeyPatch, nucleus: int) -> None:
    monkeypatch.setattr(local_generate, "_NUCLEUS", nucleus)
    scores = torch.randn(3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    top_p = torch.tensor([[0.2], [0.9], [1.0]], dtype=torch.float64)
    cut = _cut_tail(scores, top_p)
    for row, share in enumerate([0.2, 0.9]):
        ranked = sorted(range(50), key=lambda token: -float(scores[row, token]))
        total, kept = 0.0, set()
        for token in ranked:
            kept.add(token)
            total += float(scores[row].softmax(-1)[token])
            if total >= share:
                break
        assert {token for token in range(50) if cut[row, token] > -math.inf} == kept
    assert torch.equal(cut[2], scores[2])


def test_penalty_grows_with_each_repetition() -> None:
    logprobs = torch.tensor([[2.0, 1.5, 0.0], [2.0, 1.5, 0.0]]).log_softmax(-1)
    sampler = _Sampler([draw(temperature=0, penalty=0.4), draw(temperature=0)], 3, torch.device("cpu"))
    tokens = [sampler.draw(logprobs).tolist() for _ in range(5)]
    assert [row for row, _ in tokens] == [0, 0, 1, 0, 1]
    assert [row for _, row in tokens] == [0] * 5


def test_each_step_draws_anew() -> None:
    sampler = _Sampler([draw(seed=1)], 4, torch.device("cpu"))
    logprobs = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    found = Counter(int(sampler.draw(logprobs)) for _ in range(2000))
    assert [found[token] / 2000 for token in range(4)] == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.045)


def test_rows_that_go_on_keep_their_draws() -> None:
    logprobs = torch.zeros(3, 50).log_softmax(-1)
    draws = [draw(seed=seed, penalty=0.1, top_p=0.9) for seed in range(3)]
    all_rows, some = (_Sampler(draws, 50, torch.device("cpu")) for _ in range(2))
    first = all_rows.draw(logprobs)
    assert torch.equal(some.draw(logprobs), first)
    some.keep([0, 2])
    for _ in range(5):
        assert torch.equal(some.draw(logprobs[:2]), all_rows.draw(logprobs)[[0, 2]])


def test_global_state_is_neither_read_nor_changed(network: PreTrainedModel) -> None:
    def once() -> list[int]:
        made = Choice(0, draw(seed=3), 6)
        Generator(network).run(PROMPTS[:1], [None], [made])
        return made.tokens

    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = torch.get_rng_state()
        one = once()
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(2)
        assert once() == one
