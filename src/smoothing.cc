// SPDX-License-Identifier: MIT
#include "labelsmooth/smoothing.h"

#include <algorithm>  // std::max
#include <cmath>      // std::log, std::isfinite
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

namespace labelsmooth {
namespace {

void check_prior(const Vector& prior, int64_t classes) {
  if (prior.data == nullptr) throw Error("prior", "null data");
  if (!is_float(prior.dtype)) {
    throw Error("prior", std::string("has type ") + name(prior.dtype) + ", floating types are allowed");
  }
  if (prior.size != classes) {
    throw Error("prior", "has " + std::to_string(prior.size) + " entries, there are " +
                             std::to_string(classes) + " classes");
  }
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) {
    if (!(prior.real(k) >= 0) || !std::isfinite(prior.real(k))) {
      throw Error("prior", "class " + std::to_string(k) + " has " + std::to_string(prior.real(k)) +
                               ", finite and non-negative values are allowed");
    }
    sum += prior.real(k);
  }
  if (!(std::abs(sum - 1) <= 1e-6)) throw Error("prior", "sums to " + std::to_string(sum) + ", 1 is needed");
}

}  // namespace

Smoothing uniform(double amount, Vector prior) { return {Rule::uniform, amount, prior}; }
Smoothing others(double amount) { return {Rule::others, amount, {}}; }
Smoothing flip(double amount) { return {Rule::flip, amount, {}}; }
Smoothing additive(double amount) { return {Rule::additive, amount, {}}; }

Affine affine(const Smoothing& smoothing, int64_t classes) {
  const double e = smoothing.amount;
  const auto k = static_cast<double>(classes);
  if (classes < 1) throw Error("classes", std::to_string(classes) + " found, at least 1 is needed");
  if (!(e >= 0 && e <= 1)) throw Error("smoothing", std::to_string(e) + " found, 0 to 1 is allowed");
  if (!smoothing.prior.empty()) {
    if (smoothing.rule != Rule::uniform) throw Error("prior", "only the rule uniform takes a prior");
    check_prior(smoothing.prior, classes);
  }
  if (e == 0) return {1, 0};
  switch (smoothing.rule) {
    case Rule::uniform:
      return {1 - e, e};
    case Rule::others:
      if (classes == 1) throw Error("smoothing", "the rule others needs at least 2 classes, 1 found");
      return {1 - e * k / (k - 1), e * k / (k - 1)};
    case Rule::flip:
      return {1 - 2 * e, k * e};
    case Rule::additive:
      return {1 - e, k * e};
  }
  throw Error("smoothing", "unknown rule");
}

std::vector<double> target(const Smoothing& smoothing, int64_t classes, int64_t label) {
  const auto [a, b] = affine(smoothing, classes);
  if (label < 0 || label >= classes) {
    throw Error("label",
                std::to_string(label) + " found, 0 to " + std::to_string(classes - 1) + " is allowed");
  }
  std::vector<double> q(static_cast<size_t>(classes), b / static_cast<double>(classes));
  if (!smoothing.prior.empty()) {
    double norm = 0;  // 1 within the tolerance; the loss divides by it too
    for (int64_t k = 0; k < classes; ++k) norm += smoothing.prior.real(k);
    for (int64_t k = 0; k < classes; ++k) q[k] = b * smoothing.prior.real(k) / norm;
  }
  q[label] = std::max(0., q[label] + a);  // a may be negative, and rounded
  return q;
}

double mass(const Smoothing& smoothing, int64_t classes) {
  const auto [a, b] = affine(smoothing, classes);
  return a + b;
}

Equivalent as_uniform(const Smoothing& smoothing, int64_t classes) {
  const auto [a, b] = affine(smoothing, classes);
  if (a + b == 0)
    throw Error("smoothing", "flip of 1 with one class leaves no mass, so it has no equivalent");
  return {b / (a + b), a + b};
}

Optimum optimum(const Smoothing& smoothing, int64_t classes, int64_t label) {
  const std::vector<double> q = target(smoothing, classes, label);
  const double total = mass(smoothing, classes);
  if (total == 0) throw Error("smoothing", "flip of 1 with one class leaves no mass, so it has no optimum");
  double largest_other = 0, floor = 0;
  for (int64_t k = 0; k < classes; ++k) {
    if (k != label) largest_other = std::max(largest_other, q[k]);
    if (q[k] > 0) floor -= q[k] * std::log(q[k] / total);
  }
  return {q[label] / total, std::log(q[label] / largest_other), floor};
}

}  // namespace labelsmooth
