"""General ability of a run's models: base, live adapter, merged."""

from typing import Any, cast

from peft import PeftModel
from transformers import PreTrainedModel

from pinpoint.evaluate import Ability, Tasks, capability
from pinpoint.models import load
from pinpoint.pipeline._run import Run

_RESULT = "capability.json"


def capability_run(run: Run, tasks: Tasks, limit: int | None) -> dict[str, Any]:
    """Scores the base, and where the run has tuned heads the live adapter and the merged model; writes the scores.

    The merged model is what is handed on, so its scores count; the adapter's are there to be held against them.

    Args:
        run: the run.
        tasks: what `find_tasks` returns.
        limit: items of each task at the most.
    """
    found: dict[str, list[Ability]] = {}

    def score(name: str, model: PreTrainedModel) -> None:
        run.progress.say(f"general abilities of {name}: {', '.join(tasks.names)}")
        size, seed = run.config.evaluate.batch_size, run.config.seed
        found[name] = capability(model, run.tokenizer, tasks, limit=limit, batch_size=size, seed=seed)

    if not run.workspace.path("adapter").is_dir():
        score("base", run.model)
    else:
        live = PeftModel.from_pretrained(run.model, str(run.workspace.path("adapter"))).eval()
        model = cast(PreTrainedModel, live)  # a PeftModel hands on whatever is asked of it to the model it wraps
        with live.disable_adapter():
            score("base", model)
        score("adapter", model)
        score("merged", load(run.workspace.path("merged"), run.config.dtype, run.config.device).model)
    result = {"limit": limit, "models": {name: [one._asdict() for one in scores] for name, scores in found.items()}}
    run.workspace.write_json(_RESULT, result)
    return result
