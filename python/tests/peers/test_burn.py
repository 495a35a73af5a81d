# SPDX-License-Identifier: MIT
"""Burn, crates/burn-nn/src/loss/cross_entropy.rs, its padding tests after tracel-ai/burn#5569: a pad is as if absent.

Burn takes a list of pad tokens; ours is one `ignore_index`, so several are first made one.
"""

import numpy as np
import pytest

OPTIONS = [
    pytest.param({}, id="default"),
    pytest.param({"weight": np.array([1, 2, 3, 4], np.float32)}, id="weighted"),
    pytest.param({"label_smoothing": 0.05}, id="smoothed"),
    pytest.param(
        {"label_smoothing": 0.05, "weight": np.array([1, 2, 3, 4], np.float32)}, id="smoothed weighted"
    ),
]
LOGITS = np.random.default_rng(21).normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([2, 0, 3, 1, 1, 1])
PADS = np.array([False, False, False, True, True, True])


@pytest.mark.parametrize("options", OPTIONS)
def test_pads_are_as_if_absent(ask, options):
    loss, gradient = ask(LOGITS, LABELS, ignore_index=1, **options)
    without, of_without = ask(LOGITS[~PADS], LABELS[~PADS], ignore_index=1, **options)
    assert loss == without
    assert np.array_equal(gradient[~PADS], of_without) and not gradient[PADS].any()


@pytest.mark.parametrize("options", OPTIONS)
def test_probabilities(ask_library, options):
    log_p = np.log(np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3], [0.1, 0.5, 0.2, 0.2]], np.float32))
    loss, _ = ask_library(log_p, [0, 1, 1], ignore_index=1, **options)
    without, _ = ask_library(log_p[:1], [0], ignore_index=1, **options)
    assert loss == without


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_but_pads(ask_library, options):
    loss, gradient = ask_library(LOGITS[PADS], LABELS[PADS], ignore_index=1, **options)
    assert np.isnan(loss) and not gradient.any()


def test_several_pads_are_made_one(ask):
    labels = np.array([2, 0, 3, 1, 0, 1])
    loss, gradient = ask(LOGITS, np.where(np.isin(labels, [0, 1]), -100, labels), label_smoothing=0.05)
    kept = np.array([0, 2])
    without, of_without = ask(LOGITS[kept], labels[kept], label_smoothing=0.05)
    assert loss == without and np.array_equal(gradient[kept], of_without)
