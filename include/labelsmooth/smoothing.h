// SPDX-License-Identifier: MIT
// The smoothing rules. A target row is q = a * t + b * u: the label part t (one-hot), the prior part u
// (uniform, or a vector that sums to 1). A rule is a named pair (a, b); converting is arithmetic on it.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "labelsmooth/export.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

enum class Rule : uint8_t { uniform, others, flip, additive };

/// Where the smoothing's mass goes: u. Non-negative rows of any floating type that sum to 1 within 1e-6
/// (2^-11 for f16, 2^-8 for bf16); what is left of the sum is divided out.
///   uniform   1/K to each class
///   shared    (1, classes): one vector for all rows
///   by_label  (classes, classes): row y for the label y, as a class matrix
///   by_row    the logits' shape: a row of its own for each, as a teacher's predictions
struct Prior {
  enum class Kind : uint8_t { uniform, shared, by_label, by_row };

  Prior() = default;
  Prior(Kind kind, const Rows& rows) : kind(kind), rows(rows) {}
  /// A shared vector; an empty one is the uniform prior.
  Prior(const Vector& shared)
      : kind(shared.empty() ? Kind::uniform : Kind::shared),
        rows(shared.data, shared.dtype, 1, shared.size, 1) {}
  template <class Range>
    requires requires(const Range& range) { std::data(range); }
  Prior(const Range& shared) : Prior(Vector(shared)) {}

  bool empty() const { return kind == Kind::uniform; }

  Kind kind = Kind::uniform;
  Rows rows = {};
};

/// How much mass moves away from the label, and where to.
///   amount           in [0, 1]; 0 is the hard label under every rule
///   prior            rule `uniform` only
///   amount_by_class  (classes,): the amount of a row is its label's; in place of `amount`
///   amount_by_row    (rows,): each row's own; in place of `amount`
struct Smoothing {
  Rule rule = Rule::uniform;
  double amount = 0;
  Prior prior = {};
  Vector amount_by_class = {}, amount_by_row = {};

  /// The smoothing of one row: its amount, its prior as a shared one.
  LABELSMOOTH_API Smoothing at(int64_t label, int64_t row = 0) const;
};

/// True class 1 - e + e/K, others e/K (PyTorch, Keras, optax; with a prior: e * prior). Mass 1.
LABELSMOOTH_API Smoothing uniform(double amount, const Prior& prior = {});
/// True class 1 - e, others e/(K - 1) (fairseq, Megatron). Mass 1. Needs K >= 2.
LABELSMOOTH_API Smoothing others(double amount);
/// Each one-hot bit flipped with probability e: (1 - e) y + e (1 - y). Mass 1 + (K - 2) e.
LABELSMOOTH_API Smoothing flip(double amount);
/// (1 - e) y + e. Mass 1 + (K - 1) e.
LABELSMOOTH_API Smoothing additive(double amount);

/// Coefficients of q = a * onehot + b * u, u of mass 1. a is negative for flip above 1/2 and for others above
/// (K - 1)/K, where the label becomes the least likely class.
struct Affine {
  double a = 1, b = 0;
};
/// Throws Error on an amount outside [0, 1] or NaN, on classes < 1, and on the rule others with one class.
LABELSMOOTH_API Affine affine(Rule rule, double amount, int64_t classes);

/// Every function below throws Error on what affine() refuses, on a prior that does not fit, and on a
/// smoothing by class or by row: resolve it with Smoothing::at.
LABELSMOOTH_API Affine affine(const Smoothing& smoothing, int64_t classes);

/// The target row of `label`: (classes,).
LABELSMOOTH_API std::vector<double> target(const Smoothing& smoothing, int64_t classes, int64_t label);

/// Sum of a target row.
LABELSMOOTH_API double mass(const Smoothing& smoothing, int64_t classes);

/// The `uniform` smoothing with the same optimum: cross-entropy under `smoothing` is `scale` times that
/// under uniform(amount), so a mass other than 1 is a learning-rate factor. With a prior: that prior's. An
/// amount above 1 (a < 0) is beyond what uniform() takes. Throws Error where no mass is left (flip of 1, K =
/// 1).
struct Equivalent {
  double amount = 0, scale = 1;
};
LABELSMOOTH_API Equivalent as_uniform(const Smoothing& smoothing, int64_t classes);

/// The same for any rule: cross-entropy under `smoothing` is `scale` times that under {rule, amount}. Throws
/// Error where no amount in [0, 1] does that, as under uniform and additive where a < 0, and on a prior.
Equivalent convert(const Smoothing& smoothing, Rule rule, int64_t classes);

/// Where the loss of one row is least.
///   probability  of the label there, q_y / mass
///   gap          label logit minus the largest other logit there; inf when the others get no mass
///   floor        the least loss, -sum q ln(q / mass), nats
struct Optimum {
  double probability = 1, gap = 0, floor = 0;
};
LABELSMOOTH_API Optimum optimum(const Smoothing& smoothing, int64_t classes, int64_t label = 0);

}  // namespace labelsmooth
