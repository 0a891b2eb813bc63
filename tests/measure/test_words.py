"""Which words count as one, and where an answer stands in a text."""

import pytest

from pinpoint.measure._words import mentions, same, singular, spelled, spellings, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Twenty-one of 1,072 men, not −5.", ["21", "of", "1072", "men", "not", "-5"]),
        ("ninety nine and thirty", ["99", "and", "30"]),
        ("seventeen", ["17"]),
        ("Dubček's 10-7", ["dubceks", "10", "7"]),
        ("seventyfold", ["seventyfold"]),
        ("C# or C++, O+ blood, 2+2", ["c#", "or", "c++", "o+", "blood", "2", "2"]),
        ("रानी, राना", ["रानी", "राना"]),
        ("東京です。서울은 Tokyo", ["東京です", "서울은", "tokyo"]),
        ("Ångström й Ωραία كِتاب", ["angstrom", "и", "ωραια", "كتاب"]),
        ("ガ", ["ガ"]),
    ],
)
def test_words_have_no_dress_and_numbers_are_digits(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_singulars() -> None:
    plural = "bones cherries glasses boxes buses Reims gas class".casefold().split()
    assert [singular(word) for word in plural] == ["bone", "cherry", "glass", "box", "buse", "reim", "gas", "class"]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("bone", "bones"),
        ("smoking", "smoke"),
        ("photographer", "photography"),
        ("ceasar", "caesar"),
        ("richthofen", "richtofen"),
        ("korean", "korea"),
        ("1963", "1960s"),
        ("1960s", "1960s"),
    ],
)
def test_slips_forms_and_a_year_of_its_decade_are_the_same(said: str, word: str) -> None:
    assert same(said, word)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("austria", "australia"),
        ("iran", "iraq"),
        ("hardy", "harding"),
        ("brown", "browning"),
        ("1960s", "1963"),
        ("1970", "1960s"),
        ("19601", "1960s"),
        ("1234567", "1234576"),
        ("marital", "martian"),
    ],
)
def test_other_words_are_not(said: str, word: str) -> None:
    assert not same(said, word)


def test_an_answer_is_found_as_often_as_it_stands_there_whatever_light_words_are_between() -> None:
    tokens = words("A pilgrimage to the holy city of Mecca, or Mecca: pilgrimages. Mecca is far from any pilgrimage.")
    found = [tokens[span.start : span.end] for span in mentions(tokens, spellings(["Pilgrimage to Mecca"]))]
    assert found == [["pilgrimage", "to", "the", "holy", "city", "of", "mecca"], ["mecca", "pilgrimages"]]


def test_of_two_spellings_either_is_found() -> None:
    assert [span.start for span in mentions(words("a hare, a rabbit"), spellings(["rabbit or hare"]))] == [1, 3]


def test_an_answer_without_a_word_is_named_where_its_sign_stands_alone() -> None:
    signs = ["+", "🍎"]
    tokens = words(spelled('It is "+", not 2+2 or 🍌; I ate a 🍎.', signs))
    assert [span.start for span in mentions(tokens, spellings(signs))] == [2, 10]
    assert spelled("a + b", ["plus"]) == "a + b" and spellings(["", " "]) == []


def test_an_answer_in_a_script_without_spaces_is_a_word_where_it_stands_whole() -> None:
    answers = ["東京", "Tシャツ (衣)", "서울/부산"]
    assert words(spelled("答えは東京です", answers)) == ["答えは", "東京", "です"]
    assert words(spelled("赤いtシャツと서울은", answers)) == ["赤い", "t", "シャツ", "と", "서울", "은"]
    assert words(spelled("京東と東の京", answers)) == ["京東と東の京"], "its characters elsewhere are other words"
