// SPDX-License-Identifier: MIT
// The smoothing rules of binary labels, one decision an element: binary and multi-label problems.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <vector>   // std::vector

#include "labelsmooth/export.h"
#include "labelsmooth/smoothing.h"

namespace labelsmooth {

/// What a label turns into with probability e, the amount: q = (1 - e) y + e c. K classes, y in [0, 1].
///   flip     c = 1 - y        its opposite: q is e and 1 - e (mmpretrain, Luxonis)
///   half     c = 1/2          a fair coin: e/2 and 1 - e/2 (Keras, TensorFlow, Flux, Ultralytics)
///   uniform  c = 1/K          a coin of 1/K: e/K and 1 - e + e/K (timm). Of the classes, masked or not
///   spread   c = mean of y    over the row's counted elements: the row keeps its sum, and a row of zeros its
///                             zeros (proposed for transformers)
/// half(e) is flip(e/2); uniform(e) is half(e) where K = 2, and spread(e) on one-hot rows. uniform of K = 1
/// moves labels towards 1.
enum class BinaryRule : uint8_t { flip, half, uniform, spread };

struct BinarySmoothing {
  BinaryRule rule = BinaryRule::flip;
  double amount = 0;  // in [0, 1]; 0 leaves labels as they are under every rule
};

/// The smoothed row of labels y: (classes,) to (classes,). Throws Error on an amount or a label outside
/// [0, 1] and on no classes.
LABELSMOOTH_API std::vector<double> target(const BinarySmoothing& smoothing, std::span<const double> labels);

/// The smoothing under the rule `to` that makes the same targets of all labels. Throws Error where there is
/// none: flip, half and (K = 2) uniform have one another's, with an amount of at most 1.
LABELSMOOTH_API BinarySmoothing convert(const BinarySmoothing& smoothing, BinaryRule to, int64_t classes);

/// Where the loss of one element with target q is least: `gap` is the logit, ln(P q / (1 - q)), `floor` the
/// loss there. Throws Error on q outside [0, 1], on a pos_weight that is negative or not finite, and where
/// the loss is 0 everywhere (pos_weight 0, q = 1).
LABELSMOOTH_API Optimum binary_optimum(double q, double pos_weight = 1);

}  // namespace labelsmooth
