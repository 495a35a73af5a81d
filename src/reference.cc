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

}  // namespace labelsmooth::reference
