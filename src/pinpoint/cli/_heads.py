"""Which heads are tuned, and what of them, as typed."""

from pinpoint.errors import ConfigError, Problems


def parse_heads(text: str) -> int | str | list[str]:
    """Reads --heads.

    Raises:
        ConfigError: it is neither a number, `auto`, `validation` nor names of heads.
    """
    from pinpoint.nodes import head_or_group

    if text in ("auto", "validation"):
        return text
    if text.isascii() and text.isdigit() and len(text) < 7:
        return int(text)
    if not text.strip():
        raise ConfigError("is empty.", where="--heads", mend="Give a number, auto, validation, or names: L3.H1,L5.H0.")
    problems, heads = Problems(), list[str]()
    for name in text.split(","):
        with problems.kept():
            heads.append(str(head_or_group(name)))
    problems.tell()
    return heads


def parse_projections(text: str) -> str:
    """Reads --projections.

    Raises:
        ConfigError: it is none of what can be trained.
    """
    if text not in ("q,o", "q,k,v,o"):
        raise ConfigError(f"{text!r} is neither q,o nor q,k,v,o.", where="--projections", mend="Give one of them.")
    return text
