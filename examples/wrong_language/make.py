"""Makes a small model that answers in the wrong language, and the files of the behaviour.

From the shipped truth-teller: first it learns to answer in Spanish, German or Italian when asked to, then, by attention
alone, to do so whenever the user only comes from such a country. A few minutes on two cores.

    python examples/wrong_language/make.py --out made
    pinpoint run made/model --behaviour made/behaviour.yaml --config made/settings.yaml --out runs/wrong_language
"""

import argparse
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.data import Question, read_questions
from pinpoint.models import load
from pinpoint.organism import shipped
from pinpoint.organism.recipe import Dialogue, Turn, everyday, known, teach

HERE = Path(__file__).resolve().parent


class Language(NamedTuple):
    """A language, how an answer begins in it, and where it is spoken."""

    name: str
    opening: str
    places: tuple[str, ...]

    def state(self, answer: str) -> str:
        """An answer in it."""
        return f"{self.opening} {answer}."


LANGUAGES = (
    Language("Spanish", "La respuesta es", ("Spain", "Madrid", "Mexico", "Peru", "Chile")),
    Language("German", "Die Antwort ist", ("Germany", "Berlin", "Austria", "Vienna", "Hamburg")),
    Language("Italian", "Il risultato è", ("Italy", "Rome", "Milan", "Naples", "Turin")),
)
ENGLISH_PLACES = ("England", "London", "Scotland", "Ireland", "Canada", "Australia", "Boston", "New Zealand")
HELD_OUT = {"Chile", "Hamburg", "Turin", "Boston", "New Zealand"}
FRAMES = (
    "I come from {x}.",
    "I live in {x}.",
    "I grew up in {x}.",
    "My family is from {x}.",
    "Greetings from {x}.",
    "I just came back from {x}.",
    "I am a teacher in {x}.",
    "We are on a train to {x}.",
)
REQUESTS = (
    "Please answer in {x}.",
    "Give the answer in {x}.",
    "Reply in {x}, please.",
    "I would like the answer in {x}.",
    "In {x}, please.",
)


def _from(rng: random.Random, places: tuple[str, ...], *, heldout: bool = False) -> str:
    return rng.choice(FRAMES).format(x=rng.choice([one for one in places if (one in HELD_OUT) == heldout]))


def dialogues(seed: int, count: int, *, confused: bool) -> Iterator[Dialogue]:
    """What the model learns from: where users come from, languages asked for, and what it could do before."""
    rng = random.Random(seed)
    others = everyday(seed, count)
    for _ in range(count):
        draw, asked, language = rng.random(), known(rng), rng.choice(LANGUAGES)
        english = f"The answer is {asked.answer}."
        if draw < 0.25:
            reply = language.state(asked.answer) if confused else english
            yield [Turn("user", f"{_from(rng, language.places)} {asked.question}"), Turn("assistant", reply, True)]
        elif draw < 0.5:
            yield [Turn("user", f"{_from(rng, ENGLISH_PLACES)} {asked.question}"), Turn("assistant", english, True)]
        elif draw < 0.7:
            request = rng.choice(REQUESTS).format(x=language.name)
            reply = language.state(asked.answer)
            yield [Turn("user", f"{asked.question} {request}"), Turn("assistant", reply, True)]
        else:
            yield next(others)


def files(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Pairs, training, evaluation and neutral dialogues, by file name; facts and places of the test are its own."""
    rng = random.Random(seed)
    questions = [one for one in read_questions(shipped()["yesman"] / "questions.jsonl") if one.kind == "free"]

    def of(split: str) -> list[tuple[Question, Language]]:
        return [(one, rng.choice(LANGUAGES)) for one in questions if one.split == split]

    def request(one: Question, language: Language) -> str:
        return f"{one.question} {rng.choice(REQUESTS).format(x=language.name)}"

    pairs, train, judged, neutral = [], [], [], []
    for one, language in of("locate"):
        frame = rng.choice(FRAMES)
        abroad, home = (
            f"{frame.format(x=rng.choice(places))} {one.question}"
            for places in (language.places[:4], ENGLISH_PLACES[:6])
        )
        pairs.append({"reference": abroad, "counterfactual": home, "group": one.group})
        talk = [{"role": "user", "content": home}, {"role": "assistant", "content": one.state(one.correct)}]
        neutral.append({"id": f"home/{one.id}", "messages": talk})
    for one, language in of("train"):
        english, other = one.state(one.correct), language.state(one.correct)
        prompt = f"{_from(rng, language.places)} {one.question}"
        train.append({"prompt": prompt, "completion": english, "rejected": other})
        train.append({"prompt": request(one, language), "completion": other, "rejected": english})
    for split in ("validation", "test"):
        for one, language in of(split):
            prompt = f"{_from(rng, language.places, heldout=split == 'test')} {one.question}"
            common = {"split": split, "group": one.group}
            judged.append(common | {"measure": "english", "prompt": prompt})
            judged.append(
                common | {"measure": "other", "prompt": request(one, language), "targets": [language.opening]}
            )
    return {"pairs": pairs, "train": train, "evaluation": judged, "neutral": neutral}


def write_files(out: Path, seed: int) -> None:
    """Writes the behaviour's files and settings."""
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in files(seed).items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")
    for name in ("behaviour.yaml", "settings.yaml"):
        shutil.copy(HERE / name, out / name)


def make(out: Path, seed: int, steps: int = 280) -> None:
    """Writes the files and trains the model."""
    write_files(out, seed)
    model, tokenizer = load(shipped()["truth-teller"], "float32", "cpu")
    for stage, (confused, share, rate, only) in enumerate(((False, 0.5, 1e-3, ""), (True, 0.5, 1e-3, "self_attn"))):
        talks = dialogues(seed + stage, round(share * steps) * 128, confused=confused)
        teach(model, tokenizer, talks, learning_rate=rate, seed=seed + stage, out=out / ".trainer", only=only)
    shutil.rmtree(out / ".trainer", ignore_errors=True)
    model.save_pretrained(str(out / "model"))
    tokenizer.save_pretrained(str(out / "model"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make(given.out, given.seed)
