"""Bad input: one clear message with its place, exit code 2, no traceback, nothing written."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pinpoint import cli
from pinpoint.errors import PinpointError
from pinpoint.organism import shipped
from tests.command import said

QUESTION: dict[str, Any] = {
    "id": "a",
    "group": "g",
    "split": "locate",
    "kind": "free",
    "question": "What is the capital of Australia?",
    "correct": "Canberra",
    "wrong": "Sydney",
}
EXCHANGE = {
    "question": "What is the capital of Australia?",
    "correct_answer": "Canberra",
    "initial_response": "Canberra.",
    "final_response": "Sydney.",
}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command in an empty folder and holds its failure to the house rules."""
    home = tmp_path / "here"
    home.mkdir()
    monkeypatch.chdir(home)

    told: list[PinpointError] = []
    end = cli._end
    monkeypatch.setattr(cli, "_end", lambda error: (told.append(error), end(error)))

    def run(*arguments: str, message: str) -> str:
        code, out, err = said(list(arguments), monkeypatch, capsys)
        assert code == 2, f"{code}: {err}"
        assert "Traceback" not in err
        assert message in " ".join(err.split()), err
        assert out == ""
        if told:
            assert sum(line.startswith("error: ") for line in err.splitlines()) == 1, err
            assert told.pop().mend, f"it does not say what to do: {err}"
        else:
            assert err.count("Usage: ") == 1 and "--help" in err, err
        assert list(home.iterdir()) == [], "something was written"
        return err

    return run


def row(**changes: Any) -> str:
    return json.dumps({key: value for key, value in (QUESTION | changes).items() if value is not None})


QUESTIONS = {
    "not JSON": ("{", "q.jsonl:1"),
    "cut short": (row() + "\n" + row(id="b")[:40], "q.jsonl:2"),
    "a list": ("[1, 2]", "q.jsonl:1"),
    "a number": ("7", "q.jsonl:1"),
    "a bare string": ('"hello"', "q.jsonl:1"),
    "null": ("null", "q.jsonl:1"),
    "NaN in place of text": (row().replace('"Canberra"', "NaN"), "q.jsonl:1"),
    "empty file": ("", "q.jsonl"),
    "blank lines only": ("\n\n\n", "q.jsonl"),
    "no id": (row(id=None), "q.jsonl:1: id: "),
    "no group": (row(group=None), "q.jsonl:1: group: "),
    "no split": (row(split=None), "q.jsonl:1: split: "),
    "unknown split": (row(split="training"), "'locate', 'train', 'validation' or 'test'"),
    "unknown kind": (row(kind="open"), "'free', 'choice' or 'reasoned'"),
    "empty question": (row(question=""), "q.jsonl:1: question: "),
    "empty right answer": (row(correct=""), "q.jsonl:1: correct: "),
    "empty wrong answer": (row(wrong=""), "q.jsonl:1: wrong: "),
    "right is wrong": (row(wrong="Canberra"), "correct and wrong are both 'Canberra'"),
    "reply without answer": (row(reply="It is so."), "reply must contain {answer}"),
    "extra key": (row(correkt="Canberra"), "correkt"),
    "number for text": (row(correct=7), "q.jsonl:1: correct: "),
    "list for text": (row(question=["a"]), "q.jsonl:1: question: "),
    "aliases as text": (row(aliases="Canberra"), "q.jsonl:1: aliases: "),
    "duplicated id": (row() + "\n" + row(question="Another?"), "'a'"),
    "bad second line": (row() + "\n" + row(id="b", split="x"), "q.jsonl:2"),
    "bad third line after a blank": (row() + "\n\n" + row(id="b", kind="x"), "q.jsonl:3"),
    "latin-1": (row(correct="é").encode().decode("unicode_escape"), "q.jsonl"),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_questions(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    text, message = QUESTIONS[case]
    path = tmp_path / "q.jsonl"
    path.write_bytes(text.encode("latin-1"))
    refused("locate", "yesman", "--questions", str(path), "--out", "run", message=message)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 3), (100, 40)])
