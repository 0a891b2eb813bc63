"""Overlaps between sets: by text whatever its case and marks, by runs of words, and not by formulas."""

import random

import pytest

from pinpoint.data import Corpus, Overlap, Passage, same_text


def passages(*texts: str) -> list[Passage]:
    return [Passage(f"f:{i}", str(i), text) for i, text in enumerate(texts, 1)]


def overlaps(first: list[str], second: list[str]) -> list[Overlap]:
    corpus = Corpus(passages(*first, *second))
    return corpus.overlaps(range(len(first)), range(len(first), len(first) + len(second)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What is  it?", "what is it", True),
        ("It’s Dubček’s ﬁle.", "its DUBČEK'S file", True),
        ("What is it?", "What was it?", False),
        ("Compute 84 - 37.", "Compute 84 + 37.", False),
        ("Compute 84 - 37.", "compute (84 - 37)", True),
        ("日本の首都はどこですか", "日本の首都は どこですか?", True),
        ("भारत की रानी", "भारत की राना", False),
        ("What is C#?", "What is C?", False),
        ("GPT東京", "GPT 東京", True),
    ],
)
def test_texts_are_compared_without_case_and_marks_but_with_the_signs_of_sums(one: str, other: str, same: bool) -> None:
    assert (same_text(one) == same_text(other)) is same
    assert bool(overlaps([one], [other])) is same


PASSAGE = "the treaty was signed by both sides after a long winter in the old town hall"


def test_thirteen_words_in_common_are_an_overlap() -> None:
    [found] = overlaps([f"Read: {PASSAGE}. Who won? Of all the sides."], [f"Who won? {PASSAGE}."])
    assert (found.first.place, found.second.place) == ("f:1", "f:2")
    assert found.words == " ".join(PASSAGE.split()[:13])


def test_a_template_with_another_subject_is_another_question_and_a_passage_is_the_same_whatever_is_asked() -> None:
    template = "i am a teacher in italy, can you please tell me what the capital of {} is?"
    assert not overlaps([template.format("peru")], [template.format("chile")])
    assert overlaps([template.format("peru")], [f"Hello! {template.format('Peru')}"])
    passage = " ".join(f"word{i}" for i in range(60))
    assert overlaps([f"{passage}. Who won?"], [f"{passage}. What did the other side lose, and to whom?"])


def test_a_short_question_mostly_in_another_is_an_overlap_either_way() -> None:
    short = "who was the first person to walk on the moon"
    longer = f"please tell me {short} and in which year of the last century it was"
    assert overlaps([longer], [short]) and overlaps([short], [longer])
    assert not overlaps([longer], ["who was the first person to walk over the south pole"])
    assert not overlaps(["Who was the first person?"], ["Who was the first person to fly?"]), "too short to tell"


def test_a_formula_that_many_groups_use_is_no_overlap() -> None:
    formula = "which one of the following four statements about the history of this place is true:"
    texts = [f"{formula} {chr(97 + i) * 3}" for i in range(12)]
    assert not overlaps(texts[:6], texts[6:])
    copied = [f"so: {formula} aaa"]
    assert overlaps(copied, texts[:9]), "ten groups are few enough to be copies"
    assert not overlaps(copied, texts[1:])


def test_components_are_those_of_shared_words_and_groups() -> None:
    apart, other = "what is the capital of peru", "what is the capital of chile"
    rows = passages(f"{PASSAGE} one?", apart, f"{PASSAGE} two?", other, "WHAT is the capital of Peru?")
    rows.append(Passage("f:9", rows[3].group, "and its largest town"))
    labels = Corpus(rows).components()
    assert labels[0] == labels[2] and labels[1] == labels[4] and labels[3] == labels[5]
    assert len(set(labels)) == 3
    assert Corpus([]).components() == []
    assert Corpus(passages("", "?")).overlaps([0], [1]), "texts without a word are the same text"


def test_planted_copies_are_found_among_many(seed: int = 0) -> None:
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(500)]
    texts = [" ".join(rng.choices(words, k=rng.randrange(5, 40))) for _ in range(2000)]
    copies = {1000 + i: i for i in range(0, 300, 7)}
    for copy, original in copies.items():
        texts[copy] = texts[original].upper().replace(" ", ", ")
    found = Corpus(passages(*texts)).overlaps(range(1000), range(1000, 2000))
    assert {(one.first.place, one.second.place) for one in found} == {
        (f"f:{original + 1}", f"f:{copy + 1}") for copy, original in copies.items()
    }


def test_what_asks_one_thing_is_the_same_in_whatever_words() -> None:
    rows = [
        Passage("f:1", "1", "Capital of Peru?", ("a", "peru")),
        Passage("f:2", "2", "Peru has which capital?", ("peru", "b")),
    ]
    [found] = Corpus(rows).overlaps([0], [1])
    assert found.words == "peru"
    assert not Corpus([one._replace(asks=()) for one in rows]).overlaps([0], [1])
