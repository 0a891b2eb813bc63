"""Holds the licence of every distribution that an installation brings to a list; offline, from metadata alone.

python tests/licences.py
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

ROOT = "pinpoint-tuning"

# Each may be used by, and shipped beside, a package under Apache-2.0; MPL binds changes of its own files alone.
# Older packages write names instead of SPDX's identifiers.
ALLOWED = {
    *("0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cnri-python", "isc", "mit", "mit-0", "mit-cmu"),
    *("mpl-2.0", "psf-2.0", "python-2.0", "unlicense", "zlib", "bsl-1.0"),
    "apache-2.0 with llvm-exception",
    *("apache", "apache 2.0", "apache 2.0 license", "apache license 2.0", "apache software license"),
    *("bsd", "bsd license", "mit license", "isc license (iscl)", "python software foundation license"),
    *("mozilla public license 2.0 (mpl 2.0)",),
}
# Not free software, or copyleft of the whole, but no part of what is shipped; each with its reason.
EXCUSED = {
    "nvidia-": "CUDA's libraries, which PyTorch's Linux wheels depend on, under NVIDIA's own licence",
    "cuda-": "CUDA's bindings, likewise",
}


def name_of(text: str) -> str:
    """A distribution's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def tree(root: str, extras: tuple[str, ...] = ()) -> dict[str, Distribution]:
    """Every installed distribution that one requires, itself left out."""
    found: dict[str, Distribution] = {}
    waiting = [(root, ("", *extras))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue  # for another system, or an extra that is not installed
        found[name_of(name)] = there
        for text in there.requires or ():
            required = Requirement(text)
            if required.marker is None or any(required.marker.evaluate({"extra": extra}) for extra in wanted):
                waiting.append((name_of(required.name), ("", *sorted(required.extras))))
    found.pop(name_of(root), None)
    return found


def licences(of: Distribution) -> list[str]:
    """What a distribution says of its licence, the most exact first found: SPDX, classifiers, free text."""
    classifiers = of.metadata.get_all("Classifier") or ()
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    free = (of.metadata.get("License") or "").strip().partition("\n")[0]
    expression = re.sub(r"[()]", "", of.metadata.get("License-Expression") or "")
    told = expression or " AND ".join(set(named) - {"OSI Approved"}) or free
    # Of several to choose from, each has to pass: stricter than need be, and simple.
    return [part for part in re.split(r"\s+(?:AND|OR)\s+", told) if part]


def problem(name: str, of: Distribution) -> str | None:
    """Why a distribution does not pass; None where it does."""
    if any(name.startswith(prefix) for prefix in EXCUSED):
        return None
    told = licences(of)
    bad = [one for one in told if one.lower().strip() not in ALLOWED]
    if told and not bad:
        return None
    return f"{name} {of.version}: {', '.join(bad) or 'says nothing of its licence'}"


def main() -> None:
    """Ends with what does not pass; else says how many do."""
    found = tree(ROOT, ("chat",))
    problems = [text for name, one in sorted(found.items()) if (text := problem(name, one))]
    if problems or not found:
        sys.exit("licences to look at:\n  " + "\n  ".join(problems or [f"{ROOT} is not installed"]))
    print(f"{len(found)} distributions, all under licences of the list")  # noqa: T201


if __name__ == "__main__":
    main()
