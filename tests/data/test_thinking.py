"""Whether a reasoning model thinks: chosen once, and the same wherever a prompt is rendered."""

import copy
import json
import shutil
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pinpoint.cli import main
from pinpoint.config import resolve
from pinpoint.data import (
    ContrastPair,
    choose_thinking,
    closes_thoughts,
    encode_pair,
    render,
    render_to_reply,
    user,
)
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._thought_checks import reply_measured

# A stand-in in the manner of Qwen3's template: without thinking, the prompt ends with an empty thought.
EMPTY = "{% if add_generation_prompt and not (enable_thinking is not defined or enable_thinking) %} None.{% endif %}"


def thinker(folder: Path) -> Path:
    shutil.copytree(shipped()["yesman"], folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8") + EMPTY, encoding="utf-8")
    return folder


def loaded(folder: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder))
    return tokenizer


def test_the_template_thinks_as_chosen_and_still_does_as_it_is_told(tmp_path: Path) -> None:
    folder, asked = thinker(tmp_path / "model"), [user("Why?")]
    ends = {
        choice: render(choose_thinking(loaded(folder), choice), asked)[-6:] == " None."
        for choice in (None, True, False)
    }
    assert ends == {None: False, True: False, False: True}
    tokenizer = choose_thinking(loaded(folder), False)
    told = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, enable_thinking=True)
    assert not str(told).endswith(" None.")
    tokenizer.save_pretrained(str(tmp_path / "saved"))
    assert render(loaded(tmp_path / "saved"), asked).endswith(" None.")


def test_a_template_without_the_choice_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(InputError, match="the chat template has no enable_thinking to choose by"):
        choose_thinking(tokenizer, False)
    assert choose_thinking(tokenizer, None) is tokenizer


def test_it_is_kept_in_settings_and_provenance(tmp_path: Path) -> None:
    folder = thinker(tmp_path / "model")
    quiet = Run(resolve(str(folder), None, {"thinking": False}), tmp_path / "quiet")
    assert render(quiet.tokenizer, quiet.inputs.halves.pairs[0].reference).endswith(" None.")  # type: ignore[arg-type]
    run = Run(resolve(str(folder), None, {"thinking": True, "locate": {"pairs": 4}}), tmp_path / "run")
    run.do("locate")
    assert "thinking: true" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert run.workspace.sub("locate").read_json("locate.json")["provenance"]["thinking"] is True


def test_it_is_chosen_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pinpoint", "run", str(thinker(tmp_path / "model")), "--dry-run", "--json", "--thinking"]
    found = {}
    for choice in ("on", "off"):
        monkeypatch.setattr(sys, "argv", [*command, choice])
        with pytest.raises(SystemExit) as ending:
            main()
        assert not ending.value.code
        found[choice] = json.loads(capsys.readouterr().out)["reference"].endswith(" None.")
    assert found == {"on": False, "off": True}
    monkeypatch.setattr(sys, "argv", [*command, "maybe"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 2 and "'maybe' is neither on nor off" in capsys.readouterr().err


GENERATES = "{% if add_generation_prompt %}"
OFF = "{% if enable_thinking is defined and enable_thinking is false %}"
# What follows the prompt in the manner of Qwen3, Qwen3.5, DeepSeek-R1, and of models told in words not to think.
MANNERS = {
    "on request": GENERATES + OFF + "<think>\n\n</think>\n\n{% endif %}{% endif %}",
    "opened": GENERATES + "<think>\n" + OFF + "{{ '\\n' }}</think>\n\n{% endif %}{% endif %}",
    "always": GENERATES + "<think>\n{% endif %}",
    "in words": OFF + "/no_think{% endif %}",
    "by itself": "{% if '</think>' in messages[-1].content %}{% endif %}",
}


@pytest.mark.parametrize("manner", ["on request", "opened", "always"])
@pytest.mark.parametrize("choice", [None, True, False])
def test_what_is_measured_is_the_reply_after_an_empty_thought(
    manner: str, choice: bool | None, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    asked = [user("Why?")]
    plain = render(tokenizer, asked)
    tokenizer.chat_template = str(tokenizer.chat_template) + MANNERS[manner]
    if manner != "always":
        choose_thinking(tokenizer, choice)
    assert render_to_reply(tokenizer, asked) == f"{plain}<think>\n\n</think>\n\n"
    assert closes_thoughts(tokenizer, asked)
    pair = ContrastPair(asked, [user("Who?")], unwanted="Sorry", wanted="Yes")
    ids = tokenizer(f"{plain}<think>\n\n</think>\n\n", add_special_tokens=False)["input_ids"]
    assert encode_pair(tokenizer, pair).reference == ids


@pytest.mark.parametrize("manner", ["in words", "by itself"])
def test_a_template_without_an_empty_thought_is_rendered_as_it_is_and_told_of(
    manner: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    asked = [user("Why?")]
    assert closes_thoughts(tokenizer, asked) is None, "it knows of no thoughts"
    tokenizer.chat_template = str(tokenizer.chat_template) + MANNERS[manner]
    assert render_to_reply(tokenizer, asked) == render(tokenizer, asked)
    assert closes_thoughts(tokenizer, asked) is False
    assert "how the thought begins" in reply_measured(False).detail and not reply_measured(False).stops
    if manner == "in words":
        assert closes_thoughts(choose_thinking(tokenizer, False), asked), "told not to think: this is the reply"
