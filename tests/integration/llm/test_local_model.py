from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from hypermix.errors import LlmError, ServerError
from hypermix.llm.local.body import BodyError, read_body
from hypermix.llm.local.generate import Step
from hypermix.llm.local.model import LocalModel, _Draft, load_local
from hypermix.llm.local.tokens import Tokens
from tests.integration.llm.local_models import ask, choice, folder, gpt2, llama, model
from tests.one_thread import one_thread
from tests.tiny import save_tiny_bert
from tests.tiny_lm import BOS, EOS, LONGEST, byte_level, save_tiny_lm

__all__ = ["folder", "gpt2", "llama", "model", "one_thread"]

PROMPT = "a good film"


def joined(content: list[dict[str, Any]]) -> bytes:
    return bytes(number for entry in content for number in entry["bytes"])


# The form of an answer.


def test_answer_has_the_form_of_openais(model: LocalModel) -> None:
    answer = ask(model, max_tokens=5, model="tiny")
    assert (answer["object"], answer["model"]) == ("text_completion", "tiny")
    (only,) = answer["choices"]
    assert only["index"] == 0
    assert only["logprobs"] is None
    usage = answer["usage"]
    assert usage["completion_tokens"] <= 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["system_fingerprint"].endswith("float32")
    assert "cpu" in answer["system_fingerprint"] or "cuda" in answer["system_fingerprint"]


def test_tokens_of_an_answer_spell_its_text(model: LocalModel) -> None:
    for seed in range(8):
        found = choice(model, seed=seed, logprobs=1, max_tokens=9)
        spelled = joined(found["logprobs"]["content"]).decode("utf-8", "replace")
        # An unfinished character at the end is no part of the text.
        assert spelled.rstrip("\ufffd").startswith(found["text"].rstrip("\ufffd"))
        assert len(found["text"]) <= len(spelled)


@pytest.mark.parametrize("top", [0, 1, 7, 20, 10_000])
def test_as_many_likely_tokens_are_told_as_asked_for(model: LocalModel, folder: Path, top: int) -> None:
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    for entry in choice(model, logprobs=top, max_tokens=3)["logprobs"]["content"]:
        told = [other["logprob"] for other in entry["top_logprobs"]]
        assert len(told) == min(top, vocabulary)
        assert told == sorted(told, reverse=True)
        assert top == 0 or entry["logprob"] <= told[0]


def test_logprobs_are_those_before_temperature_and_penalty(model: LocalModel) -> None:
    how = {"temperature": 0, "logprobs": 3, "max_tokens": 1}
    (plain,) = choice(model, **how)["logprobs"]["content"]
    (bent,) = choice(model, **how, frequency_penalty=2.0)["logprobs"]["content"]
    assert plain == bent
    for seed in range(20):
        (hot,) = choice(model, **{**how, "temperature": 2.0}, top_p=0.5, seed=seed)["logprobs"]["content"]
        assert hot["top_logprobs"] == plain["top_logprobs"]


def test_logprobs_of_the_whole_vocabulary_make_one(model: LocalModel) -> None:
    (entry,) = choice(model, logprobs=10_000, max_tokens=1)["logprobs"]["content"]
    assert math.fsum(math.exp(other["logprob"]) for other in entry["top_logprobs"]) == pytest.approx(1.0, abs=1e-5)


