// SPDX-License-Identifier: MIT
#include "reference.h"

#include <cmath>  // std::exp, std::log, std::log1p

namespace labelsmooth::reference {

std::vector<Real> target(const std::string& rule, Real amount, int64_t classes, int64_t label,
                         const std::vector<double>& prior) {
  std::vector<Real> q(static_cast<size_t>(classes));
  for (int64_t k = 0; k < classes; ++k) {
    const Real y = k == label ? 1 : 0;
    if (rule == "uniform") q[k] = (1 - amount) * y + amount / static_cast<Real>(classes);
    if (rule == "others") q[k] = k == label ? 1 - amount : amount / static_cast<Real>(classes - 1);
    if (rule == "flip") q[k] = (1 - amount) * y + amount * (1 - y);
    if (rule == "additive") q[k] = (1 - amount) * y + amount;
    if (rule == "prior") q[k] = (1 - amount) * y + amount * prior[k];
  }
  return q;
}

Row row(const std::vector<Real>& z, const std::vector<Real>& q, int64_t label,
        const std::vector<double>& class_weights) {
  const auto classes = static_cast<int64_t>(z.size());
  Row result;
  result.argmax = 0;
  for (int64_t k = 1; k < classes; ++k) {
    if (z[k] > z[result.argmax]) result.argmax = k;
  }
  Real others = 0;  // the sum without the largest, so that log keeps its digits when the rest is tiny
  for (int64_t k = 0; k < classes; ++k) {
    if (k != result.argmax) others += std::exp(z[k] - z[result.argmax]);
  }
  result.lse = z[result.argmax] + std::log1p(others);

  result.probability.resize(z.size());
  result.loss = result.entropy = 0;
  Real mass = 0;
  for (int64_t k = 0; k < classes; ++k) {
    const Real log_p = (z[k] - z[result.argmax]) - std::log1p(others);
    const Real weighted = (class_weights.empty() ? 1 : class_weights[k]) * q[k];
    result.probability[k] = std::exp(log_p);
    if (weighted != 0) result.loss -= weighted * log_p;
    if (result.probability[k] > 0) result.entropy -= result.probability[k] * log_p;
    if (k == label) result.nll = -log_p;
    mass += weighted;
  }
  result.confidence = result.probability[result.argmax];
  result.gradient.resize(z.size());
  for (int64_t k = 0; k < classes; ++k) {
    const Real weighted = (class_weights.empty() ? 1 : class_weights[k]) * q[k];
    result.gradient[k] = mass * result.probability[k] - weighted;
  }
  return result;
}

SigmoidRow sigmoid_row(const std::string& rule, Real amount, const std::vector<Real>& z,
                       const std::vector<Real>& y, const std::vector<double>& pos_weight,
                       const std::vector<double>& weights) {
  // -log sigmoid(x), from whichever side does not overflow.
  const auto minus_log_sigmoid = [](Real x) {
    return x < 0 ? std::log1p(std::exp(x)) - x : std::log1p(std::exp(-x));
  };
  const auto sigmoid = [](Real x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  };
  const auto classes = static_cast<Real>(z.size());
  Real sum = 0;
  for (const Real label : y) sum += label;
  SigmoidRow result;
  for (size_t k = 0; k < z.size(); ++k) {
    Real q = y[k];
    if (rule == "flip") q = (1 - amount) * y[k] + amount * (1 - y[k]);
    if (rule == "half") q = (1 - amount) * y[k] + amount / 2;
    if (rule == "uniform") q = (1 - amount) * y[k] + amount / classes;
    if (rule == "spread") q = (1 - amount) * y[k] + amount * sum / classes;
    const Real weight = weights.empty() ? 1 : weights[k], positive = pos_weight.empty() ? 1 : pos_weight[k];
    result.target.push_back(q);
    result.loss.push_back(weight *
                          (positive * q * minus_log_sigmoid(z[k]) + (1 - q) * minus_log_sigmoid(-z[k])));
    result.nll.push_back(y[k] * minus_log_sigmoid(z[k]) + (1 - y[k]) * minus_log_sigmoid(-z[k]));
    result.gradient.push_back(weight * ((1 - q) * sigmoid(z[k]) - positive * q * sigmoid(-z[k])));
  }
  return result;
}

}  // namespace labelsmooth::reference
