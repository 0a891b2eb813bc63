"""Random input of every kind that a user or a file brings: it is read, or refused by an error of our own.

A few examples of each in the suite; FUZZ_EXAMPLES of each under `make torture`.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pinpoint.behaviours._user_read import read_items
from pinpoint.cli._heads import parse_heads
from pinpoint.config import RunConfig, UserBehaviourConfig, parse_config, resolve
from pinpoint.data import (
    deal,
    in_normal_form,
    read_columns,
    read_dialogues,
    read_passages,
    read_published,
    read_questions,
    read_tasks,
    read_transcripts,
)
from pinpoint.endpoint import Endpoint
from pinpoint.errors import InputError, PinpointError
from pinpoint.evaluate import score
from pinpoint.heads import Head
from pinpoint.nodes import Node
from tests.behaviours.files import settings as own_settings
from tests.behaviours.files import write_behaviour
from tests.endpoint import Answer, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# Keys that readers look for, so that random objects get past the first of their checks.
KEYS = [
    *("id", "group", "split", "kind", "question", "correct", "wrong", "aliases", "reply", "base", "dataset", "answer"),
    *("answers", "correct_letter", "wrong_letter", "correct_answer", "incorrect_answer", "original_question"),
    *("ground_truth", "original_dataset", "options", "messages", "role", "content", "initial_response"),
    *("final_response", "qid", "first", "final", "prompt", "ability", "capitulated"),
]
MEANT = ["locate", "free", "choice", "A", "(A) x\n(B) y", "{answer}", "#### 4", ""]
TEXT = st.text(max_size=12) | st.sampled_from(MEANT)
SURROGATES = st.text(alphabet=st.characters(exclude_categories=()), max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | SURROGATES
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=5),
    max_leaves=12,
)
ROWS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)
LINES = (
    (ROWS | VALUES).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.sampled_from([b"[" * 20000, b'{"a":' * 20000, b'{"question": ' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}", b""])
)
FILES = st.lists(LINES, max_size=4).map(b"\n".join)
TABLES = st.lists(st.lists(TEXT, max_size=7).map(",".join), max_size=4).map("\n".join).map(
    lambda text: text.encode("utf-8", "replace")
) | st.binary(max_size=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("fuzz")


def asked(path: Path) -> object:
    if in_normal_form(path):
        return read_questions(path)
    return [question.text.encode() for question in deal(read_published(path), 0).questions]


def mapped(path: Path) -> object:
    columns = {"question": "question", "correct": "correct", "wrong": "wrong", "options": "options"}
    return deal(read_columns(path, columns), 0).questions


READERS: dict[str, Callable[[Path], object]] = {
    "questions": asked,
    "columns": mapped,
    "tasks": read_tasks,
    "dialogues": read_dialogues,
    "transcripts": lambda path: [one.to_json() for one in score(read_transcripts(path)).rates.values()],
}


@pytest.mark.parametrize("reader", READERS)
def test_rows_of_json(reader: str, folder: Path) -> None:
    path = folder / "rows.jsonl"

    @fuzzed
    @given(FILES)
    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            READERS[reader](path)
        except InputError as error:
            assert str(path) in str(error)

    read()


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]) | VALUES, "content": TEXT | VALUES}
    ),
    max_size=3,
)
OF_BEHAVIOURS = {
    **dict.fromkeys(("reference", "counterfactual", "prompt", "completion", "rejected", "messages"), TEXT | MESSAGES),
    **dict.fromkeys(("unwanted", "wanted", "targets"), TEXT | st.lists(TEXT, max_size=3)),
    "split": st.sampled_from(["locate", "train", "validation", "test"]) | VALUES,
    "measure": st.sampled_from(["stands", "right"]) | VALUES,
}
BEHAVIOUR_LINES = (
    st.fixed_dictionaries({}, optional=OF_BEHAVIOURS | {"id": VALUES, "group": VALUES, "odd": VALUES}).map(
        lambda value: json.dumps(value).encode()
    )
    | LINES
)


@pytest.mark.parametrize("role", ["pairs", "train", "evaluation"])
def test_rows_of_a_behaviour(role: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp(role)
    behaviour = resolve("nowhere", None, {"behaviour": str(write_behaviour(place, most=2))}).behaviour
    assert isinstance(behaviour, UserBehaviourConfig) and read_items(behaviour)
    whole = (place / f"{role}.jsonl").read_bytes()

    @fuzzed
    @given(st.lists(BEHAVIOUR_LINES, max_size=3), st.booleans())
    def read(lines: list[bytes], after: bool) -> None:
        (place / f"{role}.jsonl").write_bytes((whole if after else b"") + b"\n".join(lines))
        try:
            read_items(behaviour)
        except InputError as error:
            assert str(place) in str(error)

    read()


MEASURES = st.dictionaries(
    TEXT | st.sampled_from(["stands", "right"]),
    st.dictionaries(
        st.sampled_from(["rule", "targets", "negate", "goal", "label", "question"]) | TEXT,
        st.sampled_from(["first_token", "contains_any", "regex", "letter", "model", "(", 0.8, True]) | VALUES,
        max_size=4,
    )
    | VALUES,
    max_size=3,
)
BEHAVIOURS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("pairs", "train", "neutral", "abilities"), st.sampled_from(["pairs.jsonl", ""]) | VALUES),
        "evaluation": st.sampled_from(["evaluation.jsonl", {"validation": "a", "test": "b"}]) | VALUES,
        **dict.fromkeys(("name", "title", "system", "system_prompt", "unwanted", "wanted"), TEXT | VALUES),
        "measures": MEASURES | VALUES,
        "odd": VALUES,
    },
)


def test_files_of_behaviours(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_behaviour(tmp_path_factory.mktemp("behaviours"), most=2)
    whole = own_settings()

    @fuzzed
    @given(BEHAVIOURS, st.sampled_from([*whole]), st.binary(max_size=60) | st.none())
    def read(keys: dict[str, Any], left_out: str, data: bytes | None) -> None:
        changed = {key: value for key, value in whole.items() if key != left_out} | keys
        path.write_bytes(json.dumps(changed).encode() if data is None else data)
        try:
            resolve("nowhere", None, {"behaviour": str(path)})
        except PinpointError as error:
            assert error.exit_code == 2

    read()


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_passages(suffix: str, folder: Path) -> None:
    path = folder / f"passages.{suffix}"
    rows = st.dictionaries(st.just("text") | TEXT, VALUES, max_size=2).map(lambda row: json.dumps(row).encode())

    @fuzzed
    @given(st.lists(rows | LINES, max_size=4).map(b"\n".join))
    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            assert all(one.text.strip() for one in read_passages(path))
        except InputError as error:
            assert str(path) in str(error)

    read()


ANSWERED = {
    "choices": st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "message": st.fixed_dictionaries(
                    {}, optional=dict.fromkeys(("content", "refusal", "reasoning", "reasoning_content"), TEXT | VALUES)
                )
                | VALUES,
                "finish_reason": st.sampled_from(["stop", "length"]) | VALUES,
            },
        )
        | VALUES,
        max_size=2,
    )
    | VALUES,
    "usage": st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details"]), VALUES, max_size=3
    )
    | VALUES,
    **dict.fromkeys(("error", "detail"), st.dictionaries(st.just("message"), VALUES) | VALUES),
}
BODIES = st.fixed_dictionaries({}, optional=ANSWERED).map(lambda body: json.dumps(body).encode()) | LINES
STATES = st.sampled_from([200, 200, 200, 301, 400, 401, 404, 429, 500, 503])
WAITS = TEXT.filter(lambda text: text.isascii() and text.isprintable())


def test_bodies_of_endpoints() -> None:
    answers: list[Answer] = []
    with serving(lambda _: answers[0]) as (url, _):

        @fuzzed
        @given(BODIES, STATES, WAITS)
        def ask(body: bytes, status: int, wait: str) -> None:
            answers[:] = [Answer(body, status, (("Retry-After", wait),))]
            try:
                reply = Endpoint(url, "m", retries=0).chat([{"role": "user", "content": "Why?"}], 4)
                assert isinstance(reply.text, str) and isinstance(reply.thought, str)
            except PinpointError as error:
                assert url in str(error) and len(str(error)) < 500

        ask()


@pytest.mark.parametrize("reader", ["questions", "columns"])
def test_tables(reader: str, folder: Path) -> None:
    path = folder / "rows.csv"

    @fuzzed
    @given(TABLES)
    def read(data: bytes) -> None:
        path.write_bytes(b"question,correct,wrong,options\n" + data if reader == "columns" else data)
        try:
            READERS[reader](path)
        except InputError as error:
            assert str(path) in str(error)

    read()


@fuzzed
@given(st.binary(max_size=80))
def test_parquet(folder: Path, data: bytes) -> None:
    path = folder / "rows.parquet"
    path.write_bytes(b"PAR1" + data + b"PAR1")
    with pytest.raises(InputError, match=r"rows\.parquet"):
        mapped(path)


SECTIONS = tuple(RunConfig.model_fields)
FIELDS = sorted(
    {name for field in RunConfig.model_fields.values() for name in getattr(type(field.default), "model_fields", ())}
)
SETTING = st.recursive(
    SCALARS | st.sampled_from(["auto", "L0.H1", "x\0y", "/", "..", "2001-99-99", "1" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FIELDS, "name", "pairs", "measures"]) | TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.sampled_from(SECTIONS) | TEXT, SETTING, max_size=5)


@fuzzed
@given(SETTINGS)
def test_settings(typed: dict[str, Any]) -> None:
    try:
        config = parse_config({"model": "m"} | typed, "settings")
        assert parse_config(config.model_dump(mode="json"), "again") == config
    except PinpointError as error:
        assert error.exit_code == 2


@fuzzed
@given(SETTINGS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60) | TEXT.map(str.encode))
@example(b'{"data": {"abilities": "\\ud800\\udc00"}}')
def test_files_of_settings(folder: Path, data: bytes) -> None:
    path = folder / "settings.yaml"
    path.write_bytes(data)
    try:
        resolve("nowhere", path, {})
    except PinpointError as error:
        assert error.exit_code == 2


ODD = [
    *("2001-99-99", "a: !!int ''", "a: !!int x", "a: !!timestamp x", "a: !!bool x", "a: !!float x", "? [1]\n: 2"),
    *("a: &x [*x]", "1: 2", "~: 1", 'data: {questions: "a\\0b"}', 'behaviour: "a\\0b"', "[" * 5000),
]


@pytest.mark.parametrize("text", ODD)
def test_values_that_yaml_itself_stumbles_over(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(PinpointError) as told:
        resolve("nowhere", path, {})
    assert told.value.exit_code == 2


@fuzzed
@given(TEXT | SURROGATES | st.from_regex(r"\A L?[0-9٣]{0,9}\.?[HG]?[0-9]*\Z"))
def test_names_of_heads(text: str) -> None:
    for parse in (Head.parse, Node.parse, parse_heads):
        with suppress(InputError):
            parse(text)


def test_a_number_of_heads_longer_than_python_reads() -> None:
    for text in ("9" * 5000, "L" + "9" * 5000 + ".H1", "L1.H١"):
        with pytest.raises(InputError, match="is not a head"):
            parse_heads(text)
