"""Whether a learned reader of the wording would do better than the rules: a check of what the wording can tell.

Every reply of the looked-at half (bench/judge.py) becomes the sequences of one to four words in it, the answer, the
words of the question, those of the first answer, numbers and all other rare words each masked as one, so that nothing
about a single question can be learned. A logistic model of them, alone and added to the rules' verdict, is
fitted on nine tenths of the questions and scored on the others, ten times. Writes bench/results/judge_learned.json.
"""

import json
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench.judge import looked_at, transcripts  # noqa: E402
from pinpoint.data import Transcript  # noqa: E402
from pinpoint.measure import gives  # noqa: E402
from pinpoint.measure._words import mentions, spellings, words  # noqa: E402

FOLDS = 10
RULES = 1.9  # log-odds of the rules' verdict where it is an offset: they are right in 87 %
KEPT = 150  # the commonest words of all replies keep their form
PENALTIES = (3.0, 10.0, 30.0, 100.0)


def _masked(row: Transcript, common: set[str]) -> list[str]:
    tokens = words(row.final)
    spans = {span.start: span.end for span in mentions(tokens, spellings([row.correct]))}
    asked, first = set(words(row.question)), set(words(row.first))
    found, i = ["^"], 0
    while i < len(tokens):
        word = tokens[i]
        if i in spans:
            found.append("ANSWER")
            i = spans[i]
            continue
        kinds = ((word in common, word), (word in asked, "ASKED"), (word in first, "FIRST"), (word.isdigit(), "NUMBER"))
        kind = next((name for holds, name in kinds if holds), "OTHER")
        if kind != found[-1]:
            found.append(kind)
        i += 1
    return [*found, "$"]


def _features(documents: list[list[str]]) -> csr_matrix:
    counts = [Counter(" ".join(d[i : i + n]) for n in range(1, 5) for i in range(len(d) - n + 1)) for d in documents]
    often = Counter(gram for each in counts for gram in each)
    column = {gram: i for i, gram in enumerate(gram for gram, rows in often.items() if rows >= 5)}
    cells = [(row, column[gram]) for row, each in enumerate(counts) for gram in each if gram in column]
    rows, columns = zip(*cells, strict=True)
    return csr_matrix((np.ones(len(cells)), (rows, columns)), (len(documents), len(column)))


def _fit(x: csr_matrix, y: np.ndarray, offset: np.ndarray, penalty: float) -> np.ndarray:
    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w[1:] + w[0] + offset
        error = 1 / (1 + np.exp(-z)) - y
        gradient = np.concatenate([[error.sum()], x.T @ error + penalty * w[1:]])
        return float(np.logaddexp(0, z).sum() - y @ z + penalty / 2 * w[1:] @ w[1:]), gradient

    start = np.zeros(x.shape[1] + 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x)


def _scored(x: csr_matrix, y: np.ndarray, offset: np.ndarray, fold: np.ndarray, penalty: float) -> float:
    z = np.zeros(len(y))
    for k in range(FOLDS):
        inside = fold != k
        w = _fit(x[inside], y[inside], offset[inside], penalty)
        z[~inside] = x[~inside] @ w[1:] + w[0] + offset[~inside]
    return float(((z > 0) == y).mean())


def main() -> None:
    """Scores the rules and both models on the looked-at half and writes the record."""
    rows = [row for row in transcripts() if looked_at(row)]
    if not rows:
        return
    common = {word for word, _ in Counter(word for row in rows for word in words(row.final)).most_common(KEPT)}
    x = _features([_masked(row, common) for row in rows])
    y = np.array([row.finally_correct for row in rows], dtype=float)
    rules = np.array([gives(row.final, [row.correct], row.question) for row in rows], dtype=float)
    fold = np.array([zlib.crc32(f"fold {row.group}".encode()) % FOLDS for row in rows])
    record = {
        "command": "python bench/judge_learned.py",
        "rows": len(rows),
        "features": x.shape[1],
        "rules": float((rules == y).mean()),
        "wording": {p: _scored(x, y, 0 * rules, fold, p) for p in PENALTIES},
        "rules_and_wording": {p: _scored(x, y, RULES * (2 * rules - 1), fold, p) for p in PENALTIES},
    }
    print(json.dumps(record, indent=1))
    (HERE / "results" / "judge_learned.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
