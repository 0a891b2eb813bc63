"""HumanEval's measure for lm-eval: whether the function in a reply passes its tests. Runs the reply: in a container."""

import re
import subprocess
import sys
import tempfile

SECONDS = 10
_BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)


def passes(item: dict[str, str], replies: list[str]) -> dict[str, float]:
    """1 where the code of the first reply, after the prompt and before the tests, ends without an error in time."""
    written = _BLOCK.search(replies[0])
    call = f"check({item['entry_point']})\n"
    program = "\n".join([item["prompt"], written[1] if written else replies[0], item["test"], call])
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return {"passes": 0.0}
    return {"passes": float(done.returncode == 0)}
