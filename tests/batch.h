// SPDX-License-Identifier: MIT
// Random batches and the comparison with the reference, for the tests of the loss.
#pragma once

#include <gtest/gtest.h>

#include <cmath>    // std::abs, std::exp2, std::ilogb, std::sqrt
#include <cstdint>  // int64_t
#include <random>   // std::mt19937_64
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/isa.h"
#include "reference.h"

namespace labelsmooth {

template <class T>
struct Batch {
  int64_t rows, classes;
  std::vector<T> z;
  std::vector<int64_t> labels;

  Batch(int64_t rows, int64_t classes, uint64_t seed, double spread = 3, double offset = 0)
      : rows(rows), classes(classes), z(rows * classes), labels(rows) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(offset, spread);
    for (T& value : z) value = static_cast<T>(normal(random));
    for (int64_t& label : labels) label = static_cast<int64_t>(random() % classes);
  }
  Logits logits() const { return {z.data(), rows, classes}; }
  T& at(int64_t row, int64_t k) { return z[row * classes + k]; }
  std::vector<reference::Real> row(int64_t row) const {
    return {z.begin() + row * classes, z.begin() + (row + 1) * classes};
  }
};

inline const char* rule_name(const Smoothing& smoothing) {
  if (!smoothing.prior.empty()) return "prior";
  constexpr const char* kNames[] = {"uniform", "others", "flip", "additive"};
  return kNames[static_cast<int>(smoothing.rule)];
}

inline std::vector<double> doubles(const Vector& vector) {
  std::vector<double> values;
  for (int64_t i = 0; i < vector.size; ++i) values.push_back(vector.real(i));
  return values;
}
inline std::vector<double> doubles(const Rows& row) {
  std::vector<double> values;
  for (int64_t k = 0; k < row.classes; ++k) values.push_back(row.real(0, k));
  return values;
}

template <class T>
double ulp(double value) {
  return std::exp2(std::ilogb(value) + 1 - std::numeric_limits<T>::digits);
}

// Every row's loss, parts and gradient against the reference, within the header's bounds.
template <class T>
void expect_reference(const Batch<T>& batch, const Options& options) {
  const auto rows = batch.rows, classes = batch.classes;
  std::vector<double> loss(rows), nll(rows), lse(rows), confidence(rows), entropy(rows);
  std::vector<int64_t> argmax(rows);
  std::vector<T> dz(batch.z.size(), T{77});
  Options none = options;
  none.reduction = Reduction::none;
  cross_entropy(batch.logits(), batch.labels, {dz.data(), rows, classes}, none,
                {loss, nll, lse, confidence, entropy, argmax});
  const double eps = std::numeric_limits<T>::epsilon();
  for (int64_t row = 0; row < rows; ++row) {
    SCOPED_TRACE(isa() + " row " + std::to_string(row) + " classes " + std::to_string(classes) + " rule " +
                 rule_name(options.smoothing));
    const auto z = batch.row(row);
    const auto q = reference::target(rule_name(options.smoothing), options.smoothing.amount, classes,
                                     batch.labels[row], doubles(options.smoothing.prior.rows));
    const auto weights = doubles(options.class_weights);
    const auto truth = reference::row(z, q, batch.labels[row], weights);
    double mass = 1;
    for (int64_t k = 0; k < classes; ++k) mass += std::abs((weights.empty() ? 1 : weights[k]) * double(q[k]));
    // f32: 2 ulp. f64 is summed in f64: the rounding errors of n additions walk as sqrt(n).
    const double ulps = sizeof(T) == 4 ? 2 : 2 + std::sqrt(double(classes)) / 8;
    const auto bound = [&](double value) { return ulps * mass * ulp<T>(std::max(1.0, std::abs(value))); };
    EXPECT_NEAR(loss[row], double(truth.loss), bound(double(truth.loss)));
    EXPECT_NEAR(nll[row], double(truth.nll), bound(double(truth.nll)));
    EXPECT_NEAR(lse[row], double(truth.lse), bound(double(truth.lse)));
    EXPECT_NEAR(confidence[row], double(truth.confidence), 4 * eps);
    EXPECT_NEAR(entropy[row], double(truth.entropy), bound(double(truth.entropy)));
    EXPECT_EQ(argmax[row], truth.argmax);
    for (int64_t k = 0; k < classes; ++k) {
      const double weight = weights.empty() ? 1 : std::abs(weights[k]);
      const double p = double(truth.probability[k]), distance = double(z[truth.argmax] - z[k]);
      const double scale = (mass * p * (ulps + 2 + distance / 2) + 4 * weight * double(q[k])) * eps;
      ASSERT_NEAR(double(dz[row * classes + k]), double(truth.gradient[k]),
                  scale + std::numeric_limits<T>::min())
          << "class " << k << " label " << batch.labels[row];
    }
  }
}

// Runs body once per instruction set of this CPU.
template <class Body>
void for_each_isa(const Body& body) {
  for (const std::string& name : usable_isas()) {
    set_isa(name);
    body();
  }
  set_isa("");
}

}  // namespace labelsmooth
