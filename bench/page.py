"""Writes docs/benchmarks.md from the records in bench/results, by the template beside this script.

What has no record yet has no section.
"""

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent
RECORDS = ("peers", "floor", "locate", "tune", "evaluate")


def main() -> None:
    """Writes the page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, from our own records
    )
    paths = {name: HERE / f"results/{name}.json" for name in RECORDS}
    records = {name: json.loads(path.read_text("utf-8")) if path.exists() else None for name, path in paths.items()}
    text = environment.get_template("benchmarks.md.jinja").render(records)
    (HERE.parent / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
