// SPDX-License-Identifier: MIT
// What a model said about each row, from its logits: the one table that every metric reads.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth {

/// One entry per row of p = softmax(z / T), y its label; natural logarithms.
struct Items {
  std::vector<double> correct;  // 1 where predicted = y, else 0
  std::vector<double> nll;      // -log p_y
  std::vector<double> brier;    // sum over the classes of (p_k - [k = y])^2, in 0..2 (some tools divide it)
  std::vector<double> confidence;  // max_k p_k
  std::vector<double> score;  // -log(1 - confidence), which still ranks rows whose confidence rounds to 1;
                              // +inf for a single class, or when all others are ruled out
  std::vector<int64_t> predicted;  // argmax, the lowest index on ties
};

/// Throws Error unless logits are (rows, classes) with a label each; rows, classes >= 1; labels in
/// [0, classes). A logit is finite, or -inf for a class ruled out, which the label is not.
void check_logits(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes);

/// logits (rows, classes), row-major; labels (rows). In double, by log-sum-exp of z / T.
Items evaluate(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes,
               double temperature = 1);
/// The same of any type, for rows that are known to be as check_logits wants them.
Items evaluate(const Logits& logits, std::span<const int64_t> labels, double temperature);

}  // namespace labelsmooth