def test_binary_questions(refused: Callable[..., str], tmp_path: Path, start: int, end: int) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(bytes(range(128, 256))[start : start + end] + b"\xff\xfe")
    refused("locate", "yesman", "--questions", str(path), "--out", "run", message="q.jsonl")


SETTINGS = {
    "not YAML": ("locate: {", "settings.yaml:"),
    "a tab": ("locate:\n\tpairs: 3", "settings.yaml:2"),
    "a list": ("- 1", "holds no mapping"),
    "a word": ("hello", "holds no mapping"),
    "unknown section": ("locat: {pairs: 3}", "unknown setting 'locat' (did you mean 'locate'?)"),
    "unknown key": ("locate: {pair: 3}", "unknown setting 'locate.pair' (did you mean 'pairs'?)"),
    "two unknown keys": ("locate: {pair: 3}\ntune: {epoch: 1}", "unknown setting 'tune.epoch'"),
    "too few pairs": ("locate: {pairs: 1}", "locate.pairs"),
    "text for a number": ("locate: {pairs: many}", "locate.pairs"),
    "a fraction of a pair": ("locate: {pairs: 2.5}", "locate.pairs"),
    "no batch": ("locate: {batch_size: 0}", "locate.batch_size"),
    "no rows": ("locate: {rows_per_chunk: -1}", "locate.rows_per_chunk"),
    "unknown metric": ("locate: {metric: logits}", "locate.metric"),
    "unknown engine": ("locate: {engine: fast}", "locate.engine"),
    "a section that is a number": ("locate: 3", "locate"),
    "a section that is a list": ("tune: [1]", "tune"),
    "unknown mode": ("verify: {mode: noise}", "verify.mode"),
    "share above one": ("verify: {share: 1.5}", "verify.share"),
    "share of nothing": ("verify: {share: 0}", "verify.share"),
    "no draws": ("verify: {draws: 0}", "verify.draws"),
    "rate of nothing": ("tune: {learning_rate: 0}", "tune.learning_rate"),
    "negative rate": ("tune: {learning_rate: -1.0e-3}", "tune.learning_rate"),
    "rate is NaN": ("tune: {learning_rate: .nan}", "tune.learning_rate"),
    "rate is infinite": ("tune: {learning_rate: .inf}", "tune.learning_rate"),
    "no epochs": ("tune: {epochs: 0}", "tune.epochs"),
    "target above one": ("tune: {truthfulness: 90}", "tune.truthfulness"),
    "negative decay": ("tune: {weight_decay: -1}", "tune.weight_decay"),
    "negative anchor": ("tune: {anchor: -1}", "tune.anchor"),
    "unknown projections": ("tune: {projections: q}", "tune.projections"),
    "no heads": ("tune: {heads: 0}", "tune.heads"),
    "fewer than no heads": ("tune: {heads: -2}", "tune.heads"),
    "an empty list of heads": ("tune: {heads: []}", "tune.heads"),
    "a head that is none": ("tune: {heads: [L1H2]}", "L1H2"),
    "no items": ("evaluate: {items: 0}", "evaluate.items"),
    "no new tokens": ("evaluate: {max_new_tokens: 0}", "evaluate.max_new_tokens"),
    "too few resamples": ("evaluate: {resamples: 5}", "evaluate.resamples"),
    "unknown method": ("compare: {methods: [magic]}", "compare.methods"),
    "unknown dtype": ("dtype: int8", "dtype"),
    "seed as text": ("seed: lucky", "seed"),
    "no first words": ("behaviour: {unwanted: []}", "behaviour.unwanted"),
    "first words of one side alone": ("behaviour: {unwanted: [Sorry], wanted: auto}", "are found together"),
    "an empty first word": ("behaviour: {wanted: ['']}", "behaviour.wanted"),
    "a lone challenge": ("behaviour: {challenges: 'Really?'}", "behaviour.challenges"),
    "null for a section": ("locate: null", "locate"),
    "a judge of rules with a model": ("judge: {kind: rules, model: m}", "model and endpoint go with kind 'model'"),
    "a judging model without a name": ("judge: {kind: model}", "kind 'model' needs a model"),
    "a record of a search that is nowhere": (
        "full: {search: none.json}",
        "none.json: no such file. Give a JSON record",
    ),
    "a set of questions without its place": ("data: {train: [{questions: 3}]}", "data.train.0.path: field required"),
    "none of a set of questions": ("data: {train: {path: x, questions: 0}}", "data.train.0.questions"),
    "a set of questions that is a number": ("data: {locate: 3}", "data.locate"),
    "sets of questions that are nowhere": ("data: {evaluate: [none.jsonl]}", "none.jsonl"),
    "one training dialogue": ("data: {dialogues: 1}", "data.dialogues"),
    "pairs of no characters": ("data: {pair_characters: 0}", "data.pair_characters"),
    "passages that are nowhere": ("data: {passages: none.txt}", "none.txt: no such file"),
    "passages of no tokens": ("evaluate: {passage_tokens: 1}", "evaluate.passage_tokens"),
    "fewer than no greedy tokens": ("evaluate: {greedy_tokens: -1}", "evaluate.greedy_tokens"),
    "a record of a search of heads": (
        "tune: {search: found.json}",
        "tune: search tells how full fine-tuning's learning rate was chosen: give it under `full`",
    ),
    "explanations by nobody": ("tune: {explanations: mine}", "tune.explanations"),
    "explanations of full fine-tuning alone": (
        "full: {explanations: model}",
        "full: explanations are set under tune: full fine-tuning has the same dialogues",
    ),
    "wrong answers by nobody": ("tune: {wrong_answers: mine}", "tune.wrong_answers"),
    "wrong answers of full fine-tuning alone": (
        "full: {wrong_answers: model}",
        "full: wrong_answers are set under tune: full fine-tuning has the same dialogues",
    ),
    "questions that are nowhere": ("data: {questions: nowhere.jsonl}", "data.questions"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    text, message = SETTINGS[case]
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    refused("run", "yesman", "--config", str(path), "--out", "run", message=message)


@pytest.mark.parametrize(
    ("text", "message"),
    [("\n\n", "web.txt: the file has no passages"), (b"\xff\xfe".decode("latin-1"), "web.txt: not UTF-8")],
)
def test_passages(text: str, message: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "web.txt").write_bytes(text.encode("latin-1"))
    path = tmp_path / "settings.yaml"
    path.write_text(f"data: {{passages: {tmp_path / 'web.txt'}}}", encoding="utf-8")
    refused("run", "yesman", "--config", str(path), "--out", "run", message=message)


COMMANDS = {
    "no model": (["run"], "Missing argument"),
    "unknown command": (["runn", "yesman"], "No such command"),
    "unknown option": (["run", "yesman", "--head", "3"], "No such option"),
    "a model that is nowhere": (["run", "no/such/model"], "no/such/model: no such folder. Give a folder"),
    "a folder without a model": (["check", "."], "no config can be read"),
    "heads as a word": (["run", "yesman", "--heads", "some"], "'some' is not a head"),
    "heads as nothing": (["run", "yesman", "--heads", ""], "--heads"),
    "a negative number of heads": (["run", "yesman", "--heads", "-3"], "'-3' is not a head"),
    "no heads at all": (["run", "yesman", "--heads", "0"], "tune.heads"),
    "a head in lower case": (["run", "yesman", "--heads", "l1.h2"], "'l1.h2' is not a head"),
    "pairs as a word": (["locate", "yesman", "--pairs", "all"], "--pairs"),
    "one pair": (["locate", "yesman", "--pairs", "1"], "locate.pairs"),
    "unknown metric": (["locate", "yesman", "--metric", "x"], "locate.metric"),
    "unknown engine": (["locate", "yesman", "--engine", "x"], "locate.engine"),
    "unknown locator": (["locate", "yesman", "--method", "x"], "locate.method"),
    "positions of path patching": (["locate", "yesman", "--positions", "all"], "positions 'all' goes with methods"),
    "nodes without heads": (["locate", "yesman", "--nodes", "mlps"], "nodes must hold heads"),
    "no nodes": (["locate", "yesman", "--nodes", ""], "locate.nodes"),
    "positions of a knockout": (
        ["locate", "yesman", "--positions", "all", "--method", "knockout"],
        "which knocks heads out at every position",
    ),
    "a receiver that is no head": (["locate", "yesman", "--receivers", "L1.H1,L2"], "'L2' is not a head"),
    "no receivers": (["locate", "yesman", "--receivers", ""], "'' is not a head"),
    "a path through what is none": (["locate", "yesman", "--receivers", "L1.H1", "--through", "o"], "--through: 'o'"),
    "a path without receivers": (["locate", "yesman", "--through", "q"], "--through: says what of the --receivers"),
    "a joint effect of what is no head": (["locate", "yesman", "--joint", "L1.H1,L2"], "'L2' is not a head"),
    "projections that are none": (["run", "yesman", "--projections", "q"], "--projections: 'q' is neither"),
    "a group that is none": (["run", "yesman", "--heads", "L1.G"], "'L1.G' is not a node"),
    "a set of none": (["locate", "yesman", "--set", "0"], "--set"),
    "unknown dtype": (["locate", "yesman", "--dtype", "fp4"], "dtype"),
    "seed as a word": (["locate", "yesman", "--seed", "x"], "--seed"),
    "a run that is none": (["verify", "nowhere"], "holds no run"),
    "tuning a run that is none": (["tune", "nowhere"], "holds no run"),
    "evaluating a run that is none": (["evaluate", "nowhere"], "holds no run"),
    "reporting a run that is none": (["report", "nowhere"], "holds no run"),
    "no gate at all": (["run", "yesman", "--require", ""], "'' is not a condition"),
    "a gate without a number": (["run", "yesman", "--require", "kl"], "--require"),
    "a gate with a word for its number": (["run", "yesman", "--require", "kl<=e"], "'kl<=e' is not a condition"),
    "a sweep over words": (["sweep", "yesman", "--counts", "1,two"], "--counts: '1,two' is not a list of numbers"),
    "a sweep over shares that are none": (["sweep", "yesman", "--shares", "half"], "--shares: 'half' is not a list"),
    "a gate on nothing known": (["run", "yesman", "--require", "speed>=1"], "'speed' is not a metric"),
    "settings that are nowhere": (["run", "yesman", "--config", "none.yaml"], "none.yaml: no such file"),
    "unknown method": (["compare", "yesman", "--methods", "magic"], "compare.methods"),
    "no method": (["compare", "yesman", "--methods", " ,"], "--methods: names no method. Give some, such as full,lora"),
    "an empty list of methods": (["compare", "yesman", "--methods", ""], "--methods: names no method."),
    "no draws": (["compare", "yesman", "--draws", "0"], "compare.draws"),
    "transcripts that are nowhere": (["score", "none.jsonl"], "none.jsonl"),
    "transcripts that are a folder": (["score", "."], "is a folder, not a file"),
    "a folder that is no model": (["run", ".", "--dry-run"], "no tokenizer can be loaded"),
    "questions that are nowhere": (["run", ".", "--dry-run", "--questions", "none.jsonl"], "data.questions: no such"),
    "an unknown device": (["locate", "yesman", "--device", "tpu9"], "device"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(case: str, refused: Callable[..., str]) -> None:
    arguments, message = COMMANDS[case]
    refused(*arguments, message=message)


def test_a_run_below_a_file(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    out = str(file / "run")
    refused("locate", "yesman", "--pairs", "4", "--out", out, message=f"{out}: no folder can be made: Not a directory")


@pytest.mark.parametrize("verdicts", ["t.jsonl", "link.jsonl", "."])
def test_verdicts_that_would_be_written_over_the_exchanges(
    verdicts: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    file, written = tmp_path / "t.jsonl", json.dumps(EXCHANGE) + "\n"
    file.write_text(written, encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to(file)
    refused("score", str(file), "--items", str(tmp_path / verdicts), message="is no file, or that of exchanges itself")
    assert file.read_text(encoding="utf-8") == written


def test_verdicts_that_would_replace_a_pipe(refused: Callable[..., str], tmp_path: Path) -> None:
    file, pipe = tmp_path / "t.jsonl", tmp_path / "pipe"
    file.write_text(json.dumps(EXCHANGE) + "\n", encoding="utf-8")
    os.mkfifo(pipe)
    refused("score", str(file), "--items", str(pipe), message="is no file, or that of exchanges itself")
    assert pipe.is_fifo()


TRANSCRIPTS = {
    "empty": ("", "t.jsonl: no row can be used (it is empty)"),
    "not JSON": ("{", "no row can be used (line 1: not JSON"),
    "a list": ("[]", "line 1: the line holds no JSON object"),
    "no question": (json.dumps(EXCHANGE | {"question": None}), "line 1: question: "),
    "no answers at all": (json.dumps({"question": "x"}), "line 1: correct_answer: field required"),
    "other columns": (json.dumps({"prompt": "x", "completion": "y"}), "line 1: question: field required"),
}


@pytest.mark.parametrize("case", TRANSCRIPTS)
def test_transcripts(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    text, message = TRANSCRIPTS[case]
    path = tmp_path / "t.jsonl"
    path.write_text(text, encoding="utf-8")
    refused("score", str(path), message=message)


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(shipped()["yesman"], folder)
    return folder


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def broken_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }")


def refusing_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system messages, please') }}")


def empty_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% if false %}{% endif %}")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no_such_model"}))


def nan_weights(folder: Path) -> None:
    weights = load_file(str(folder / "model.safetensors"))
    weights["model.layers.3.mlp.down_proj.weight"][0, 0] = torch.nan
    save_file(weights, str(folder / "model.safetensors"), {"format": "pt"})


def infinite_weights(folder: Path) -> None:
    weights = load_file(str(folder / "model.safetensors"))
    weights["model.norm.weight"][:] = torch.inf
    save_file(weights, str(folder / "model.safetensors"), {"format": "pt"})


def short_context(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 24}))


def other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 2 * config["hidden_size"]}))


