"""An approximation held to exact scores: by ranks, by sizes and by the heads that come first."""

import dataclasses
import warnings

import pytest
import torch

from pinpoint.errors import InputError
from pinpoint.heads import HeadScores
from pinpoint.locate import agreement


def scored(*rows: list[float]) -> HeadScores:
    effects = torch.tensor(rows)[:, None]  # one layer
    return HeadScores(effects, torch.zeros(len(rows)), "logit_diff", "cached", method="activation")


def test_sizes_ranks_and_first_heads_are_compared_on_means_over_pairs() -> None:
    exact = scored([-4.0, -2.0, 0.0, 1.0], [-2.0, -2.0, 2.0, 1.0])  # means -3 -2 1 1
    near = scored([-1.0, -3.0, 1.0, 2.0], [-1.0, -3.0, 1.0, 2.0])  # means -1 -3 1 2
    found = agreement(near, exact, 1)
    assert (found.shared, found.top, found.pairs) == (0, 1, 2)
    assert found.error == pytest.approx((2 + 1 + 0 + 1) / (3 + 2 + 1 + 1))
    # Ranks 1 2 3.5 3.5 against 2 1 3 4.
    assert found.correlation == pytest.approx(3.5 / (5 * 4.5) ** 0.5)
    assert agreement(near, exact, 2).shared == 2
    assert agreement(near, exact)[2:4] == (4, 4), "no more heads than there are"


def test_a_notebook_is_told_in_a_sentence_and_a_row() -> None:
    found = agreement(scored([-1.0, 2.0]), scored([-1.0, 2.0]))
    assert "rank correlation 1.000, 2 of the first 2 heads shared, sizes off by 0.0%" in found._repr_html_()
    assert found.to_pandas().to_dict("records") == [found.to_json()]
    assert found.to_json() == {name: value for name, value in found._asdict().items() if name != "scores"}
    undefined = agreement(scored([-1.0, 2.0]), scored([0.0, 0.0]))._replace(exact="<b>")._repr_html_()
    assert (
        "rank correlation undefined" in undefined and "sizes off by undefined" in undefined and "<b>" not in undefined
    )


def test_the_figure_has_a_point_a_head_exact_across_and_approximate_upwards() -> None:
    (heads,) = agreement(scored([-1.0, 2.0, 0.5]), scored([4.0, -3.0, 1.0])).plot().data
    assert list(zip(heads.text, heads.x, heads.y, strict=True)) == [
        ("L0.H1", -3.0, 2.0),
        ("L0.H2", 1.0, 0.5),
        ("L0.H0", 4.0, -1.0),
    ]


def test_where_one_side_is_constant_there_is_no_correlation_and_where_all_are_zero_no_error() -> None:
    some, flat, nothing = scored([-1.0, 2.0]), scored([3.0, 3.0]), scored([0.0, 0.0])
    warnings.simplefilter("error")  # scipy's, of a correlation that is not defined
    assert agreement(some, flat).correlation is None and agreement(flat, some).correlation is None
    assert agreement(some, nothing).error is None
    assert agreement(nothing, some).error == 1.0


def test_a_probe_that_ranks_as_the_exact_scores_do_agrees_with_them() -> None:
    exact, accuracies = scored([-3.0, -2.0, 1.0]), scored([0.9, 0.7, 0.5])
    probe = dataclasses.replace(accuracies, method="probe")
    assert agreement(probe, exact, 2).shared == 2
    assert agreement(probe, exact).correlation == agreement(exact, probe).correlation == 1.0
    assert agreement(probe, probe).correlation == 1.0
    assert agreement(accuracies, exact).correlation == -1.0


def test_at_least_one_head_is_compared() -> None:
    with pytest.raises(InputError, match=r"^agreement: the first 0 heads cannot be compared\. Give top=1 or more\."):
        agreement(scored([1.0]), scored([1.0]), 0)


def test_scores_of_other_pairs_or_heads_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^agreement: scores of shape \(1, 1, 2\) cannot be compared with .* \(2, 1, 2\)\."
    ):
        agreement(scored([-1.0, 2.0]), scored([-1.0, 2.0], [0.0, 1.0]))
    with pytest.raises(
        InputError, match=r"shape \(1, 1, 3\) cannot be compared with scores of shape \(1, 1, 2\)\. Score"
    ):
        agreement(scored([-1.0, 2.0, 0.0]), scored([-1.0, 2.0]))
