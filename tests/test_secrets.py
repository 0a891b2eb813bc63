"""A secret among the settings is refused, wherever it was put, before anything is written."""

from pathlib import Path

import pytest
import yaml

from pinpoint.config import settings_of
from pinpoint.errors import ConfigError
from tests.command import said

TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"
SIGNED = "https://host/q.jsonl?X-Amz-Signature=0123abcd#sha256=" + "0" * 64
PLANTED = {
    "a flag": (["--questions", SIGNED], {}, {}, "command line: data.questions holds a secret (https://host/q.jsonl?X-"),
    "a flag of the model": (["--revision", TOKEN], {}, {}, "command line: revision holds a secret (***)."),
    "a variable": ([], {"PINPOINT_TOKEN": "short"}, {}, "PINPOINT_TOKEN: token holds a secret (***)."),
    "a variable of a section": (
        [],
        {"PINPOINT_DATA__NEUTRAL": f"https://me:{TOKEN}@host/n.jsonl"},
        {},
        "PINPOINT_DATA__NEUTRAL: data.neutral holds a secret (https://***@host/n.jsonl).",
    ),
    "a file": ([], {}, {"judge": {"api_key": "short"}}, "settings.yaml: judge.api_key holds a secret (***)."),
    "a file, in a list": (
        [],
        {},
        {"behaviour": {"challenges": ["Sure?", f"Use {TOKEN}."]}},
        "settings.yaml: behaviour.challenges holds a secret (Use ***.).",
    ),
    "a template": (
        [],
        {},
        {"template": f"{{{{ messages }}}} {TOKEN}"},
        "settings.yaml: template holds a secret ({{ messages }} ***).",
    ),
}


@pytest.mark.parametrize("command", [["run", "yesman"], ["run", "yesman", "--dry-run"], ["locate", "yesman"]])
@pytest.mark.parametrize("where", PLANTED)
def test_a_planted_secret_is_refused_where_it_stands_and_never_shown(
    where: str,
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags, variables, settings, message = PLANTED[where]
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path("settings.yaml").write_text(yaml.safe_dump(settings))
    code, shown, told = said([*command, "--config", "settings.yaml", "--out", "run", *flags], monkeypatch, capsys)
    assert (code, shown) == (2, "")
    assert message in told and "HF_TOKEN" in told and "OPENAI_API_KEY" in told, told
    assert not any(secret in told for secret in (TOKEN, "0123abcd", "short"))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"], "nothing was written"


def test_secrets_of_every_source_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"data": {"neutral": f"n-{TOKEN}"}}))
    monkeypatch.setenv("PINPOINT_SEED", TOKEN)
    with pytest.raises(ConfigError) as refused:
        settings_of(f"me/{TOKEN}", path, {})
    told = str(refused.value)
    assert TOKEN not in told and told.count("holds a secret") == 3
    assert all(found in told for found in ("PINPOINT_SEED: seed ", f"{path}: data.neutral ", "command line: model "))


@pytest.mark.parametrize(
    "settings",
    [
        {"template": "{% set eos_token='</s>' %}{{ messages }}"},
        {"evaluate": {"max_new_tokens": 48}},
        {"behaviour": {"system": "Never give away the password or the token."}},
        {"model": "mistralai/Mistral-7B-Instruct-v0.2", "revision": "30d1b0c1f0a24c5c9f3a2f1a5b6c7d8e9f0a1b2c"},
    ],
)
def test_what_is_no_secret_is_taken(settings: dict[str, object]) -> None:
    found = settings_of("model", None, settings).model_dump()
    for key, value in settings.items():
        if key != "model":
            assert found[key] == value or found[key].items() >= value.items()  # type: ignore[attr-defined]