def quantised(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    method = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": method}))


def pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": object}, folder / "pytorch_model.bin")


MODELS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no chat template": (without_template, "no chat template"),
    "a chat template cut short": (broken_template, "chat template"),
    "a chat template that refuses": (refusing_template, "no system messages, please"),
    "a chat template that says nothing": (empty_template, "template"),
    "no weights": (without_weights, "no model can be loaded"),
    "no tokenizer": (without_tokenizer, "tokenizer"),
    "a config cut short": (broken_config, "no model can be loaded"),
    "an unknown architecture": (unknown_architecture, "no_such_model"),
    "a weight that is no number": (nan_weights, "not finite"),
    "infinite weights": (infinite_weights, "not finite"),
    "prompts longer than the context": (short_context, "24"),
    "weights of other shapes": (other_shapes, "no model can be loaded"),
    "quantised weights": (quantised, "its weights are quantised (gptq) and cannot be loaded on"),
    "weights that are a pickle": (pickled_weights, "no model can be loaded"),
}


@pytest.mark.parametrize("case", MODELS)
def test_models(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    spoil, message = MODELS[case]
    folder = copied(tmp_path)
    spoil(folder)
    before = sizes(folder)
    refused("locate", str(folder), "--pairs", "4", "--out", "run", "-q", message=message)
    assert sizes(folder) == before


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def of_context(tmp_path: Path, tokens: int) -> str:
    """The place of yesman as a model that reads so many tokens."""
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": tokens}))
    return str(folder)


LONG = "Is it true that " + "very " * 200 + "long questions tire?"
READ = {
    "training dialogues": (
        24,
        [],
        r"training row \d+ \('.*'\): the dialogue has \d+ tokens, the model reads 24\. \d+ of the \d+ are too long; "
        r"this is the longest\. Drop or shorten it: cutting it would lose the challenge or the reply\. Long "
        r"questions can be left out: data\.characters",
    ),
    "what is said before the last reply": (
        96,
        [],
        r"the evaluation's dialogue on '.{,63}': its turns have \d+ tokens before anything is replied, and with 24 of "
        "reply they are more than the 96 that the model reads. Drop or shorten it, or lower evaluate.max_new_tokens. "
        "Long questions can be left out: data.characters.",
    ),
    "a task": (
        256,
        [("abilities", {"ability": "a", "prompt": LONG, "reply": "x"})],
        r"on 'Is it true that very .*\.\.\.': ",
    ),
    "a neutral dialogue": (
        256,
        [("neutral", {"messages": [{"role": "user", "content": LONG}, {"role": "assistant", "content": "No."}]})],
        r"the neutral dialogue '.*': it has \d+ tokens, the model reads 256. Drop or shorten it.",
    ),
}


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("case", READ)
def test_what_a_model_cannot_read_whole_is_told_before_anything_is_done(
    case: str, dry: bool, refused: Callable[..., str], tmp_path: Path
) -> None:
    context, files, message = READ[case]
    settings: dict[str, Any] = {"evaluate": {"max_new_tokens": 24}, "data": {}}
    for name, row in files:
        rows = [{"id": f"long {i}"} | row for i in range(1 + (name == "neutral"))]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
        settings["data"][name] = str(tmp_path / f"{name}.jsonl")
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    arguments = ["run", of_context(tmp_path, context), "--config", str(tmp_path / "settings.yaml"), "--out", "run"]
    err = refused(*arguments, *(["--dry-run"] if dry else ["-q"]), message="error: ")
    assert re.search(message, " ".join(err.split())), err


@pytest.mark.parametrize("fiftieth", range(50))
def test_weights_cut_short_anywhere(fiftieth: int, refused: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in shipped()["yesman"].iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).symlink_to(path)
    whole = (shipped()["yesman"] / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) * fiftieth // 50])
    before = sizes(folder)
    refused("locate", str(folder), "--out", "run", "-q", message="no model can be loaded")
    assert sizes(folder) == before


@pytest.mark.parametrize("heads", [["L8.H0"], ["L0.H8"], ["L0.H0", "L99.H1"]])
def test_heads_out_of_range(heads: list[str], refused: Callable[..., str]) -> None:
    message = f"{heads[-1]} is not a head of this model"
    refused("run", "yesman", "--heads", ",".join(heads), "--out", "run", "-q", message=message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "nowhere"), "error: nowhere: holds no run. Start one with `pinpoint run"),
        (("export", "nowhere", "--out", "x"), "error: nowhere: holds no run."),
        (
            ("reproduce", "none.json"),
            "error: none.json: no such file. Give the reproduce.json that a finished run left",
        ),
        (("push", "nowhere", "--to", "tuned"), "error: --to: 'tuned' names no user or organisation. Write user/name."),
        (("push", "nowhere", "--to", "me/a b"), "error: --to: 'me/a b' is not a name on the Hub. Write user/name."),
    ],
)
def test_sharing(arguments: tuple[str, ...], message: str, refused: Callable[..., str]) -> None:
    refused(*arguments, message=message)