def test_token_of_no_probability_is_told_as_the_lowest_number(gpt2: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    network.lm_head = torch.nn.Linear(32, network.config.vocab_size)
    with torch.no_grad():
        network.lm_head.bias[60:] = -math.inf
    found = LocalModel(network, AutoTokenizer.from_pretrained(gpt2), context=60, batch_size=2)
    content = choice(found, echo=True, logprobs=70, max_tokens=1)["logprobs"]["content"]
    assert content[1]["token"] == "a"
    assert content[1]["logprob"] == -9999.0
    assert content[1]["top_logprobs"][69]["logprob"] == -9999.0


# The same as transformers itself.


def test_greedy_is_what_transformers_generates(model: LocalModel, folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = tokenizer(PROMPT, return_tensors="pt")
    with torch.inference_mode():
        made = network.generate(**asked, max_new_tokens=12, do_sample=False, pad_token_id=0)[0]
    wanted = [model._tokens.bytes_of(int(number)) for number in made[asked["input_ids"].shape[1] :]]
    content = choice(model, temperature=0, logprobs=0, max_tokens=12)["logprobs"]["content"]
    assert joined(content) == b"".join(wanted)


def test_echo_scores_a_text_as_a_forward_pass_does(model: LocalModel, folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        rows = network(ids).logits[0].log_softmax(-1)
    wanted = [float(rows[position, token]) for position, token in enumerate(ids[0, 1:].tolist())]
    content = choice(model, echo=True, max_tokens=0, logprobs=0)["logprobs"]["content"]
    assert content[0]["logprob"] is None
    assert [entry["logprob"] for entry in content[1:]] == pytest.approx(wanted, abs=1e-5)


# Echo.


@pytest.mark.parametrize("prompt", ["a good film", " é€😀\n", "<s>", "x" * 30])
def test_echoed_tokens_spell_the_prompt(model: LocalModel, prompt: str) -> None:
    found = choice(model, prompt=prompt, echo=True, max_tokens=0, logprobs=2)
    assert found["text"] == prompt
    assert found["finish_reason"] == "length"
    content = found["logprobs"]["content"]
    assert joined(content) == prompt.encode()
    assert (content[0]["token"], content[0]["bytes"], content[0]["top_logprobs"]) == ("<s>", [], [])


def test_echo_comes_before_the_answer(model: LocalModel) -> None:
    alone = choice(model, max_tokens=4, logprobs=1, seed=5)
    both = choice(model, max_tokens=4, logprobs=1, seed=5, echo=True)
    assert both["text"] == PROMPT + alone["text"]
    told = both["logprobs"]["content"][-len(alone["logprobs"]["content"]) :]
    assert [entry["bytes"] for entry in told] == [entry["bytes"] for entry in alone["logprobs"]["content"]]
    exact = [entry["logprob"] for entry in alone["logprobs"]["content"]]
    assert [entry["logprob"] for entry in told] == pytest.approx(exact, abs=1e-5)


def test_echo_without_logprobs_tells_none(model: LocalModel) -> None:
    found = choice(model, echo=True, max_tokens=2)
    assert found["text"].startswith(PROMPT)
    assert found["logprobs"] is None


# How an answer ends.


def write_out(text: str, stop: list[str], size: int) -> tuple[_Draft, bytes]:
    """Give a choice the tokens of a text, of `size` characters each or of single bytes if it is 0, and its end."""
    tokenizer = byte_level()
    cut = [text[at : at + size] for at in range(0, len(text), size)] if size else []
    tokenizer.add_tokens(cut)
    ids = [tokenizer.token_to_id(piece) for piece in cut] or tokenizer.encode(text, add_special_tokens=False).ids
    end = tokenizer.token_to_id(EOS)
    tokens = Tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS))
    body = read_body({"prompt": "", "stop": stop, "logprobs": 0})
    draft = _Draft(0, body, 0, tokens, frozenset([end]), room=100)
    for number in [*ids, end]:
        if draft.unfinished:
            draft.add(Step(number, -1.0))
    return draft, joined(draft.entries())


@pytest.mark.parametrize("size", [0, 1, 2, 3, 50])
@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("one\ntwo", ["\n"], "one"),
        ("one END two END", ["END"], "one "),
        ("one two", ["two", "one"], ""),
        ("aab", ["ab"], "a"),
        ("né€", ["€"], "né"),
        ("abc", ["abcd"], "abc"),
        ("abc", [], "abc"),
    ],
)
def test_text_ends_before_the_first_stop(size: int, text: str, stop: list[str], left: str) -> None:
    draft, content = write_out(text, stop, size)
    assert (draft.text, draft.finish_reason) == (left, "stop")
    # The last token may reach into the stop sequence, but none lies behind its start.
    assert content.startswith(left.encode())
    assert len(content.decode("utf-8", "ignore")) - len(left) < max(size, 1)
    assert text.encode().startswith(content)


@settings(max_examples=40)
@given(st.text("ab\né", max_size=12), st.lists(st.text("ab\né", min_size=1, max_size=3), max_size=3), st.integers(0, 4))
def test_stop_is_found_however_the_tokens_are_cut(text: str, stop: list[str], size: int) -> None:
    draft, _ = write_out(text, stop, size)
    # Of two that overlap, the one that ends first may begin later.
    starts = {text.index(one) for one in stop if one in text} or {len(text)}
    assert draft.text in {text[:start] for start in starts}
    assert not any(one in draft.text for one in stop)


def test_unfinished_character_is_no_part_of_the_text(gpt2: Path) -> None:
    tokens = Tokens(AutoTokenizer.from_pretrained(gpt2))
    draft = _Draft(0, read_body({"prompt": "", "logprobs": 0}), 0, tokens, frozenset(), room=3)
    for number in tokens.encode("a€")[1:4]:
        draft.add(Step(number, -1.0))
    assert (draft.text, draft.finish_reason, draft.unfinished) == ("a", "length", False)
    assert joined(draft.entries()) == b"a\xe2\x82"


