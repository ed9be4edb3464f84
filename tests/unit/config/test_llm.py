from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.config.experiment import augment_runtime, augment_slice
from hypermix.config.llm import OPENAI, BatchLlm, ChatLlm, CompletionsLlm, HostedLlm
from hypermix.config.load import load_config
from hypermix.errors import ConfigError
from tests.unit.config.conftest import RAW, set_key

STEADY = settings(deadline=None, derandomize=True, max_examples=200)
A_URL = "wanted is a URL such as http://127.0.0.1:8000/v1, without a user, a key or a parameter in it"
A_PLACE = "wanted is {env: NAME} or {file: PATH}; the key itself never stands in a config"
A_VARIABLE = "wanted is the name of an environment variable in capitals; the key itself never stands in a config"
KEY = "sk-made-up-0123456789"


def hosted(**more: Any) -> dict[str, Any]:
    """Return the small config whose chat model has these settings."""
    return set_key(RAW, "llms.luna", {"api": "chat", "model": "luna", "price": RAW["llms"]["luna"]["price"], **more})


def loaded(**more: Any) -> HostedLlm:
    llm = load_config(hosted(**more)).llms["luna"]
    assert isinstance(llm, HostedLlm)
    return llm


def mistake(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    _, line = str(caught.value).splitlines()
    return line.strip()


def test_openai_is_the_default_of_chat_and_batch() -> None:
    assert ChatLlm(api="chat", model="m").base_url == BatchLlm(api="batch", model="m").base_url == OPENAI
    assert CompletionsLlm.model_fields["base_url"].is_required()


def test_a_batch_has_all_settings_of_chat_and_its_pause() -> None:
    assert set(BatchLlm.model_fields) - set(ChatLlm.model_fields) == {"poll"}


# The URL.


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://clovastudio.stream.ntruss.com/v1/openai", "https://clovastudio.stream.ntruss.com/v1/openai"),
        ("http://server", "http://server"),
    ],
)
def test_url_of_an_endpoint(url: str, kept: str) -> None:
    assert loaded(base_url=url).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.openai.com/v1", "ftp://x/v1", "https://", "https:///v1", "http://:8000/v1", "http://[::1/v1"),
        *("http://x:port/v1", "http://x:99999/v1", "http://x:0/v1", "http://a b/v1", "http://a\n/v1", "http://a\\b/v1"),
        *("https://x/v1?key=word", "https://x/v1#word", "https://me:word@x/v1", "http://x/{y}", "HTTPS://x/v1"),
    ],
)
def test_what_is_no_plain_url_is_refused_and_not_shown(url: str) -> None:
    assert mistake(hosted(base_url=url)) == f"llms.luna.base_url: {A_URL}"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("end", ["/chat/completions", "/completions", "/decisions"])
def test_the_path_of_an_api_is_left_off(end: str, slash: str) -> None:
    assert mistake(hosted(base_url=f"http://127.0.0.1:8000/v1{end}{slash}")) == (
        f"llms.luna.base_url: wanted is the URL before {end}; leave {end} off, HyperMix adds it"
    )


# The key.


@pytest.mark.parametrize("place", [{"env": "OPENAI_API_KEY"}, {"env": "_K9"}, {"file": "openai-key"}, None])
def test_a_key_has_one_place(place: Any) -> None:
    found = loaded(key=place).key

    assert (found.model_dump(exclude_none=True) if found else None) == place


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (KEY, f"llms.luna.key: {A_PLACE}"),
        ([KEY], f"llms.luna.key: {A_PLACE}"),
        ({"env": KEY}, f"llms.luna.key.env: {A_VARIABLE}"),
        ({"env": "hf_AbCdEfGh"}, f"llms.luna.key.env: {A_VARIABLE}"),
        ({"env": ""}, f"llms.luna.key.env: {A_VARIABLE}"),
        ({"env": "A\n"}, f"llms.luna.key.env: {A_VARIABLE}"),
        ({"env": [KEY]}, "llms.luna.key.env: wanted is string"),
        ({"file": {"a": KEY}}, "llms.luna.key.file: wanted is string"),
        ({"value": KEY}, "llms.luna.key.value: unknown key; known: env, file"),
        ({}, "llms.luna.key: wanted is one of env and file"),
        ({"env": "A", "file": "b"}, "llms.luna.key: wanted is one of env and file"),
    ],
)
def test_a_key_in_the_config_is_refused_and_not_shown(key: Any, line: str) -> None:
    assert mistake(hosted(key=key)) == line
    assert KEY not in line


NEAR = [
    *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "[::1]", "[fd12::3]"),
    *("localhost", "gpu-7", "GPU", "box.local", "vllm.default.svc.cluster.local", "host.docker.internal", "localhost."),
]
FAR = [
    *(
        "api.openai.com",
        "8.8.8.8",
        "172.32.0.1",
        "172.15.0.1",
        "11.0.0.1",
        "192.169.0.1",
        "[2001:db8::1]",
        "100.64.0.1",
    ),
    *("10.0.0.1.example.org", "127.1", "134744072", "0x08080808", "local.example.org", "notlocal.com", "mylocal.co"),
    *("evil%2ecom", "evil\u3002com", "[::ffff:8.8.8.8]", "[fe80::1%25eth0].com"),
]


@pytest.mark.parametrize("host", NEAR)
def test_a_key_may_go_over_http_to_a_near_host(host: str) -> None:
    assert loaded(base_url=f"http://{host}:8000/v1", key={"env": "A"}).base_url == f"http://{host}:8000/v1"


