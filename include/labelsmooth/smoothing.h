// SPDX-License-Identifier: MIT
// The smoothing rules. A target row is q = a * t + b * u: the label part t (one-hot), the prior part u
// (uniform, or a vector that sums to 1). A rule is a named pair (a, b); converting is arithmetic on it.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth {

enum class Rule : uint8_t { uniform, others, flip, additive };

/// How much mass moves away from the label, and where to.
///   amount  in [0, 1]; 0 is the hard label under every rule.
///   prior   (total classes,) non-negative, sums to 1 within 1e-6; empty means uniform. Rule `uniform` only.
struct Smoothing {
  Rule rule = Rule::uniform;
  double amount = 0;
  Vector prior = {};
};

/// True class 1 - e + e/K, others e/K (PyTorch, Keras, optax; with a prior: e * prior). Mass 1.
Smoothing uniform(double amount, Vector prior = {});
/// True class 1 - e, others e/(K - 1) (fairseq, Megatron). Mass 1. Needs K >= 2.
Smoothing others(double amount);
/// Each one-hot bit flipped with probability e: (1 - e) y + e (1 - y). Mass 1 + (K - 2) e.
Smoothing flip(double amount);
/// (1 - e) y + e. Mass 1 + (K - 1) e.
Smoothing additive(double amount);

/// Coefficients of q = a * onehot + b * u, u of mass 1. a is negative for flip above 1/2 and for others above
/// (K - 1)/K, where the label becomes the least likely class.
struct Affine {
  double a = 1, b = 0;
};

/// Every function below throws Error on an amount outside [0, 1] or NaN, a prior that does not fit, or
/// classes < 1.
Affine affine(const Smoothing& smoothing, int64_t classes);

/// The target row of `label`: (classes,).
std::vector<double> target(const Smoothing& smoothing, int64_t classes, int64_t label);

/// Sum of a target row.
double mass(const Smoothing& smoothing, int64_t classes);

/// The `uniform` smoothing with the same optimum: cross-entropy under `smoothing` is `scale` times that
/// under uniform(amount), so a mass other than 1 is a learning-rate factor. With a prior: that prior's. An
/// amount above 1 (a < 0) is beyond what uniform() takes. Throws Error where no mass is left (flip of 1, K =
/// 1).
struct Equivalent {
  double amount = 0, scale = 1;
};
Equivalent as_uniform(const Smoothing& smoothing, int64_t classes);

/// Where the loss of one row is least.
///   probability  of the label there, q_y / mass
///   gap          label logit minus the largest other logit there; inf when the others get no mass
///   floor        the least loss, -sum q ln(q / mass), nats
struct Optimum {
  double probability = 1, gap = 0, floor = 0;
};
Optimum optimum(const Smoothing& smoothing, int64_t classes, int64_t label = 0);

}  // namespace labelsmooth
