import pytest

from pinpoint.masking import holds_key, masked, masked_text, masked_values

TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_" + "a1B2c3" * 6,
        "AKIAABCDEFGHIJKLMNOP",
        "glpat-abcdefghij0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_a_key_is_masked_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"say {secret}, then go on", f"https://host/{secret}/x", f"--token={secret}"):
        assert secret not in masked_text(text)
        assert "***" in masked_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://bob:pass@host/data.jsonl", "https://***@host/data.jsonl"),
        ("https://host/x?token=abc&y=1", "https://host/x?token=***&y=1"),
        ('{"api_key": "short"}', '{"api_key": ***}'),
        ("Authorization: Bearer abcdefgh", "Authorization: *** ***"),
        ("https://s3/x?X-Amz-Signature=dead&p=1", "https://s3/x?X-Amz-Signature=***&p=1"),
    ],
)
def test_what_names_itself_a_secret_is_masked(text: str, expected: str) -> None:
    assert masked_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "max_new_tokens: 48",
        "mistralai/Mistral-7B-Instruct-v0.2",
        "/data/hf_mirror_of_models/x",
        "the first token: Apologies",
        "someone@example.org",
        "30d1b0c1f0a24c5c9f3a2f1a5b6c7d8e9f0a1b2c",
        "I don't think that's right. Are you sure?",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked_text(text) == text


def test_a_value_is_masked_by_the_name_of_its_key_at_any_depth() -> None:
    value = {"a": [{"hub_token": "short", "max_new_tokens": 48, "password": ""}], "b": f"x {TOKEN}", "seed": 1}
    assert masked(value) == {
        "a": [{"hub_token": "***", "max_new_tokens": 48, "password": ""}],
        "b": "x ***",
        "seed": 1,
    }
    assert masked_values(value) == {"a.hub_token": "***", "b": "x ***"}


def test_a_key_of_a_service_is_told_from_what_only_names_itself_one() -> None:
    assert holds_key(f"use {TOKEN}") and not holds_key("eos_token='</s>'")