def test_real_stop_cuts_a_real_answer(model: LocalModel) -> None:
    whole = choice(model, max_tokens=30, seed=3)["text"]
    stop = next(sign for sign in whole[5:] if sign.isascii() and sign not in whole[:5])
    found = choice(model, max_tokens=30, seed=3, stop=[stop], logprobs=0)
    assert found["text"] == whole[: whole.index(stop)]
    assert found["finish_reason"] == "stop"
    assert len(found["logprobs"]["content"]) < 30


def test_limit_ends_an_answer(model: LocalModel) -> None:
    found = choice(model, max_tokens=3, logprobs=0, seed=1)
    assert (found["finish_reason"], len(found["logprobs"]["content"])) == ("length", 3)


def test_end_of_text_ends_an_answer_and_is_no_part_of_it(gpt2: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    network.lm_head = torch.nn.Linear(32, network.config.vocab_size)
    with torch.no_grad():
        network.lm_head.bias[tokenizer.eos_token_id] = 50.0
    answer = ask(LocalModel(network, tokenizer, context=60, batch_size=2), logprobs=1)
    (found,) = answer["choices"]
    assert (found["text"], found["finish_reason"], found["logprobs"]["content"]) == ("", "stop", [])
    assert answer["usage"]["completion_tokens"] == 1


def test_model_may_have_several_ends(gpt2: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    network.generation_config.eos_token_id = [3, 5]
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    assert LocalModel(network, tokenizer, context=60, batch_size=2)._ends == {3, 5, tokenizer.eos_token_id}


def test_settings_of_the_folder_bend_no_draw(gpt2: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(gpt2, tmp_path / "copy"))
    path = copy / "generation_config.json"
    told = json.loads(path.read_text())
    path.write_text(
        json.dumps({**told, "repetition_penalty": 5.0, "do_sample": True, "top_k": 1, "suppress_tokens": [9]})
    )
    how = {"dtype": "float32", "context": 100, "batch_size": 4}
    assert ask(load_local(copy, **how), seed=4) == ask(load_local(gpt2, **how), seed=4)  # type: ignore[arg-type]


# The context.


def test_prompt_that_fills_the_context_is_refused(model: LocalModel) -> None:
    with pytest.raises(
        BodyError, match=r"has \d+ tokens, and the context of 100 leaves no room for an answer"
    ) as caught:
        ask(model, prompt="x" * 100)
    assert (caught.value.param, caught.value.fatal) == ("prompt", False)


def test_answer_ends_where_the_context_does(model: LocalModel) -> None:
    answer = ask(model, prompt="x" * 90, max_tokens=50, seed=2)
    assert answer["usage"]["total_tokens"] == 100
    assert answer["choices"][0]["finish_reason"] == "length"


def test_prompt_alone_may_fill_the_context(model: LocalModel) -> None:
    room = 100 - ask(model, prompt="x", max_tokens=0, echo=True)["usage"]["prompt_tokens"]
    assert ask(model, prompt="x" * (room + 1), max_tokens=0, echo=True)["usage"]["prompt_tokens"] == 100
    with pytest.raises(BodyError, match="leaves no room"):
        ask(model, prompt="x" * (room + 2), max_tokens=0, echo=True)


def test_context_of_the_model_holds_too(gpt2: Path) -> None:
    assert load_local(gpt2, dtype="float32", context=4096, batch_size=1).context == LONGEST


def test_empty_prompt_needs_a_token_to_begin_with(model: LocalModel, tmp_path: Path) -> None:
    assert ask(model, prompt="", max_tokens=2)["usage"]["prompt_tokens"] == 1
    bare = save_tiny_lm(tmp_path, tokenizer=byte_level(bos=False))
    with pytest.raises(BodyError, match="the prompt is empty, and the model has no token to begin with"):
        ask(load_local(bare, dtype="float32", context=60, batch_size=1), prompt="")


# Draws.


def test_equal_bodies_give_equal_answers(model: LocalModel) -> None:
    assert ask(model, seed=7, logprobs=5) == ask(model, seed=7, logprobs=5)


def test_other_seed_gives_another_text(model: LocalModel) -> None:
    assert len({choice(model, seed=seed)["text"] for seed in range(5)}) == 5


def test_text_depends_on_no_other_row(model: LocalModel) -> None:
    bodies = [
        {"prompt": PROMPT[: 3 + 2 * number], "seed": number, "max_tokens": 5 + 2 * number, "echo": number == 2}
        for number in range(6)
    ]
    together = [json.loads(text)["choices"] for text in model.answer(bodies)]
    alone = [ask(model, **body)["choices"] for body in bodies]
    assert together == alone
    assert [json.loads(text)["choices"] for text in model.answer(bodies[::-1])][::-1] == alone


def test_choices_are_draws_of_their_own(model: LocalModel) -> None:
    many = ask(model, n=6, seed=1, logprobs=1, max_tokens=8)
    texts = [found["text"] for found in many["choices"]]
    assert [found["index"] for found in many["choices"]] == list(range(6))
    assert len(set(texts)) == 6
    assert many["usage"]["completion_tokens"] == 48
    # More draws leave the first ones as they are.
    assert [found["text"] for found in ask(model, n=2, seed=1, max_tokens=8)["choices"]] == texts[:2]


def test_nothing_to_answer_is_answered(model: LocalModel) -> None:
    assert model.answer([]) == []


def test_unknown_setting_is_an_error(model: LocalModel) -> None:
    with pytest.raises(BodyError, match="does not know the setting 'presence_penalty'"):
        ask(model, presence_penalty=0.5)


def test_small_memory_is_told(gpt2: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    network.register_forward_pre_hook(lambda *_: torch.empty(1 << 60) and None)
    found = LocalModel(network, AutoTokenizer.from_pretrained(gpt2), context=60, batch_size=2)
    with pytest.raises(LlmError, match=r"could not compute 1 answers at once: .*memory") as caught:
        ask(found)
    assert str(caught.value).endswith("lower the llm's batch_size or context, or set dtype: bfloat16")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_shorter_numbers_are_near(gpt2: Path, dtype: Any) -> None:
    def likely(found: LocalModel) -> dict[str, float]:
        (entry,) = choice(found, logprobs=5, max_tokens=1)["logprobs"]["content"]
        return {other["token"]: other["logprob"] for other in entry["top_logprobs"]}

    exact = likely(load_local(gpt2, dtype="float32", context=60, batch_size=1))
    short = likely(load_local(gpt2, dtype=dtype, context=60, batch_size=1))
    best = max(exact, key=lambda token: exact[token])
    assert short[best] == pytest.approx(exact[best], abs=0.3)
    assert short != exact


# What cannot be loaded.


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def breakage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return breakage


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def to_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def lose_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop(sorted(weights)[3])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:20_000])


def change_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 500}))


