# SPDX-License-Identifier: MIT
"""The loss from its definition: p and q explicit, float64, a row at a time. No code of the package."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

COEFFICIENTS = {
    "uniform": lambda e, k: (1 - e, e),
    "others": lambda e, k: (1 - e * k / (k - 1), e * k / (k - 1)),
    "flip": lambda e, k: (1 - 2 * e, k * e),
    "additive": lambda e, k: (1 - e, k * e),
}


@dataclass
class Reference:
    """Rows of logits (N, K) and everything that the loss of a row depends on."""

    logits: np.ndarray
    labels: np.ndarray | None = None
    second: np.ndarray | None = None
    mixing: np.ndarray | None = None
    targets: np.ndarray | None = None
    amounts: np.ndarray | float = 0.0
    rule: str = "uniform"
    prior: np.ndarray | None = None  # (K,), (N, K)
    matrix: np.ndarray | None = None
    class_smoothing: np.ndarray | None = None
    weight: np.ndarray | None = None
    weighting: str = "per_term"
    row_weight: np.ndarray | None = None
    ignore_index: int | None = -100
    finite: bool = False
    mask: np.ndarray | None = None
    scale: float = 1.0
    softcap: float = 0.0
    z_loss: float = 0.0
    entropy_penalty: float = 0.0
    max_suppression: float = 0.0
    losses: list[float] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    divisors: list[float] = field(default_factory=list)  # of the denominator `weights`
    gradient: Any = None

    def __post_init__(self) -> None:
        rows, _ = self.logits.shape
        self.gradient = np.zeros(self.logits.shape)
        for row in range(rows):
            self._add(row)

    def _label_part(self, row: int) -> np.ndarray:
        classes = self.logits.shape[1]
        if self.targets is not None:
            return np.asarray(self.targets[row], np.float64)
        t = np.zeros(classes)
        lam = 1.0 if self.mixing is None else float(self.mixing[row])
        t[self.labels[row]] += lam
        if self.second is not None:
            t[self.second[row]] += 1 - lam
        return t

    def _is_counted(self, row: int) -> bool:
        if self.labels is None or self.ignore_index is None:
            return True
        both = self.labels[row] == self.ignore_index
        return not (both and (self.second is None or self.second[row] == self.ignore_index))

    def _amount(self, row: int) -> float:
        if self.class_smoothing is not None:
            return float(self.class_smoothing[self.labels[row]])
        return float(self.amounts if np.ndim(self.amounts) == 0 else self.amounts[row])

    def _prior_part(self, row: int, allowed: np.ndarray) -> np.ndarray:
        classes = self.logits.shape[1]
        u = np.full(classes, 1 / classes)
        if self.prior is not None:
            u = self.prior if self.prior.ndim == 1 else self.prior[row]
        if self.matrix is not None:
            u = self.matrix[self.labels[row]]
        u = np.asarray(u, np.float64)
        return np.where(allowed, u, 0) / np.where(allowed, u, 0).sum()

    def _add(self, row: int) -> None:
        classes = self.logits.shape[1]
        self.counted.append(self._is_counted(row))
        if not self.counted[-1]:
            self.losses.append(0.0)
            self.divisors.append(0.0)
            return
        raw = np.asarray(self.logits[row], np.float64)
        capped = self.softcap * np.tanh(raw / self.softcap) if self.softcap else raw
        z = self.scale * capped
        slope = self.scale * (1 - (capped / self.softcap) ** 2 if self.softcap else np.ones(classes))
        if self.mask is not None:
            allowed_by_mask = self.mask if self.mask.ndim == 1 else self.mask[row]
            z = np.where(allowed_by_mask, z, -np.inf)
        allowed = np.isfinite(z) if self.finite else np.ones(classes, bool)
        lse = z.max() + np.log(np.exp(z - z.max()).sum())
        logp = z - lse
        p = np.exp(logp)

        t = self._label_part(row)
        a, b = COEFFICIENTS[self.rule](self._amount(row), classes)
        q = a * t + b * self._prior_part(row, allowed)
        w = np.ones(classes) if self.weight is None else np.asarray(self.weight, np.float64)
        r = 1.0 if self.row_weight is None else float(self.row_weight[row])
        if self.weighting == "per_term":
            wq, factor, divisor = w * q, r, r if self.targets is not None else r * (w * (t != 0)) @ t
        else:
            factor = r * (w @ t if self.weighting == "label" else w @ q)
            wq, divisor = q, factor

        def of(x: np.ndarray) -> np.ndarray:  # 0 * inf is 0
            return np.where(wq == 0, 0.0, wq * np.where(wq == 0, 0.0, x))

        entropy = -np.where(p > 0, p * np.where(p > 0, logp, 0), 0).sum()
        loss = -factor * of(logp).sum()
        dz = factor * (p * wq.sum() - wq)
        # No class weight applies to these.
        loss += r * (self.z_loss * lse**2 - self.entropy_penalty * entropy)
        dz += r * p * 2 * self.z_loss * lse
        dz += r * self.entropy_penalty * p * (np.where(p > 0, logp, 0) + entropy)
        if self.max_suppression:
            loss += r * self.max_suppression * (z.max() - z.mean())
            dz += r * self.max_suppression * ((np.arange(classes) == z.argmax()) - 1 / classes)
        self.losses.append(loss)
        self.divisors.append(divisor)
        self.gradient[row] = slope * dz
