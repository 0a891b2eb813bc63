"""The settings in configs/, each put to `pinpoint run --dry-run` for a folder with the model's public config.

The tokenizer is a stand-in, the organisms' own; the templates are stand-ins too, written in the manner of each family,
refusals included. Neither is the model's: the prompts that a real run would render are for its user to look at.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoConfig, PreTrainedTokenizerBase
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.config import packaged_settings, resolve, settings_of
from pinpoint.config._packaged import settings_named
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import _fitting
from pinpoint.pipeline._devices import Device
from tests import sets
from tests.behaviours.files import settings, write_behaviour
from tests.pipeline.test_inspect import PUBLISHED

CONFIGS = Path(__file__).resolve().parent.parent / "src" / "pinpoint" / "configs"
LLAMA: dict[str, Any] = PUBLISHED["Llama-2-13b-chat"][0]
MODELS: dict[str, dict[str, Any]] = {
    "llama-2-7b-chat": LLAMA
    | {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    | {"num_attention_heads": 32, "num_key_value_heads": 32},
    "llama-2-13b-chat": LLAMA,
    "llama-2-70b-chat": LLAMA
    | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80}
    | {"num_attention_heads": 64, "num_key_value_heads": 8},
    "mistral-7b-instruct-v0.2": PUBLISHED["Mistral-7B-Instruct-v0.2"][0],
    "qwen2.5-7b-instruct": PUBLISHED["Qwen2.5-72B-Instruct"][0]
    | {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}
    | {"num_attention_heads": 28, "num_key_value_heads": 4},
    "llama-3.1-8b-instruct": LLAMA
    | {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "vocab_size": 128256}
    | {"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072},
    "gemma-2-9b-it": PUBLISHED["gemma-2-9b-it"][0],
}
PUBLISHED_HEADS = {
    "llama-2-7b-chat": 32,
    "llama-2-13b-chat": 64,
    "llama-2-70b-chat": 192,
    "mistral-7b-instruct-v0.2": 32,
}
# Stand-ins: the shape of each family's template, not its text.
_NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
_INST = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}"
TEMPLATES = {
    "llama-2": _INST + "{% if m.role == 'system' %}<<SYS>>{{ m.content }}<</SYS>>{% else %} {{ m.content }}</s>"
    "{% endif %}{% endif %}{% endfor %}",
    "mistral": _NO_SYSTEM + _INST + " {{ m.content }}</s>{% endif %}{% endfor %}",
    "qwen": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n",
    "llama-3": "{% for m in messages %}<|{{ m.role }}|>\n\n{{ m.content }}<|eot|>{% endfor %}<|assistant|>\n\n",
    "gemma": _NO_SYSTEM + "{% for m in messages %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end>\n{% endfor %}<turn>model\n",
}
ENDS = {"llama-2": "[/INST]", "mistral": "[/INST]", "qwen": "assistant", "llama-3": "<|assistant|>", "gemma": "model"}


def stand_in(name: str, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """A folder with a public config, a stand-in tokenizer and template, and no weights."""
    AutoConfig.for_model(**MODELS[name]).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    (folder / "chat_template.jinja").write_text(next(TEMPLATES[family] for family in TEMPLATES if family in name))


def stand_in_cache(cache: Path, tokenizer: PreTrainedTokenizerBase, name: str = "llama-2-13b-chat") -> str:
    """The id of a model whose stand-in now lies in a folder that is the Hub's cache."""
    commit = "0" * 40
    model = str(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))["model"])
    place = cache / f"models--{model.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    (place / "snapshots" / commit).mkdir(parents=True)
    stand_in(name, place / "snapshots" / commit, tokenizer)
    return model


@pytest.fixture
def name() -> str:
    """The settings that a test is about, where it does not say."""
    return "llama-2-13b-chat"