def want_code(folder: Path) -> None:
    (folder / "modeling_evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    code = {"AutoConfig": "modeling_evil.Config", "AutoModelForCausalLM": "modeling_evil.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": code}))


BREAKAGES: dict[str, Callable[[Path], None]] = {
    "no folder": shutil.rmtree,
    "no config": drop("config.json"),
    "no weights": drop("model.safetensors"),
    "no tokenizer": drop("tokenizer.json"),
    "weights of another format": to_pickle,
    "weights that lack a tensor": lose_a_tensor,
    "weights without end": cut,
    "damaged weights": write("model.safetensors", b"{"),
    "damaged config": write("config.json", b"{"),
    "damaged tokenizer": write("tokenizer.json", b"{"),
    "config of no model": write("config.json", b'{"model_type": "no-such-model"}'),
    "weights of another shape": change_shape,
    "code of its own": want_code,
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_folder_is_told(gpt2: Path, tmp_path: Path, breakage: str) -> None:
    copy = Path(shutil.copytree(gpt2, tmp_path / "copy"))
    BREAKAGES[breakage](copy)
    with pytest.raises(ServerError, match=r"cannot be loaded: .+; name a folder or a hub id of a causal") as caught:
        load_local(copy, dtype="float32", context=60, batch_size=1)
    assert repr(str(copy)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (copy / "ran").exists()


def test_encoder_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"the weights lack \d+ tensors, such as cls"):
        load_local(save_tiny_bert(tmp_path), dtype="float32", context=20, batch_size=1)


def test_code_beside_a_known_model_is_not_run(gpt2: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(gpt2, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    want_code(copy)
    auto = json.loads((copy / "config.json").read_text())["auto_map"]
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": auto}))
    how = {"dtype": "float32", "context": 60, "batch_size": 1}
    assert ask(load_local(copy, **how)) == ask(load_local(gpt2, **how))  # type: ignore[arg-type]
    assert not (copy / "ran").exists()
