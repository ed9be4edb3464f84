from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from hypermix.errors import LlmError, ServerError
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.client import Client, Llm
from hypermix.llm.local.backend import ABILITIES, LocalBackend, open_local
from hypermix.llm.local.model import load_local
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.records import CHAT, COMPLETIONS, Request
from tests.integration.llm.local_models import gpt2
from tests.one_thread import one_thread

__all__ = ["gpt2", "one_thread"]


def question(number: int, path: str = COMPLETIONS, **body: Any) -> Question:
    return Question(
        {"model": "tiny"}, path, {"prompt": f"film {number}", "max_tokens": 4, "seed": number, **body}, str(number)
    )


@pytest.fixture
def backend(gpt2: Path) -> Iterator[LocalBackend]:
    with open_local(gpt2, dtype="float32", context=100, batch_size=3, threads=1) as opened:
        yield opened


def collect(backend: Backend) -> list[tuple[Question, Answer | Refusal]]:
    found = []
    while (one := backend.collect()) is not None:
        found.append(one)
    return found


def texts(backend: Backend) -> list[str]:
    return [json.loads(answer.response)["choices"][0]["text"] for _, answer in collect(backend)]  # type: ignore[union-attr]


def by_key(questions: Iterable[Question]) -> list[Question]:
    return sorted(questions, key=lambda one: one.key)


def test_each_question_gets_its_answer(backend: LocalBackend, gpt2: Path) -> None:
    asked = [question(number) for number in range(8)]
    for one in asked:
        backend.submit(one)
    found = collect(backend)
    assert by_key(one for one, _ in found) == by_key(asked)
    alone = load_local(gpt2, dtype="float32", context=100, batch_size=1)
    for one, answer in found:
        assert isinstance(answer, Answer)
        (text,) = alone.answer([one.body])
        assert json.loads(answer.response)["choices"] == json.loads(text)["choices"]


def test_nothing_is_open_before_and_after(backend: LocalBackend) -> None:
    assert backend.collect() is None
    backend.submit(question(1))
    assert backend.collect() is not None
    assert backend.collect() is None


def test_batch_is_computed_whole(backend: LocalBackend) -> None:
    for number in range(4):
        backend.submit(question(number))
    backend.collect()
    # The rest of the first batch is there; only the fourth question waits.
    backend.stop()
    kinds = [type(answer) for _, answer in collect(backend)]
    assert kinds == [Answer, Answer, Refusal]


def test_questions_may_come_while_answers_are_collected(backend: LocalBackend) -> None:
    for number in range(3):
        backend.submit(question(number))
    first = backend.collect()
    backend.submit(question(3))
    assert first is not None
    assert sorted(one.sample for one, _ in [first, *collect(backend)]) == ["0", "1", "2", "3"]


def test_width_is_a_few_batches(backend: LocalBackend) -> None:
    assert backend.width == 12


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 2, 0, 3, 1)])
def test_batches_are_the_same_in_whatever_order_questions_come(gpt2: Path, order: tuple[int, ...]) -> None:
    model = load_local(gpt2, dtype="float32", context=100, batch_size=2)
    ranked = by_key(question(number, logprobs=3) for number in range(5))
    wanted = [text for at in (0, 2, 4) for text in model.answer([one.body for one in ranked[at : at + 2]])]
    with open_local(gpt2, dtype="float32", context=100, batch_size=2, threads=1) as opened:
        for number in order:
            opened.submit(question(number, logprobs=3))
        found = collect(opened)
    assert [one for one, _ in found] == ranked
    assert [answer.response for _, answer in found if isinstance(answer, Answer)] == wanted


def test_threads_may_submit_at_once(backend: LocalBackend) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(backend.submit, [question(number) for number in range(12)]))
    assert sorted(int(one.sample) for one, _ in collect(backend)) == list(range(12))


def test_draws_without_a_seed_differ_by_their_sample(backend: LocalBackend) -> None:
    found = []
    for sample in ("a", "b", "a"):
        backend.submit(Question({"model": "tiny"}, COMPLETIONS, {"prompt": "x", "max_tokens": 9}, sample))
        found += texts(backend)
    one, other, again = found
    assert one == again != other


# What gets no answer.


def test_refused_question_does_not_spoil_its_batch(backend: LocalBackend) -> None:
    asked = [question(0), question(1, prompt="x" * 500), question(2)]
    for one in asked:
        backend.submit(one)
    found = {one.sample: answer for one, answer in collect(backend)}
    assert isinstance(found["0"], Answer)
    assert isinstance(found["2"], Answer)
    refusal = found["1"]
    assert isinstance(refusal, Refusal)
    assert (refusal.fatal, refusal.param, refusal.unknown) == (False, "prompt", 0)
    assert "leaves no room" in str(refusal.error)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (question(1, presence_penalty=1), "does not know the setting 'presence_penalty'"),
        (question(1, temperature="hot"), "cannot take the setting 'temperature'"),
        (question(1, CHAT), "answers /v1/completions alone, not /v1/chat/completions"),
    ],
)
def test_what_no_question_may_ask_is_fatal(backend: LocalBackend, asked: Question, told: str) -> None:
    backend.submit(asked)
    ((_, refusal),) = collect(backend)
    assert isinstance(refusal, Refusal)
    assert refusal.fatal
    assert told in str(refusal.error)


