"""The methods of `pinpoint compare`, each as a model to be evaluated and how it is served."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel, set_seed

from pinpoint.behaviours import PreferenceRow
from pinpoint.compare import Tried, activation_addition, better, climb, head_intervention
from pinpoint.config import RunConfig, TuneConfig
from pinpoint.data import Message
from pinpoint.heads import Head
from pinpoint.interventions import Steering
from pinpoint.locate import locate_nodes
from pinpoint.measure import PLAIN, Chat, Deployment, Kept, anchor_rows, matched_order, random_order
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel, context_of, headed
from pinpoint.peak_memory import PeakMemory
from pinpoint.pipeline._explaining import explained
from pinpoint.pipeline._validation import validation_check
from pinpoint.pipeline._wrong_answers import trained
from pinpoint.storage import storing
from pinpoint.tune import (
    Anchor,
    Fitted,
    Found,
    Row,
    attach,
    attach_head_lora,
    attach_lora,
    default_projections,
    estimates_of,
    fit,
    head_slices,
    reaches,
    values_of,
)

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

LADDER = 10**0.5
CAA_START, ITI_START = 1.0, 5.0
ANCHOR = 1.0
FURTHER_STRENGTHS = 2
"""Beside `compare.tries`, at each place: a strength takes no training."""
SHOTS = 4
_FULL_SHARE = 0.03
"""Of the adapters' first learning rate, full fine-tuning's where the settings have none."""
_AS_RUN = ("pinpoint", "heads_mlp", "random", "matched", "bottom", "pinpoint_own")
"""What trains head slices by the loss that `pinpoint run` has, and so with its anchor."""


def first_rate(config: RunConfig, method: str) -> float:
    """The learning rate at which a method's search begins: that of the settings, the same for all adapters."""
    if method != "full":
        return config.tune.learning_rate
    return config.full.learning_rate if config.full else _FULL_SHARE * config.tune.learning_rate


class Training(NamedTuple):
    """What training a method's model took, at the setting that was chosen.

    Attributes:
        trainable: parameters.
        seconds: without the checks.
        steps: of the optimiser.
        loss_tokens: tokens that took loss, as often as they did; of preference rows, both replies'.
        peak: the most memory that was held from the start to the last step.
    """

    trainable: int
    seconds: float
    steps: int
    loss_tokens: int
    peak: PeakMemory


class Contestant(NamedTuple):
    """A model that a method made, how it is served, and what making it took."""

    model: PreTrainedModel
    deployment: Deployment
    setting: dict[str, Any]
    searched: list[Tried]
    training: Training | None


def _keep(base: PreTrainedModel, model: PreTrainedModel, file: Path) -> None:
    """Writes the weights of a model that are not its base's, in the base's precision."""
    before, changed = dict(base.named_parameters()), {}
    for name, weight in model.named_parameters():
        now = weight.detach().to(before[name].dtype)
        if not torch.equal(now, before[name]):
            changed[name] = now.cpu().contiguous()
    with storing(file):
        save_file(changed, file)


@torch.no_grad()
def _with_kept(base: PreTrainedModel, file: Path) -> PreTrainedModel:
    """A copy of the base with the weights that were kept."""
    model = copy.deepcopy(base)
    weights = dict(model.named_parameters())
    with storing(file, "read"), safe_open(file, framework="pt") as kept:
        for name in kept.keys():  # noqa: SIM118 -- it is no mapping
            weights[name].copy_(kept.get_tensor(name))
    return model