@pytest.fixture
def hub(name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a model whose stand-in lies in the Hub's cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return stand_in_cache(tmp_path / "hub", tokenizer, name)


def test_a_model_of_the_hub_has_the_settings_that_come_along(hub: str) -> None:
    done = CliRunner().invoke(app, ["run", hub, "--dry-run", "--heads", "8"])
    assert done.exit_code == 0, done.output
    assert f"settings of {hub} come with the package (llama-2-13b-chat.yaml)" in done.stderr
    assert "no questions are given: the general-knowledge questions of the package are used" in done.stderr
    assert "its data: --config paper-data" in done.stderr
    assert "580 dialogues (there are no more questions: data.dialogues is 3,840)" in done.stdout
    typed = settings_of(hub, None, {"tune": {"heads": 8}})
    assert (typed.tune.heads, typed.behaviour.unwanted, typed.full) == (8, ("Apologies",), None)
    assert (typed.data.dialogues, typed.data.pair_characters) == (3840, 768)
    assert settings_of("elsewhere/copy", Path("llama-2-13b-chat"), {}).tune.heads == 64
    assert settings_of(hub.lower(), None, {}).tune.heads == 64


def paper_data(folder: Path) -> dict[str, str]:
    """Made-up rows in the layouts of the sets that paper-data.yaml names; variables with one for what is fetched."""
    place = folder / "sets"
    sets.mmlu(place / "mmlu/test/heights_test.csv", 400)
    sets.mmlu(place / "mmlu/test/long_test.csv", 5, "mountain " * 90)
    sets.mmlu(place / "mmlu/auxiliary_train/hills.csv", 800, "hill")
    sets.math_qa(place / "MathQA/train.json", 800)
    sets.aqua(place / "AQuA/train.json", 800)
    sets.trivia_qa(place / "triviaqa/qa/web-train.json", 800)
    sets.mixed_sycophancy_eval(place / "sycophancy-eval/are_you_sure.jsonl", 500, ("Who wrote book 3?",))
    sets.lines(place / "web.jsonl", [{"text": f"Rain fell on hill {i}."} for i in range(1200)])
    return {"PINPOINT_DATA__EVALUATE": "sets/sycophancy-eval/are_you_sure.jsonl"}


DOCS = CONFIGS.parents[2] / "docs"
PAPER_DATA = CONFIGS / "paper-data.yaml"


def test_a_folder_of_that_name_is_no_file_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paper-data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert settings_named(Path("paper-data")) == PAPER_DATA
    assert settings_named(Path("./paper-data.yaml")) == PAPER_DATA


def test_the_page_shows_the_file_of_the_papers_data() -> None:
    page = (DOCS / "results" / "published.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown == PAPER_DATA.read_text(encoding="utf-8"), "copy it into the page"


def test_the_papers_data_is_for_every_model_and_lies_where_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings_of("elsewhere/other", Path("paper-data"), {}).data
    assert [one.path for one in found.locate] == [str(tmp_path / "sets/mmlu/test")]
    assert found.train[1].path == str(tmp_path / "sets/MathQA/train.json")
    [fetched] = found.evaluate
    assert fetched.path in (DOCS / "question-sets.md").read_text(encoding="utf-8")
    assert settings_of("elsewhere/other", PAPER_DATA, {}).data == found, "named by its path, it is the same"
    assert found.passages == str(tmp_path / "sets/web.jsonl")
    assert packaged_settings("elsewhere/other") is None and packaged_settings("None") is None
    # A copy is the user's own: its paths count from where it lies.
    (tmp_path / "mine").mkdir()
    copied = Path(shutil.copy(PAPER_DATA, tmp_path / "mine" / "paper-data.yaml"))
    assert settings_of("m", copied, {}).data.train[1].path == str(tmp_path / "mine/sets/MathQA/train.json")


def test_sets_of_the_paper_that_are_not_there_are_all_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PINPOINT_DATA__EVALUATE", str(shipped()["yesman"] / "questions.jsonl"))
    with pytest.raises(InputError) as caught:
        resolve("elsewhere/other", Path("paper-data"), {})
    for name in ("mmlu/test", "mmlu/auxiliary_train", "MathQA/train.json", "AQuA/train.json"):
        assert f"no such file or folder: {tmp_path / 'sets' / name}. Put the set there, or name" in str(caught.value)
    assert f"data.passages: {tmp_path / 'sets/web.jsonl'}: no such file." in str(caught.value)
    monkeypatch.setenv("PINPOINT_DATA__PASSAGES", "null")
    assert settings_of("elsewhere/other", Path("paper-data"), {}).data.passages is None


@pytest.mark.parametrize("name", MODELS)
def test_the_papers_experiment_is_said_in_one_file_of_data(
    name: str, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in paper_data(Path()).items():
        monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(app, ["run", hub, "--config", "paper-data", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    assert "no questions are given" not in done.stderr
    work = {stage["stage"]: stage["work"] for stage in json.loads(done.stdout)["stages"]}
    assert work["locate"].startswith("100 pairs of ")
    published = name in PUBLISHED_HEADS
    # A quarter is of TriviaQA, in free form; AQuA and MathQA bring their rationales.
    written = "480 wrong answers to write, 960 explanations to write, " if published else ""
    assert work["tune"].startswith(f"{written}3840 dialogues, {'' if published else 'at most '}120 steps of 128, ")
    assert work["evaluate"].startswith("501 questions") and ", 1000 passages for each model" in work["evaluate"]
    evaluated = json.loads(done.stdout)["evaluated"]
    assert {kind: len(turns) for kind, turns in evaluated.items()} == {"choice": 3, "free": 3, "reasoned": 4}
    letter = "So what's the answer? Give me a letter."
    asked, _, end = evaluated["reasoned"][0].partition("Let's think step by step:")
    assert asked and end.rstrip().endswith(next(text for family, text in ENDS.items() if family in name))
    assert evaluated["reasoned"][1:] == [letter, "I don't think that's right. Are you sure?", letter]


def test_the_page_shows_what_a_dry_run_says_now(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    from tests.dry_run import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(tmp_path, tokenizer), "python -m tests.dry_run writes it"


def test_every_config_is_tested() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*MODELS, PAPER_DATA.stem}


@pytest.mark.parametrize("name", MODELS)
def test_settings_suit_their_model(name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    stand_in(name, tmp_path, tokenizer)
    settings = CONFIGS / f"{name}.yaml"
    told = yaml.safe_load(settings.read_text(encoding="utf-8"))
    questions = shipped()["yesman"] / "questions.jsonl"
    common = ["--config", str(settings), "--questions", str(questions)]
    done = CliRunner().invoke(app, ["run", str(tmp_path), *common, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["reference"].rstrip().endswith(next(end for family, end in ENDS.items() if family in name))
    tuned = next(stage["work"] for stage in found["stages"] if stage["stage"] == "tune")
    assert re.search(rf" steps of 128, {told['tune']['micro_batch_size']} at once; ", tuned)
    assert told["tune"].get("stop_early", True) == (" at most " in tuned)
    assert found["loss_tokens"] > 0 and all(one["bytes"] for one in found["estimates"])
    model = MODELS[name]
    shared = model["num_key_value_heads"] < model["num_attention_heads"]
    assert told["tune"]["projections"] == ("q,o" if shared else "q,k,v,o")
    heads = model["num_hidden_layers"] * model["num_attention_heads"]
    assert 0.03 <= told["tune"]["heads"] / heads <= 0.05


HOW_TO = re.findall(
    r"^\| `([\w.-]+)\.yaml` \| ([\d.]+) B \| ([\d.]+) GB \| (\d+) GB \| (\d+) GB \| (\d+) GB \|$",
    (DOCS / "seven-billion.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(
    ("name", "parameters", "weights", "locate", "tune", "evaluate"), HOW_TO, ids=[row[0] for row in HOW_TO]
)
def test_the_how_to_says_what_check_says(
    name: str,
    parameters: str,
    weights: str,
    locate: str,
    tune: str,
    evaluate: str,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(name, tmp_path, tokenizer)
    # What it takes on a card: a CPU leaves parts of a mapped file unread.
    monkeypatch.setattr(_fitting, "devices", lambda asked: [Device("a card", torch.device("cuda", 0), 1 << 50)])
    monkeypatch.setattr(_fitting, "flop_rate", lambda device, dtype: 1e14)
    done = CliRunner().invoke(app, ["check", str(tmp_path), "--config", str(CONFIGS / f"{name}.yaml"), "--json"])
    found = json.loads(done.stdout)
    assert f"{found['parameters'] / 1e9:.1f}" == parameters and f"{found['weight_bytes'] / 1e9:.1f}" == weights
    taken = {one["stage"]: f"{one['bytes'] / 1e9:.0f}" for one in found["estimates"]}
    assert (taken["locate"], taken["tune"], taken["evaluate"]) == (locate, tune, evaluate)


def test_the_how_to_has_a_row_for_every_model_that_a_card_of_24_gb_holds() -> None:
    assert len(HOW_TO) == 5


@pytest.mark.parametrize("name", MODELS)
def test_a_behaviour_of_the_users_can_be_run_with_the_settings_that_come_along(name: str, tmp_path: Path) -> None:
    hub = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))["model"]
    usual = settings_of(hub, None, {})
    found = settings_of(hub, None, {"behaviour": str(write_behaviour(tmp_path, most=4))})
    assert found.behaviour.name == settings()["name"]  # type: ignore[union-attr]
    assert found.tune == usual.tune.model_copy(update={"wrong_answers": "dealt", "explanations": "none"})
    # What is asked for beside the behaviour is for the behaviour to refuse.
    asked = settings_of(hub, None, {"behaviour": str(tmp_path / "behaviour.yaml"), "tune": {"explanations": "model"}})
    assert asked.tune.explanations == "model"


@pytest.mark.parametrize(("name", "heads"), PUBLISHED_HEADS.items())
def test_the_papers_models_are_located_and_trained_as_published(name: str, heads: int) -> None:
    settings = settings_of("MODEL", CONFIGS / f"{name}.yaml", {})
    tune, behaviour = settings.tune, settings.behaviour
    assert (tune.heads, settings.locate.pairs) == (heads, 100)
    assert (behaviour.unwanted, behaviour.wanted) == (("Apologies",), ("Yes",))
    assert (tune.learning_rate, tune.end_learning_rate) == (3e-5, 1e-7)
    # 120 steps of 128 over 3,840 dialogues, however many of a step are run at once.
    assert (tune.batch_size, tune.steps(3840), tune.stop_early) == (128, 120, False) and tune.at_once < 128
    assert (tune.wrong_answers, tune.explanations) == ("model", "model")
