// SPDX-License-Identifier: MIT
// What the checks measure on: the document's example, random rows, and how far two results are apart.
#pragma once

#include <array>    // std::array
#include <cmath>    // std::abs, std::isnan
#include <cstdint>  // int64_t, uint32_t, uint64_t
#include <vector>   // std::vector

#include "verify/check.h"

namespace labelsmooth::verify {

/// The document's worked example: K = 5, the label is the fourth class.
inline const std::vector<double> kExample = {0.1, 0.1, 0.1, 0.36, 0.34};
inline constexpr int64_t kLabel = 3;
inline constexpr double kAmount = 0.1;

inline const Smoothing kHard = {};
inline constexpr std::array kSmoothingRules = {"uniform", "others", "flip", "additive"};

/// Rounding of a few dozen additions in double.
inline constexpr double kTolerance = 1e-12;

/// Logits whose softmax is `probabilities`.
std::vector<double> logits_of(const std::vector<double>& probabilities);

/// What random numbers are drawn for; one each, so that no two checks share any.
enum class Topic : uint32_t {
  splits,
  hard_gradient,
  balance,
  linearity,
  flips,
  binary,
  bits,
  code,
  turning,
  descent,
  noise,
  larger,
  pull,
  direction,
  sampled_binary,
  sampled_uniform,
  sampled_others
};

/// From 2 to 8 classes unless given; log-odds of standard deviation 3; amount in [0.01, 0.49].
struct RandomRow {
  std::vector<double> probabilities, logits;
  int64_t classes = 0, label = 0;
  double amount = 0;
};
RandomRow random_row(uint64_t seed, Topic topic, uint32_t i, int64_t classes = 0);

/// The largest difference seen: relative, absolute below 1. NaN stays.
class Apart {
 public:
  void see(double found, double expected);
  void see(const LossGradient& found, const LossGradient& expected);
  double value() const { return value_; }
  bool within(double tolerance = kTolerance) const { return value_ <= tolerance; }

 private:
  double value_ = 0;
};

/// sum of weights_k times the hard loss of label k: the mean over labels drawn with these probabilities.
LossGradient weighted_hard_losses(const Loss& loss, const std::vector<double>& logits,
                                  const std::vector<double>& weights);

}  // namespace labelsmooth::verify
