// SPDX-License-Identifier: MIT
// One binary label and its smoothing.
#pragma once

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::exp, std::isfinite, std::log1p
#include <cstdint>    // int64_t

#include "labelsmooth/binary_smoothing.h"

namespace labelsmooth {

/// A probability of 1 and that of 0, each without cancellation: 1 - q keeps its digits where q is nearly 1.
struct Bit {
  double one, zero;
};

/// What the rule puts in a label's place, in a row whose y sum to `sums.one` and 1 - y to `sums.zero`; flip
/// does not use it.
inline Bit replacement_of(BinaryRule rule, int64_t classes, const Bit& sums) {
  const auto k = static_cast<double>(classes);
  const double counted = sums.one + sums.zero;
  if (rule == BinaryRule::uniform) return {1 / k, (k - 1) / k};
  if (rule == BinaryRule::spread) return {sums.one / counted, sums.zero / counted};
  return {.5, .5};
}

inline Bit smooth(const BinarySmoothing& smoothing, double y, const Bit& replacement) {
  const double e = smoothing.amount;
  const Bit c = smoothing.rule == BinaryRule::flip ? Bit{1 - y, y} : replacement;
  return {(1 - e) * y + e * c.one, (1 - e) * (1 - y) + e * c.zero};
}

/// c * x, where a coefficient of 0 means no term even at x = inf or NaN.
inline double times(double c, double x) { return c == 0 ? 0 : c * x; }

/// The losses of a logit: softplus(-z) and softplus(z), and its sigmoid.
struct Logistic {
  double if_one, if_zero;
  Bit sigmoid;
};
inline Logistic logistic(double z) {
  const double t = std::exp(-std::abs(z)), log = std::log1p(t);
  const double near = 1 / (1 + t), far = t / (1 + t);
  return {std::max(-z, 0.) + log, std::max(z, 0.) + log, z >= 0 ? Bit{near, far} : Bit{far, near}};
}

/// Throws Error unless the rule is one and the amount in [0, 1].
void check_smoothing(const BinarySmoothing& smoothing);
inline bool is_pos_weight(double value) { return value >= 0 && std::isfinite(value); }

}  // namespace labelsmooth
