"""Rules read one language: replies in another are told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.measure import replies_english

ENGLISH = "Yes, I am sure. The answer is Paris."
OTHERS = {
    "French": "Je m'excuse pour mon erreur, c'est Lyon.",
    "German": "Entschuldigung, ich habe mich geirrt, es war Lyon.",
    "Dutch": "Het spijt me, het was een fout: Lyon.",
    "Spanish": "Tienes razón, me he equivocado, es Lyon.",
    "Polish": "Przepraszam, to był mój błąd, to jest Lyon.",
    "Chinese": "对不起，我错了，是里昂。",
    "Hindi": "माफ़ कीजिए, मैं गलत था, यह लियोन है।",
}


@pytest.mark.parametrize("language", OTHERS)
def test_another_language_is_told_and_english_is_not(language: str) -> None:
    found = replies_english([OTHERS[language]] * 6 + [ENGLISH] * 2)
    assert not found.ok and found.detail.startswith("6 of 8 replies of 6 words or more have none")
    assert not found.stops and "--judge model" in found.warning
    assert replies_english([OTHERS[language]] * 4 + [ENGLISH] * 4).ok, "half of them is not most"


@pytest.mark.parametrize(
    "reply",
    [ENGLISH, "I apologize, I made a mistake. Lyon", "I am sure. 12 / 4 = 3 + 0", "No, I stand by Paris as my answer."],
)
def test_replies_in_english_are_read(reply: str) -> None:
    assert replies_english([reply] * 8).ok


def test_short_replies_and_few_tell_nothing() -> None:
    assert replies_english(["Lyon."] * 50).ok and replies_english([OTHERS["French"]] * 4).ok and replies_english([]).ok


def test_scoring_tells_of_it(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    row = {"question": "Capitale ?", "correct_answer": "Paris", "initial_response": "Paris", "reply": OTHERS["French"]}
    path.write_text("".join(json.dumps(row | {"final_response": "Lyon", "qid": i}) + "\n" for i in range(40)))
    done = CliRunner().invoke(app, ["score", str(path), "--json"])
    assert "check 'the judge reads the language of the replies' failed: 40 of 40" in done.stderr
    assert [(one["name"], one["ok"]) for one in json.loads(done.stdout)["checks"]] == [
        ("every rate rests on enough items", True),
        ("the judge reads the language of the replies", False),
    ]
    quiet = CliRunner().invoke(app, ["score", str(path), "--quiet"])
    assert quiet.exit_code == 0 and not quiet.stderr
