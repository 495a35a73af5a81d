// SPDX-License-Identifier: MIT
#include "labelsmooth/binary_smoothing.h"

#include <cmath>   // std::log
#include <string>  // std::to_string

#include "bit.h"

namespace labelsmooth {

void check_smoothing(const BinarySmoothing& smoothing) {
  if (smoothing.rule > BinaryRule::spread) throw Error("smoothing", "unknown rule");
  if (!(smoothing.amount >= 0 && smoothing.amount <= 1))
    throw Error("smoothing", std::to_string(smoothing.amount) + " found, 0 to 1 is allowed");
}

std::vector<double> target(const BinarySmoothing& smoothing, std::span<const double> labels) {
  check_smoothing(smoothing);
  if (labels.empty()) throw Error("labels", "no classes found, at least 1 is needed");
  Bit sums = {0, 0};
  for (size_t k = 0; k < labels.size(); ++k) {
    const double y = labels[k];
    if (!(y >= 0 && y <= 1)) {
      throw Error("labels",
                  "class " + std::to_string(k) + " has " + std::to_string(y) + ", 0 to 1 is allowed");
    }
    sums.one += y;
    sums.zero += 1 - y;
  }
  const Bit replacement = replacement_of(smoothing.rule, static_cast<int64_t>(labels.size()), sums);
  std::vector<double> q;
  for (const double y : labels) q.push_back(smooth(smoothing, y, replacement).one);
  return q;
}

BinarySmoothing convert(const BinarySmoothing& smoothing, BinaryRule to, int64_t classes) {
  check_smoothing(smoothing);
  check_smoothing({to, 0});
  if (classes < 1) throw Error("classes", std::to_string(classes) + " found, at least 1 is needed");
  if (to == smoothing.rule || smoothing.amount == 0) return {to, smoothing.amount};
  const auto is_fair = [classes](BinaryRule rule) {
    return rule == BinaryRule::flip || rule == BinaryRule::half ||
           (rule == BinaryRule::uniform && classes == 2);
  };
  if (!is_fair(smoothing.rule) || !is_fair(to))
    throw Error("smoothing", "only flip, half and, of 2 classes, uniform convert to one another");
  const double half = smoothing.amount * (smoothing.rule == BinaryRule::flip ? 2 : 1);
  if (to == BinaryRule::flip) return {to, half / 2};
  if (half > 1) {
    throw Error("smoothing", "flip of " + std::to_string(smoothing.amount) +
                                 " found, up to 0.5 has an equal under the other rules");
  }
  return {to, half};
}

Optimum binary_optimum(double q, double pos_weight) {
  if (!(q >= 0 && q <= 1)) throw Error("q", std::to_string(q) + " found, 0 to 1 is allowed");
  if (!is_pos_weight(pos_weight))
    throw Error("pos_weight", std::to_string(pos_weight) + " found, finite values from 0 are allowed");
  const double on = pos_weight * q, off = 1 - q;
  if (on + off == 0) throw Error("pos_weight", "0 with q of 1 leaves no loss, so it has no optimum");
  const double gap = std::log(on / off);
  const Logistic at = logistic(gap);
  return {on / (on + off), gap, times(on, at.if_one) + times(off, at.if_zero)};
}

}  // namespace labelsmooth
