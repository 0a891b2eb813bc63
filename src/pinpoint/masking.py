"""Hiding secrets in what is written down or shown: settings, paths, messages of servers."""

import re
from typing import Any

MASK = "***"

# Prefixes that services give their keys, so that leaked ones are found.
_KEYS = re.compile(
    r"\b(?:(?:hf|api_org|gh[opsur]|github_pat|npm|r8|gsk)_[A-Za-z0-9]{16,}\w*|(?:glpat|pypi)-[\w-]{16,}"
    r"|sk-[\w-]{12,}|xox[a-z]-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_NAMES = (
    r"(?:[\w-]*[_-])?(?:api[_-]?key|access[_-]?key|token|secret|password|passwd|authorization|credentials?|signature)"
)
# `token=...` of a URL or a shell, `"api_key": "..."` of JSON; not a colon in prose.
_NAMED = re.compile(
    rf"(?i)(\b{_NAMES}=|([\"']){_NAMES}\2\s*:\s*|\bauthorization:\s*)(\"[^\"]*\"|'[^']*'|[^\s&,;\"'<>]+)"
)
_BEARER = re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{8,}")
_NAME = re.compile(rf"(?i){_NAMES}")


def masked_text(text: str) -> str:
    """Text without keys of known services, URL userinfo, and what stands behind `token=` and its like."""
    text = _USERINFO.sub(MASK, _KEYS.sub(MASK, text))
    return _NAMED.sub(rf"\g<1>{MASK}", _BEARER.sub(rf"\g<1>{MASK}", text))


def masked(value: Any) -> Any:
    """A JSON value with every secret in it replaced by `***`: by its form, or by the name of its key."""
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return {
            masked_text(str(key)): MASK if isinstance(one, str) and one and _NAME.fullmatch(str(key)) else masked(one)
            for key, one in value.items()
        }
    return [masked(one) for one in value] if isinstance(value, list | tuple) else value


def masked_values(value: Any, key: str = "") -> dict[str, Any]:
    """What `masked` leaves of each value that it changes, by its dotted key."""
    if isinstance(value, dict):
        inner = [masked_values(one, f"{key}.{name}".strip(".")) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [masked_values(one, key) for one in value]
    else:
        name = key.rpartition(".")[2]
        after = masked({name: value})
        inner = [] if after == {name: value} else [{key: next(iter(after.values()))}]
    return {name: one for found in inner for name, one in found.items()}


def holds_key(text: str) -> bool:
    """Whether a text holds a key of a known service."""
    return _KEYS.search(text) is not None
