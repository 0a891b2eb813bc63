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


def masked_keys(value: Any, key: str = "") -> list[str]:
    """The keys, dotted, whose values `masked` changes."""
    if isinstance(value, dict):
        return [found for name, one in value.items() for found in masked_keys(one, f"{key}.{name}".strip("."))]
    if isinstance(value, list | tuple):
        return [found for one in value for found in masked_keys(one, key)]
    name = key.rpartition(".")[2]
    return [key] if masked({name: value}) != {name: value} else []
