# SPDX-License-Identifier: MIT
"""Every keyword of the PyTorch face that PyTorch has not, with arguments that matter."""

import numpy as np
import torch

ROWS, CLASSES = 6, 5


def cases():
    """name -> (logits, target, keywords), of NumPy arrays in float64."""
    rng = np.random.default_rng(7)
    logits = 2 * rng.normal(size=(ROWS, CLASSES))
    labels = np.array([4, 0, 2, 1, -100, 3])
    second = np.array([0, 0, 3, 4, -100, 1])
    soft = rng.dirichlet(np.ones(CLASSES), ROWS)
    shared, by_row = rng.dirichlet(np.ones(CLASSES)), rng.dirichlet(np.ones(CLASSES), ROWS)
    by_label = rng.dirichlet(np.ones(CLASSES), CLASSES)
    weight, row_weight = rng.random(CLASSES) + 0.1, rng.random(ROWS) + 0.1
    mask = np.array([True, True, True, False, True])
    mask_by_row = rng.random((ROWS, CLASSES)) < 0.7
    kept = np.arange(ROWS), np.where(labels < 0, 0, labels)
    mask_by_row[kept] = True
    impossible = logits.copy()
    impossible[:, 0] = np.where(labels == 0, impossible[:, 0], -np.inf)
    smooth = {"label_smoothing": 0.3}
    of_labels = {
        "others": smooth | {"rule": "others"},
        "flip": smooth | {"rule": "flip"},
        "additive": smooth | {"rule": "additive"},
        "prior": smooth | {"prior": shared},
        "prior_by_row": smooth | {"prior": by_row},
        "matrix": smooth | {"matrix": by_label},
        "class_smoothing": {"class_smoothing": rng.random(CLASSES)},
        "smoothing_by_row": {"label_smoothing": rng.random(ROWS)},
        "weighting_label": smooth | {"weight": weight, "weighting": "label"},
        "weighting_expected": smooth | {"weight": weight, "weighting": "expected"},
        "row_weight": smooth | {"row_weight": row_weight},
        "row_weight_and_weight": smooth | {"row_weight": row_weight, "weight": weight},
        "mixed": smooth | {"mixed": (second, rng.random(ROWS))},
        "mixed_weight": smooth | {"mixed": (second, rng.random(ROWS)), "weight": weight},
        "no_ignore": smooth | {"ignore_index": 2},
        "scale": smooth | {"scale": 0.5},
        "softcap": smooth | {"softcap": 1.5},
        "lse_square_scale": smooth | {"lse_square_scale": 0.2},
        "entropy_penalty": smooth | {"entropy_penalty": 0.2},
        "max_suppression": smooth | {"max_suppression": 0.2},
        "everything": smooth
        | {
            "scale": 0.5,
            "softcap": 3.0,
            "lse_square_scale": 0.1,
            "entropy_penalty": 0.1,
            "row_weight": row_weight,
        }
        | {"weight": weight, "prior": by_row},
    }
    found = {
        name: (logits, np.where(labels == -100, given.get("ignore_index", -100), labels), given)
        for name, given in of_labels.items()
    }
    no_three = np.where(labels == 3, 1, labels)
    found["mask"] = (logits, no_three, smooth | {"mask": mask, "support": "finite"})
    found["mask_by_row"] = (logits, labels, smooth | {"mask": mask_by_row, "support": "finite"})
    found["mask_prior"] = (logits, no_three, smooth | {"mask": mask, "support": "finite", "prior": by_row})
    found["support"] = (impossible, labels, smooth | {"support": "finite"})
    found["padded_classes"] = (logits, np.where(labels > 2, 2, labels), smooth | {"padded_classes": 2})
    found["hard_labels"] = (logits, soft, smooth | {"hard_labels": labels})
    found["hard_labels_weight"] = (
        logits,
        soft,
        smooth | {"hard_labels": labels, "weight": weight, "prior": by_row},
    )
    for denominator in ("rows", 2.5):
        given = smooth | {"denominator": denominator, "weight": weight}
        found[f"denominator_{denominator}"] = (logits, labels, given)
    return found


CASES = cases()


def case(name, dtype=torch.float64):
    """The same of tensors."""
    logits, target, given = CASES[name]
    return (
        torch.from_numpy(logits).to(dtype),
        torch.from_numpy(target),
        {key: tensors(one) for key, one in given.items()},
    )


def tensors(value):
    if isinstance(value, tuple):
        return tuple(tensors(one) for one in value)
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


NEUTRAL = {
    "rule": "uniform",
    "weighting": "per_term",
    "ignore_index": -100,
    "support": "all",
    "padded_classes": 0,
    "scale": 1.0,
    "lse_square_scale": 0.0,
    "entropy_penalty": 0.0,
    "max_suppression": 0.0,
    "denominator": "weights",
    "label_smoothing": 0.0,
}