def _places(view: HeadedModel, method: str, tries: int) -> list[int]:
    """Where steering is tried: layers, or numbers of heads; of one try, the middle layer or the smaller number."""
    if method == "caa":
        usual, *others = (round(share * (view.n_layers - 1)) for share in (0.5, 0.25, 0.75))
    else:
        total = len(list(view.heads()))
        usual, *others = max(1, total // 20), max(1, total // 5)
    return [usual] if tries == 1 else sorted({usual, *others})


@dataclass
class Workshop:
    """Makes every method's model from one run: the same data, the same number of tokens, the same search.

    Attributes:
        run: the run that the heads, the questions and the settings come from.
        heads: the located heads.
        kept: what is known of the base.
    """

    run: Run
    heads: list[Head]
    kept: Kept = field(default_factory=Kept)

    def make(self, method: str, draw: int) -> Contestant:
        """Trains, prompts or steers the base by one method."""
        if method == "base":
            return Contestant(self.run.model, PLAIN, {}, [], None)
        if method in ("few_shot", "system_prompt"):
            return Contestant(self.run.model, self._prompted(method), {}, [], None)
        if method in ("caa", "iti"):
            return self._steered(method)
        return self._trained(method, draw)

    # Training.

    @cached_property
    def _train(self) -> list[Any]:
        return trained(self.run)

    @cached_property
    def _explained(self) -> dict[str, str]:
        return explained(self.run)

    @cached_property
    def _preferences(self) -> list[PreferenceRow]:
        return self.run.inputs.behaviour.preferences(self._train, self.run.config.seed, self._explained)

    def heads_of(self, method: str, draw: int) -> list[Head]:
        """The heads that a method trains."""
        rng = random.Random(f"{self.run.config.seed}/{method}/{draw}")
        view, count = self.run.view, len(self.heads)
        if method == "random":
            return list(random_order(list(view.heads()), count, rng))
        if method == "matched":
            return list(matched_order(self.heads, view.n_heads, rng))
        return list(self.run.ranking()[-count:]) if method == "bottom" else self.heads

    @cached_property
    def top_mlp(self) -> int:
        """The layer whose MLP has the most negative direct effect, on the pairs."""
        run = self.run
        config = run.config.locate
        scores = locate_nodes(
            run.model,
            run.tokenizer,
            run.inputs.halves.pairs,
            nodes=("mlps",),
            metric=config.metric,
            batch_size=config.batch_size,
            rows_per_chunk=config.rows_per_chunk,
            progress=run.progress,
        )
        return scores.top(1)[0].layer

    def _rows(self, method: str) -> Sequence[Row]:
        if method == "pinpoint_dpo":
            return self._preferences
        if method == "pinpoint_own":
            config = self.run.config
            at_once = BatchSize(config.evaluate.batch_size, "evaluate.batch_size")
            chat = Chat(self.run.model, self.run.tokenizer, at_once, config.evaluate.max_new_tokens)
            return self.run.inputs.behaviour.own_rows(self._train, chat, config.seed)
        return self.run.inputs.behaviour.rows(self._train, self.run.config.seed, self._explained)

    def _attach(self, method: str, draw: int, view: HeadedModel) -> Any:
        if method == "full":
            whole: Any = view.model.to(torch.float32)  # type: ignore[arg-type]
            return whole.requires_grad_(True)
        rank = self.run.config.compare.rank
        if method == "lora":
            return attach_lora(view, rank)
        projections = self.run.config.tune.projections or default_projections(view)
        slices = head_slices(view, self.heads_of(method, draw), projections)
        if method == "head_lora":
            return attach_head_lora(view, slices, rank)
        return attach(view, slices, list(view.feed_forward(self.top_mlp)) if method == "heads_mlp" else ())

    def _anchor(self, method: str) -> Anchor | None:
        run = self.run
        weight = ANCHOR if method == "pinpoint_anchored" else run.config.tune.anchor if method in _AS_RUN else 0.0
        if not weight:
            return None
        neutral = run.inputs.behaviour.neutral(self._train)
        return Anchor(anchor_rows(run.tokenizer, neutral, context_of(run.model)), weight)

    def _settings(self, rate: float) -> TuneConfig:
        tune = self.run.config.tune
        return tune.model_copy(
            update={
                "learning_rate": rate,
                # A schedule does not rise: at every rung it falls by as much.
                "end_learning_rate": tune.end_learning_rate * rate / tune.learning_rate,
                "epochs": self.run.config.compare.epochs,
                # One check, at the end: every method is trained on the same number of tokens.
                "check_every": 10**9,
                # Nor does one have less of them to compute.
                "cache_prefix": False,
            }
        )

    def _fit(self, method: str, draw: int, rate: float) -> tuple[PreTrainedModel, Fitted, PeakMemory]:
        run, config = self.run, self._settings(rate)
        # What a method is given at random, LoRA's first factor, must not hang on the methods that were made before it.
        set_seed(run.config.seed)
        rows, targets = self._rows(method), run.inputs.behaviour.targets(config)
        checked = validation_check(run, config, kept=self.kept)
        with PeakMemory(run.model.device) as most, tempfile.TemporaryDirectory() as folder:

            def check(model: PreTrainedModel) -> Found:
                most.stop()
                return checked(model)

            live = self._attach(method, draw, headed(copy.deepcopy(run.model)))
            fitted = fit(
                live,
                run.tokenizer,
                rows,
                config,
                check,
                seed=run.config.seed,
                out=Path(folder),
                progress=run.progress,
                what=f"{method} at {rate:.1e}",
                targets=targets,
                anchor=self._anchor(method),
            )
        return live if method == "full" else live.merge_and_unload(safe_merge=True), fitted, most

    def _trained(self, method: str, draw: int) -> Contestant:
        run = self.run
        best: list[tuple[Tried, Training]] = []
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "best.safetensors"

            def attempt(rate: float) -> Tried:
                model, fitted, most = self._fit(method, draw, rate)
                last = fitted.history[-1]
                tried = Tried(rate, last.metrics, fitted.reached, last.estimates)
                if not best or better(tried, best[0][0]):
                    best[:] = [(tried, Training(fitted.trainable, fitted.seconds, last.step, fitted.loss_tokens, most))]
                    # On disk, so that no model of an earlier attempt lies in memory beside the next one.
                    _keep(run.model, model, weights)
                return tried

            searched = climb(first_rate(run.config, method), LADDER, run.config.compare.tries, attempt)
            model = _with_kept(run.model, weights)
        tried, took = best[0]
        setting: dict[str, Any] = {"learning_rate": tried.setting}
        if method not in ("full", "lora"):
            setting["heads"] = [str(head) for head in self.heads_of(method, draw)]
        if method == "heads_mlp":
            setting["mlp"] = self.top_mlp
        return Contestant(model, PLAIN, setting, searched, took)

    # Without training.

    def _prompted(self, method: str) -> Deployment:
        if method == "system_prompt":
            return Deployment(system=self.run.inputs.behaviour.system_prompt)
        shots: list[Message] = []
        for row in self._preferences[:SHOTS]:
            shots += [message for message in row["prompt"] if message["role"] != "system"] + row["chosen"]
        return Deployment(shots=tuple(shots))

    def _steered(self, method: str) -> Contestant:
        run, view, size = self.run, self.run.view, self.run.config.evaluate.batch_size
        made: Callable[[int, float], Steering]
        # Both contrast showing the behaviour with not showing it: here, right answers given up or kept. With wrong
        # answers among them, what is wanted would be to stand firm in one half and to give in in the other.
        kept = run.inputs.behaviour.preferences(self._train, run.config.seed, self._explained, provoked_only=True)
        if method == "caa":
            made = activation_addition(view, run.tokenizer, kept, size)
        else:
            made = head_intervention(view, run.tokenizer, kept, size)
        start, best, tried = (CAA_START if method == "caa" else ITI_START), None, []
        tries = run.config.compare.tries
        for place in _places(view, method, tries):

            def attempt(strength: float, place: int = place) -> Tried:
                deployment = Deployment(steering=made(place, strength))
                found = validation_check(run, run.config.tune, deployment, self.kept)(run.model)
                measured, targets = values_of(found), run.inputs.behaviour.targets(run.config.tune)
                return Tried(strength, measured, reaches(measured, targets), estimates_of(found), place)

            searched = climb(start, 2.0, tries + FURTHER_STRENGTHS if tries > 1 else 1, attempt)
            tried += searched
            if best is None or better(searched[0], best[1]):
                best = (place, searched[0])
        assert best is not None
        setting = {"layer" if method == "caa" else "heads_steered": best[0], "strength": best[1].setting}
        deployment = Deployment(steering=made(best[0], best[1].setting))
        return Contestant(run.model, deployment, setting, tried, None)
