# SPDX-License-Identifier: MIT
"""The rules by themselves, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labelsmooth

TARGETS = {  # of the label, of each other class
    "uniform": lambda e, k: (1 - e + e / k, e / k),
    "others": lambda e, k: (1 - e, e / (k - 1)),
    "flip": lambda e, k: (1 - e, e),
    "additive": lambda e, k: (1.0, e),
}


@given(st.sampled_from(sorted(TARGETS)), st.floats(0, 1), st.integers(2, 40), st.data())
def test_rules(rule: str, amount: float, classes: int, data: st.DataObject) -> None:
    label = data.draw(st.integers(0, classes - 1))
    row = labelsmooth.smooth_labels([label], amount, num_classes=classes, rule=rule, dtype=np.float64)[0]
    of_label, of_other = TARGETS[rule](amount, classes)
    expected = np.full(classes, of_other)
    expected[label] = of_label
    np.testing.assert_allclose(row, expected, rtol=0, atol=4e-16 * classes)


def test_dense_labels_axis_and_prior() -> None:
    t = np.array([[0.2, 0.8], [0.5, 0.5], [0.3, 0.7]])
    np.testing.assert_allclose(
        labelsmooth.smooth_labels(t, 0.3, axis=0, dtype=np.float64), 0.7 * t + 0.1, atol=1e-15
    )
    prior = np.array([0.25, 0.75])
    np.testing.assert_allclose(
        labelsmooth.smooth_labels(t, 0.3, prior=prior, dtype=np.float64), 0.7 * t + 0.3 * prior, atol=1e-15
    )


def test_integer_labels_of_any_shape_and_axis() -> None:
    labels = np.array([[0, 2], [1, 1]])
    rows = labelsmooth.smooth_labels(labels, 0.0, num_classes=3, axis=1)
    assert rows.shape == (2, 3, 2)
    np.testing.assert_array_equal(rows.argmax(1), labels)


def test_where_shares_the_mass_among_the_allowed() -> None:
    where = np.array([True, True, False])
    rows = labelsmooth.smooth_labels([0, 2], 0.2, num_classes=3, where=where, dtype=np.float64)
    np.testing.assert_allclose(rows, [[0.9, 0.1, 0], [0.1, 0.1, 0.8]], atol=1e-16)


@pytest.mark.parametrize(
    ("labels", "options", "argument", "row"),
    [
        ([0, 3], {"num_classes": 3}, "labels", 1),
        ([-1], {"num_classes": 3}, "labels", 0),
        ([0], {}, "num_classes", -1),
        ([[0.5, 0.5]], {"num_classes": 3}, "num_classes", -1),
        ([0], {"num_classes": 3, "prior": [0.5, 0.5]}, "prior", -1),
        ([0], {"num_classes": 2, "prior": [0.5, 0.6]}, "prior", -1),
        ([0], {"num_classes": 2, "prior": [0.5, 0.5], "rule": "others"}, "prior", -1),
        ([0], {"num_classes": 2, "where": [True, False], "rule": "flip"}, "where", -1),
        ([0], {"num_classes": 2, "rule": "unknown"}, "rule", -1),
        ([0], {"num_classes": 1, "rule": "others"}, "label_smoothing", -1),
    ],
)
def test_refusals(labels: object, options: dict[str, object], argument: str, row: int) -> None:
    with pytest.raises(labelsmooth.Error) as refused:
        labelsmooth.smooth_labels(labels, 0.1, **options)
    assert (refused.value.argument, refused.value.row) == (argument, row)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_amount_outside_0_to_1(amount: float) -> None:
    with pytest.raises(labelsmooth.Error, match="label_smoothing"):
        labelsmooth.smooth_labels([0], amount, num_classes=3)


def test_convert_and_explain_are_the_programs() -> None:
    assert labelsmooth.convert(0.1, "fairseq", "pytorch", 10)[0] == pytest.approx(0.1 * 10 / 9, abs=1e-15)
    with pytest.raises(ValueError, match="framework or rule|unknown|nonsense"):
        labelsmooth.convert(0.1, "nonsense", "uniform", 10)
    found = labelsmooth.explain(classes=3, label=1, label_smoothing=0.3, logits=[0.1, -2.0, 1.0])
    assert [one["rule"] for one in found["rules"]] == ["none", "uniform", "others", "flip", "additive"]
    loss = labelsmooth.cross_entropy([[0.1, -2.0, 1.0]], [1], label_smoothing=0.3, rule="flip")
    assert found["rules"][3]["loss"] == pytest.approx(loss, rel=1e-14)
    assert "optimum" in str(found)
