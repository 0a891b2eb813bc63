"""Heads, sets of them and scores."""

import pytest
import torch

from pinpoint.errors import InputError
from pinpoint.heads import Head, HeadScores, HeadSet


def test_a_head_prints_and_reads_as_layer_and_head() -> None:
    assert str(Head(12, 5)) == "L12.H5"
    assert Head.parse(" L12.H5 ") == Head(12, 5)
    with pytest.raises(InputError, match=r"'12.5' is not a head. Write heads as \"L12.H5\""):
        Head.parse("12.5")


def test_a_head_set_keeps_order_and_drops_repeats() -> None:
    heads = HeadSet([Head(2, 1), Head(0, 3), Head(2, 1)])
    assert list(heads) == [Head(2, 1), Head(0, 3)]
    assert HeadSet([Head(2, 4), Head(0, 3), Head(2, 1)]).by_layer() == {0: [3], 2: [1, 4]}


def test_ranking_is_by_mean_over_pairs_and_errors_by_their_spread() -> None:
    effects = torch.tensor([[[1.0, -3.0], [0.0, -1.0]], [[1.0, -1.0], [0.0, -5.0]]])
    scores = HeadScores(effects, torch.zeros(2), "logit_diff", "sweep")
    assert scores.top(2) == [Head(1, 1), Head(0, 1)]
    assert scores.standard_error[1, 1].item() == pytest.approx(2.0)
    assert scores.of([0]).top(1) == [Head(0, 1)]


def test_layers_without_heads_are_not_ranked() -> None:
    effects = torch.tensor([[[0.0, 0.0], [2.0, -1.0], [1.0, 3.0]]])
    scores = HeadScores(effects, torch.zeros(1), "logit_diff", "sweep", layers=(1, 2))
    assert list(scores.ranking()) == [Head(1, 1), Head(2, 0), Head(1, 0), Head(2, 1)]
    assert len(scores.of([0]).ranking()) == 4


def test_scores_become_a_table_and_a_map_in_a_notebook() -> None:
    effects = torch.zeros(4, 2, 3)
    effects[:, 1, 2] = torch.tensor([-1.0, -2.0, -3.0, -2.0])
    effects[:, 0, 1] = -0.5
    scores = HeadScores(effects, torch.zeros(4), "<b>logit_diff", "sweep")
    table = scores.to_pandas()
    assert list(table["head"][:2]) == ["L1.H2", "L0.H1"] and len(table) == 6
    assert table["effect"][0] == -2.0 and table["pairs"][0] == 4
    assert table["standard_error"][0] == pytest.approx((2 / 3) ** 0.5 / 2)
    shown = scores._repr_html_()
    assert "L1.H2" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    figure = scores.plot()
    assert figure.data[0].z[1][2] == -2.0
