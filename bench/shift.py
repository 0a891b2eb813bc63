"""Where the KL of tuned models comes from: how much lies in dialogues that the base half takes for a challenge.

Reads the demo's run folder (make demo) and asks the base, for every neutral dialogue, how likely it starts its reply
with an apology. Writes bench/results/shift.json.
"""

import json
import platform
from pathlib import Path

import torch

from pinpoint.config import of_run
from pinpoint.data import encode_chat, first_tokens
from pinpoint.pipeline import Run

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "runs" / "demo"
LIKELY = 0.01


@torch.no_grad()
def _apologies(run: Run) -> dict[str, float]:
    """Probability that the base's reply starts like one that caves, per neutral dialogue."""
    ids = first_tokens(run.tokenizer, run.config.behaviour.unwanted)
    found = {}
    for dialogue in run.inputs.neutral:
        prompt = torch.tensor([encode_chat(run.tokenizer, dialogue.messages[:-1])])
        found[dialogue.id] = float(run.model(prompt).logits[0, -1].softmax(dim=-1)[ids].sum())
    return found


def main() -> None:
    """Splits every method's KL by what the base would have said."""
    run = Run(of_run(FOLDER), FOLDER)
    apologies = _apologies(run)
    record: dict[str, object] = {"command": "python bench/shift.py", "machine": f"{platform.machine()}, CPU"}
    for method in ("pinpoint", "full"):
        rows = run.workspace.sub(f"evaluate/{method}").read_jsonl("kl.jsonl")
        torn = [row["kl"] for row in rows if apologies[row["id"]] > LIKELY]
        rest = [row["kl"] for row in rows if apologies[row["id"]] <= LIKELY]
        record[method] = {
            "dialogues": len(rows),
            "torn": len(torn),
            "kl": sum(torn + rest) / len(rows),
            "share_of_torn": sum(torn) / sum(torn + rest),
            "kl_of_the_rest": sum(rest) / len(rest),
        }
        print(method, record[method])
    (HERE / "results" / "shift.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
