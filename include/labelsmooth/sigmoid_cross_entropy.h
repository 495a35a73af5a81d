// SPDX-License-Identifier: MIT
// Label-smoothed binary cross-entropy with its gradient: one sigmoid a class, for binary, multi-label and
// (with labels or mixed labels) multi-class problems. K = 1 is the binary one.
//
//   double loss = sigmoid_cross_entropy({z, rows, classes}, dense({y, rows, classes}),
//                                       {.smoothing = {BinaryRule::half, 0.1}}).loss;
//
// For an element with label y, smoothed to q, weight w = row * class * element weight and pos_weight P:
//   loss = w (P q softplus(-z) + (1 - q) softplus(z)),   softplus(x) = log(1 + e^x)
//   dz   = w ((1 - q) sigmoid(z) - P q sigmoid(-z))
//
// Numbers: f64 throughout, q and 1 - q each made without cancellation, sums in a fixed order. An element's
// loss is within 6 epsilon of f64, relative; its gradient within 6 relative to the sum of its two terms'
// sizes, then rounded once to the logits' type. A sum of n losses adds n / 2 epsilon of the sum of their
// sizes. NaN in a counted element makes that element's loss and gradient NaN, and its row's loss. +inf is a
// certain 1: loss 0 where q = 1, else +inf; -inf a certain 0; their gradients are finite. An element of
// weight 0 has loss and gradient 0 whatever its logit. The same bits for any number of threads.
#pragma once

#include <cstdint>   // int64_t
#include <optional>  // std::optional
#include <span>      // std::span

#include "labelsmooth/binary_smoothing.h"
#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/export.h"

namespace labelsmooth {

/// What a mean divides by: the number of counted elements (PyTorch), or of rows that have one (timm's
/// sum_classes); the sum of the counted elements' w; or a constant > 0. No denominator has pos_weight in it.
struct SigmoidDenominator {
  enum Kind : uint8_t { elements, rows, weights, constant } kind = elements;
  double value = 0;  // of `constant`
};

/// Target (cross_entropy.h): labels and mixed labels are one-hot rows, and refused where K = 1, where a
/// label 0 would be a positive; dense targets are each element's own label: f32, f64, f16, bf16 from 0 to 1,
/// or 0 and 1 of any integer type.
struct SigmoidOptions {
  BinarySmoothing smoothing = {};
  /// (classes,), from 0, finite; empty means 1.
  Vector pos_weight = {};
  /// (classes,) and (rows,), finite; empty means 1.
  Vector class_weights = {}, row_weights = {};
  /// The logits' shape, finite, f32, f64, f16 or bf16; empty means 1.
  Rows element_weights = {};
  /// Rows with this label, and elements of integer dense targets that are it, do not count. Of mixed labels:
  /// where both are it. nullopt: all count.
  std::optional<int64_t> ignore_index = -100;
  /// u8, 0: the element does not count and its target may be anything, as where a label was not annotated.
  /// (1, classes) for all rows, or the logits' shape.
  Rows mask = {};
  Reduction reduction = Reduction::mean;
  SigmoidDenominator denominator = {};
  Empty empty = Empty::nan;
};

/// Optional outputs, the losses with all weights. What does not count holds 0.
struct SigmoidParts {
  std::span<double> loss = {};      // (rows,): the sum of the row's elements, not divided
  std::span<double> nll = {};       // (rows,): the same without smoothing and weights
  std::span<double> elements = {};  // (rows * classes,), row by row: each element's own loss
};

struct SigmoidResult {
  double loss = 0;                    // reduced; NaN under Reduction::none, where the parts are the result
  double nll = 0;                     // plain mean of the counted elements' nll; Empty decides for none
  double denominator = 1;             // what the loss was divided by
  int64_t rows = 0, counted = 0;      // rows, and those with a counted element
  int64_t elements = 0;               // that count
  int64_t correct = 0;                // counted elements where z > 0 exactly where y > 1/2
  int64_t first_impossible_row = -1;  // the first with an infinite nll, or -1
};

/// Loss only.
///   logits  (rows, classes) f32, f64, f16 or bf16, any strides; no shard, as rules count a row's classes
/// Throws Error naming the argument: wrong sizes and types, labels and amounts out of range (with the row),
/// denominators and upstream rows with a reduction they do not fit, an empty mean under Empty::error.
LABELSMOOTH_API SigmoidResult sigmoid_cross_entropy(const Logits& logits, const Target& target,
                                                    const SigmoidOptions& options = {},
                                                    const SigmoidParts& parts = {});

/// Loss and gradient of the reduced loss; `dlogits` as in cross_entropy. What does not count has gradient 0.
/// An upstream factor of each element is its element weight.
LABELSMOOTH_API SigmoidResult sigmoid_cross_entropy(const Logits& logits, const Target& target,
                                                    const Gradient& dlogits,
                                                    const SigmoidOptions& options = {},
                                                    const SigmoidParts& parts = {},
                                                    const Upstream& upstream = {});

}  // namespace labelsmooth