def test_broken_numbers_are_fatal_for_the_whole_batch(gpt2: Path) -> None:
    model = load_local(gpt2, dtype="float32", context=100, batch_size=2)
    with torch.no_grad():
        model._generator._model.get_output_embeddings().weight.fill_(float("nan"))
    backend = LocalBackend(model, 2)
    for number in range(2):
        backend.submit(question(number))
    for _, refusal in collect(backend):
        assert isinstance(refusal, Refusal)
        assert refusal.fatal
        assert "are no numbers" in str(refusal.error)


def test_stopped_backend_refuses_what_waits_as_unsent(backend: LocalBackend) -> None:
    backend.submit(question(1))
    backend.stop()
    backend.submit(question(2))
    found = [answer for _, answer in collect(backend)]
    assert [isinstance(answer, Refusal) and answer.unsent and not answer.fatal for answer in found] == [True, True]


def test_closed_backend_answers_nothing(gpt2: Path) -> None:
    with open_local(gpt2, dtype="float32", context=100, batch_size=3, threads=1) as opened:
        opened.submit(question(1))
    ((_, refusal),) = collect(opened)
    assert isinstance(refusal, Refusal)
    assert refusal.unsent
    with pytest.raises(LlmError, match="the model is closed"):
        opened.tokenize("a")


# Opening.


def test_label_words_are_tokenized(backend: LocalBackend) -> None:
    assert backend.tokenize("(Sentiment: Positive)") == [b"(", b"Senti", b"ment", b":", b" Positive", b")"]


def test_tokens_of_a_text_can_be_asked_for_among_questions(backend: LocalBackend) -> None:
    asked = Question({"model": "tiny"}, "/tokenize", {"content": "é film", "with_pieces": True}, "")
    for one in (question(1), asked, question(2)):
        backend.submit(one)
    found = {one.path + one.sample: answer for one, answer in collect(backend)}
    told = found["/tokenize"]
    assert isinstance(told, Answer)
    pieces = [bytes(token["piece"]) for token in json.loads(told.response)["tokens"]]
    assert pieces == backend.tokenize("é film") == [b"\xc3", b"\xa9", b" film"]
    assert all(isinstance(answer, Answer) for answer in found.values())
    assert len(found) == 3


def test_client_takes_it(gpt2: Path, tmp_path: Path) -> None:
    def opened() -> AbstractContextManager[Backend]:
        return open_local(gpt2, dtype="float32", context=100, batch_size=3, threads=1)

    llm = Llm("tiny", {"model_sha256": "x"}, opened, tokenizer="/tokenize")
    body = {"max_tokens": 4, "logprobs": 3, "temperature": 1.0}
    asked = [Request(COMPLETIONS, {**body, "prompt": f"film {number}", "seed": number}, "") for number in range(7)]
    with Client(llm, RequestStore(tmp_path)) as client:
        assert client.tokenize(["a film"]) == [[b"a", b" film"]]
        for number, request in enumerate(asked):
            client.submit(number, request)
        taken = dict(client.take() for _ in asked)
    first = [taken[number] for number in range(len(asked))]
    assert all(len(completion.tokens) == 4 for completion in first)
    assert all(len(token.top) == 3 for completion in first for token in completion.tokens)
    with Client(llm, RequestStore(tmp_path), offline=True) as client:
        assert [client.complete(request) for request in asked] == first


def test_all_abilities_are_there(backend: LocalBackend) -> None:
    assert ABILITIES.echo
    assert not ABILITIES.chat
    everything = {"logprobs": ABILITIES.logprobs, "echo": True, "n": 2, "stop": ["\n"], "frequency_penalty": 0.1}
    backend.submit(question(1, **everything, temperature=0.5, top_p=0.9))
    ((_, answer),) = collect(backend)
    assert isinstance(answer, Answer)
    assert len(json.loads(answer.response)["choices"]) == 2


def test_threads_are_given_and_put_back(gpt2: Path) -> None:
    before = torch.get_num_threads()
    with open_local(gpt2, dtype="float32", context=100, batch_size=1, threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_broken_folder_leaves_the_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with (
        pytest.raises(ServerError, match="cannot be loaded"),
        open_local(tmp_path, dtype="float32", context=100, batch_size=1, threads=before + 1),
    ):
        pass
    assert torch.get_num_threads() == before


def test_a_replay_imports_neither_torch_nor_transformers(gpt2: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import hypermix.llm.local, hypermix.llm.client;"
        "from hypermix.llm.local.files import local_files, local_identity;"
        f"local_identity(local_files({str(gpt2)!r}, None), dtype='float32', context=1, batch_size=1,"
        f"cache=Path({str(tmp_path)!r}));"
        "sys.exit(str({'torch', 'transformers', 'tokenizers'} & {*sys.modules} or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr.strip(), done.stdout) == ("", "")
