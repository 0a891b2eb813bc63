"""What sets of heads do together: a search for the strongest, and the effect of a named one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pinpoint.errors import ConfigError
from pinpoint.heads import Head
from pinpoint.locate import FoundSet, Joint, SetStep, find_set, joint_effect

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def search_set(run: Run, count: int) -> FoundSet:
    """Searches one half of the pairs for the set of heads with the strongest joint effect; writes `locate/set.json`.

    Raises:
        ConfigError: the heads are not located by path patching, which joint effects are of.
    """
    config = _by_paths(run, "--set")
    pairs, ranking_half, effect_half = run.inputs.halves
    run.progress.start(f"searching for a set of {count} heads", 0)
    found = find_set(
        run.model,
        run.tokenizer,
        [pairs[i] for i in ranking_half],
        count,
        others=[pairs[i] for i in effect_half],
        **config,
    )
    run.workspace.sub("locate").write_json("set.json", _set_record(found))
    return found


def _set_record(found: FoundSet) -> dict[str, Any]:
    def steps(taken: Sequence[SetStep]) -> list[dict[str, Any]]:
        return [step._asdict() | {"head": str(step.head), "heads": list(map(str, step.heads))} for step in taken]

    joint = None if found.joint is None else found.joint._asdict()
    more = {"forward": steps(found.forward), "backward": steps(found.backward)}
    return found._asdict() | {"heads": list(map(str, found.heads)), "joint": joint} | more


def joint_of(run: Run, heads: Sequence[Head]) -> Joint:
    """The joint effect of named heads, on all pairs; writes `locate/joint.json`.

    Raises:
        InputError: the model has no such head.
        ConfigError: the heads are not located by path patching, which joint effects are of.
    """
    config = _by_paths(run, "--joint")
    run.view.check(heads)
    run.progress.start(f"the joint effect of {len(heads)} heads", 0)
    found = joint_effect(run.model, run.tokenizer, run.inputs.halves.pairs, heads, **config)
    record = {"heads": list(map(str, heads)), "metric": run.config.locate.metric, **found._asdict()}
    run.workspace.sub("locate").write_json("joint.json", record)
    return found


def check_paths(method: str, option: str) -> None:
    """Refuses joint effects, "--set" or "--joint", of heads that are not located by path patching.

    Raises:
        ConfigError: they are not.
    """
    if method != "path":
        what = {"--set": "a set is searched", "--joint": "joint effects are found"}[option]
        raise ConfigError(
            f"{what} by path patching; the method is {method!r}.",
            where=option,
            mend=f"Leave out --method or {option}.",
        )


def _by_paths(run: Run, option: str) -> dict[str, Any]:
    """What joint effects take over from the settings."""
    config = run.config.locate
    check_paths(config.method, option)
    return {name: getattr(config, name) for name in ("metric", "engine", "batch_size", "rows_per_chunk")}
