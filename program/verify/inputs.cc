// SPDX-License-Identifier: MIT
#include "verify/inputs.h"

#include <algorithm>  // std::max, std::transform

#include "random.h"

namespace labelsmooth::verify {

std::vector<double> logits_of(const std::vector<double>& probabilities) {
  std::vector<double> logits(probabilities.size());
  std::transform(probabilities.begin(), probabilities.end(), logits.begin(),
                 [](double p) { return std::log(p); });
  return logits;
}

RandomRow random_row(uint64_t seed, Topic topic, uint32_t i, int64_t classes) {
  constexpr int64_t kMost = 8;
  const auto at = [&](int64_t k) {
    return draw(seed, Stream::verify, static_cast<uint32_t>(topic), (kMost + 1) * uint64_t{i} + k);
  };
  const Draw shape = at(kMost);
  RandomRow row;
  row.classes = classes > 0 ? classes : 2 + shape.below(kMost - 1, 0);
  row.label = shape.below(static_cast<uint32_t>(row.classes), 1);
  row.amount = 0.01 + 0.48 * shape.uniform(2);
  double sum = 0;
  for (int64_t k = 0; k < row.classes; ++k)
    sum += row.probabilities.emplace_back(std::exp(3 * at(k).normal()));
  for (double& p : row.probabilities) p /= sum;
  row.logits = logits_of(row.probabilities);
  return row;
}

void Apart::see(double found, double expected) {
  const double apart = std::abs(found - expected) / std::max(1., std::abs(expected));
  if (std::isnan(apart) || apart > value_) value_ = apart;
}

void Apart::see(const LossGradient& found, const LossGradient& expected) {
  see(found.loss, expected.loss);
  for (size_t k = 0; k < expected.gradient.size(); ++k) see(found.gradient[k], expected.gradient[k]);
}

LossGradient weighted_hard_losses(const Loss& loss, const std::vector<double>& logits,
                                  const std::vector<double>& weights) {
  LossGradient sum{0, std::vector<double>(logits.size())};
  for (size_t label = 0; label < weights.size(); ++label) {
    const LossGradient hard = loss(logits, static_cast<int64_t>(label), kHard);
    sum.loss += weights[label] * hard.loss;
    for (size_t k = 0; k < logits.size(); ++k) sum.gradient[k] += weights[label] * hard.gradient[k];
  }
  return sum;
}

}  // namespace labelsmooth::verify