@pytest.mark.parametrize("host", FAR)
def test_a_key_never_goes_over_http_to_a_far_host(host: str) -> None:
    line = mistake(hosted(base_url=f"http://{host}/v1", key={"env": "A"}))

    assert line in {
        "llms.luna: wanted is https:// in base_url where a key is sent; over http:// the key would travel in the "
        "clear, which is for this machine and private networks alone",
        f"llms.luna.base_url: {A_URL}",
    }


@pytest.mark.parametrize("host", ["api.openai.com", "API.OpenAI.com:80"])
def test_openais_own_key_never_goes_over_http(host: str) -> None:
    assert "in the clear" in mistake(hosted(base_url=f"http://{host}/v1"))


@pytest.mark.parametrize("host", ["api.example.org", "8.8.8.8"])
def test_without_a_key_or_with_tls_any_host_may_be_asked(host: str) -> None:
    assert loaded(base_url=f"http://{host}/v1").key is None
    assert loaded(base_url=f"https://{host}/v1", key={"file": "a"}).key is not None


@STEADY
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_number_is_never_a_near_host(number: int, hexadecimal: bool) -> None:
    host = hex(number) if hexadecimal else str(number)

    assert "in the clear" in mistake(hosted(base_url=f"http://{host}/v1", key={"env": "A"}))


# More settings of a request.


@pytest.mark.parametrize(
    "extra",
    [
        {"min_tokens": 5, "stop_token_ids": [1, 2], "skip_special_tokens": False, "prompt_cache_key": "a"},
        {"top_k": 5, "chat_template_kwargs": {"enable_thinking": False}},
        {"provider": {"require_parameters": True, "order": ["a", "b"]}, "api_key": None},
    ],
)
def test_extra_is_kept_as_it_is(extra: dict[str, Any]) -> None:
    assert loaded(extra=extra).extra == extra


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({"api_key": KEY}, "api_key"),
        ({"apiKey": "word"}, "apiKey"),
        ({"top_k": 5, "access-token": "word"}, "access-token"),
        ({"client_secret": ["word"]}, "client_secret"),
        ({"PASSWORD": "word"}, "PASSWORD"),
        ({"headers": {"Authorization": "word"}}, "headers.Authorization"),
        ({"credentials": {"user": "word"}}, "credentials"),
        ({"harmless": KEY}, "harmless"),
        ({"a": {"b": [{"c": "Bearer word"}]}}, "a.b"),
    ],
)
def test_a_secret_in_extra_is_refused_and_not_shown(extra: dict[str, Any], name: str) -> None:
    assert mistake(hosted(extra=extra)) == (
        f"llms.luna.extra: wanted is settings without secrets, since they are stored; take {name} away, and name the "
        "place of the endpoint's key under key"
    )


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ({"n": 2}, "wanted is settings that stand nowhere else; take n away, said by HyperMix itself"),
        (
            {"stop": [], "model": "x"},
            "wanted is settings that stand nowhere else; take model, stop away, said by Hyper",
        ),
        ({"max_tokens": 5}, "wanted is settings that stand nowhere else; take max_tokens away, set in the augmenter"),
    ],
)
def test_what_is_said_elsewhere_is_refused_in_extra(extra: dict[str, Any], line: str) -> None:
    assert mistake(hosted(extra=extra)).startswith(f"llms.luna.extra: {line}")


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (KEY, "llms.luna.extra: wanted is a mapping of names to settings"),
        ([KEY], "llms.luna.extra: wanted is a mapping of names to settings"),
        ({1: KEY}, "llms.luna.extra.1: wanted is string (put it in quotes)"),
        ({"a": float("inf")}, "llms.luna.extra.a: wanted is a finite number"),
        ({"a": [1, {"b": float("nan")}]}, "llms.luna.extra.a[1].b: wanted is a finite number"),
        ({"a": date(2026, 1, 1)}, "llms.luna.extra.a: wanted is text, a number, true, false, null, a list or a mapp"),
    ],
)
def test_what_json_cannot_hold_is_refused_in_extra(extra: Any, line: str) -> None:
    assert mistake(hosted(extra=extra)).startswith(line)


@STEADY
@given(
    st.dictionaries(
        st.text("abcxyz_", min_size=1, max_size=6),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    ).filter(lambda extra: "n" not in extra)
)
def test_any_numbers_in_extra_reach_the_slice(extra: dict[str, Any]) -> None:
    config = load_config(hosted(extra=extra))

    assert loaded(extra=extra).extra == extra
    assert yaml.safe_load(augment_slice(config, "rt", "talk"))["llm"]["extra"].keys() == extra.keys()


# The price.


@pytest.mark.parametrize("text", ["as_of: 2026-11-22", "as_of: '2026-11-22'"])
def test_a_day_is_a_date_of_yaml_or_text(text: str) -> None:
    raw = hosted(price={"input": 1, "output": 2, **yaml.safe_load(text)})
    told = augment_runtime(load_config(raw), "talk", 1)["llm"]["price"]

    assert told == {"input": 1.0, "output": 2.0, "as_of": "2026-11-22", "source": None}


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "", 2026, 20261122, 0, None, True, datetime(2026, 11, 22)])
def test_what_is_no_day_is_refused(day: Any) -> None:
    assert mistake(set_key(hosted(), "llms.luna.price.as_of", day)) == (
        f"llms.luna.price.as_of: {day!r} stands there; wanted is a day such as 2026-11-22"
    )
