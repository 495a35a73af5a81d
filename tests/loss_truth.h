// SPDX-License-Identifier: MIT
// A case against the reference, within the bounds of cross_entropy.h and docs/math.md.
#pragma once

#include <gtest/gtest.h>

#include <cmath>    // std::abs, std::exp2, std::ilogb, std::sqrt
#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/isa.h"
#include "loss_case.h"
#include "reference.h"

namespace labelsmooth {

// ---- The truth ----

inline std::vector<double> rounded(const std::vector<double>& values, DType dtype) {
  const Storage storage(dtype, values);
  std::vector<double> result;
  for (int64_t i = 0; i < storage.size(); ++i) result.push_back(storage.get(i));
  return result;
}

inline reference::Reals row_of(const std::vector<double>& values, int64_t row, int64_t classes) {
  return {values.begin() + row * classes, values.begin() + (row + 1) * classes};
}

inline reference::Row reference_row(const LossCase& c, int64_t r) {
  const Options& options = c.options;
  const auto real = [&](double value) { return rounded({value}, c.reals)[0]; };
  reference::Row row;
  row.logits = row_of(rounded(c.logits, c.dtype), r, c.classes);
  const int64_t label = c.labels[r], second = c.kind == Target::Kind::mixed ? c.second[r] : label;
  const bool has_label = c.kind != Target::Kind::dense || c.dense_has_labels;
  row.ignored = has_label && label == options.ignore_index && second == options.ignore_index;
  row.label = has_label ? label : -1;
  if (row.ignored) return row;
  switch (c.kind) {
    case Target::Kind::labels:
      row.label_part = reference::one_hot(c.classes, label);
      break;
    case Target::Kind::mixed:
      row.kind = "mixed";
      row.label_part = reference::Reals(c.classes);
      row.label_part[label] += c.weight[r];
      row.label_part[second] += 1 - c.weight[r];
      if (c.weight[r] < .5) row.label = second;
      break;
    case Target::Kind::dense:
      row.kind = "dense";
      row.label_part = row_of(rounded(c.dense, c.reals), r, c.classes);
      break;
  }
  constexpr const char* kRules[] = {"uniform", "others", "flip", "additive"};
  row.rule = kRules[static_cast<int>(options.smoothing.rule)];
  row.amount = options.smoothing.amount;
  if (!c.amount_by_class.empty()) row.amount = real(c.amount_by_class[label]);
  if (!c.amount_by_row.empty()) row.amount = real(c.amount_by_row[r]);
  const auto prior = rounded(c.prior, c.reals);
  if (c.prior_kind == Prior::Kind::shared) row.prior = row_of(prior, 0, c.classes);
  if (c.prior_kind == Prior::Kind::by_label) row.prior = row_of(prior, label, c.classes);
  if (c.prior_kind == Prior::Kind::by_row) row.prior = row_of(prior, r, c.classes);
  if (!c.class_weights.empty()) row.class_weights = row_of(rounded(c.class_weights, c.reals), 0, c.classes);
  constexpr const char* kWeightings[] = {"per_term", "label", "expected"};
  row.weighting = kWeightings[static_cast<int>(options.weighting)];
  if (!c.row_weights.empty()) row.row_weight = real(c.row_weights[r]);
  row.finite_support = options.support == Support::finite;
  if (!c.mask.empty()) {
    const int64_t first = static_cast<int64_t>(c.mask.size()) == c.classes ? 0 : r * c.classes;
    for (int64_t k = 0; k < c.classes; ++k) row.excluded.push_back(c.mask[first + k] == 0);
  }
  row.scale = options.scale, row.soft_cap = options.soft_cap, row.z_loss = options.z_loss;
  row.entropy_penalty = options.entropy_penalty, row.max_suppression = options.max_suppression;
  return row;
}

inline reference::Total reference_of(const LossCase& c) {
  std::vector<reference::Row> rows;
  for (int64_t r = 0; r < c.rows(); ++r) rows.push_back(reference_row(c, r));
  constexpr const char* kReductions[] = {"mean", "sum", "none"};
  constexpr const char* kDenominators[] = {"weights", "rows", "constant"};
  const reference::Reduction reduction = {
      kReductions[static_cast<int>(c.options.reduction)], kDenominators[c.options.denominator.kind],
      c.options.denominator.value, c.options.empty == Empty::zero ? 0 : kNan};
  const auto upstream = rounded(c.upstream_rows, c.reals);
  return reference::reduce(rows, reduction, c.upstream, {upstream.begin(), upstream.end()});
}

// ---- Comparing ----

/// The distance of neighbours around `value`.
inline double spacing(DType dtype, double value) {
  const int digits = dtype == DType::f64 ? 53 : dtype == DType::f32 ? 24 : dtype == DType::f16 ? 11 : 8;
  const int least = dtype == DType::f64 ? -1022 : dtype == DType::f16 ? -14 : -126;
  const int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
  return std::exp2(exponent + 1 - digits);
}

inline void expect_near(double value, reference::Real truth, double bound, const std::string& what) {
  const auto expected = static_cast<double>(truth);
  if (std::isfinite(expected)) {
    EXPECT_LE(std::abs(static_cast<double>(value - truth)), bound)
        << what << " " << value << ", is " << expected;
  } else if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(value)) << what << " " << value;
  } else {
    EXPECT_EQ(value, expected) << what;
  }
}

/// The bounds of one row, as cross_entropy.h and docs/math.md state them.
class Bounds {
 public:
  Bounds(const LossCase& c, const reference::Truth& truth, double row_weight)
      : truth_(truth), options_(c.options), row_weight_(std::abs(row_weight)), dtype_(c.dtype) {
    const bool transformed = options_.scale != 1 || options_.soft_cap != 0;
    compute_ = dtype_ == DType::f64 || transformed ? DType::f64 : DType::f32;
    ulps_ = compute_ == DType::f32 ? 2 : 2 + std::sqrt(static_cast<double>(c.classes)) / 8;
    if (transformed && truth.argmax >= 0)  // z itself is rounded
      for (const reference::Real z : truth.z) {
        if (std::isfinite(z)) ulps_ = std::max(ulps_, 2 + 4 * static_cast<double>(std::abs(z)));
      }
    mass_ = 1 + options_.entropy_penalty + options_.max_suppression +
            2 * options_.z_loss * static_cast<double>(std::abs(truth.lse));
    for (const reference::Real q : truth.target_size) mass_ += std::isnan(q) ? 0 : static_cast<double>(q);
  }
  double loss() const { return row_weight_ * mass_ * part(static_cast<double>(truth_.magnitude)); }
  double part(double value) const { return ulps_ * spacing(compute_, size(value)); }
  /// Two roundings more where they are of the same size as those of the sums: of z - m times its exp, and of
  /// the quotient.
  double entropy(double value) const {
    return (ulps_ + (compute_ == DType::f64 ? 2 : 0)) * spacing(compute_, size(value));
  }
  double nll(double value) const { return mass_ * part(value); }
  /// Of an element of the gradient, whose factor is the upstream's and the denominator's.
  double gradient(int64_t k, double factor, double stored) const {
    const double eps = spacing(compute_, 1),
                 least = spacing(compute_, 0) * std::exp2(compute_ == DType::f32 ? 24 : 53);
    const double log_p = static_cast<double>(truth_.log_probability[k]), p = std::exp(log_p);
    const double x = std::isfinite(log_p) ? static_cast<double>(truth_.z[truth_.argmax] - truth_.z[k]) : 0;
    const double slope = mass_ + options_.entropy_penalty * (x + static_cast<double>(truth_.entropy));
    const double q = static_cast<double>(truth_.target_size[k]) +
                     options_.max_suppression / static_cast<double>(truth_.z.size()) +
                     (k == truth_.argmax ? options_.max_suppression : 0);
    const double error = (slope * p * (ulps_ + 2 + x / 2) + 4 * q) * eps + mass_ * least;
    const bool half = dtype_ == DType::f16 || dtype_ == DType::bf16;  // rounded to f32 on the way
    const double rounding = .5 * spacing(dtype_, stored) + (half ? spacing(DType::f32, stored) : 0);
    return row_weight_ * std::abs(factor) * options_.scale * error + (dtype_ == compute_ ? 0 : rounding);
  }

 private:
  static double size(double value) { return std::isfinite(value) ? std::max(1., std::abs(value)) : 1; }

  const reference::Truth& truth_;
  const Options& options_;
  double row_weight_;
  DType dtype_, compute_;
  double ulps_, mass_;
};

/// Everything that the call returns and writes, against the reference.
inline void expect_reference(const LossCase& c) {
  const Outcome out = run(c);
  const reference::Total truth = reference_of(c);
  double total_bound = 0, nll_bound = 0;
  for (int64_t r = 0; r < c.rows(); ++r) {
    const reference::Truth& row = truth.rows[r];
    const double row_weight = c.row_weights.empty() ? 1 : c.row_weights[r];
    const Bounds bounds(c, row, row_weight);
    const std::string name = " of row " + std::to_string(r) + " (" + isa() + ")";
    expect_near(out.loss[r], row.loss, bounds.loss(), "loss" + name);
    expect_near(out.nll[r], row.nll, bounds.nll(static_cast<double>(row.nll)), "nll" + name);
    expect_near(out.lse[r], row.lse, bounds.part(static_cast<double>(row.lse)), "lse" + name);
    expect_near(out.confidence[r], row.confidence, 2 * bounds.part(1), "confidence" + name);
    if (c.asks_entropy)
      expect_near(out.entropy[r], row.entropy, bounds.entropy(static_cast<double>(row.entropy)),
                  "entropy" + name);
    EXPECT_EQ(out.argmax[r], row.argmax) << name;
    if (!out.correct.empty()) {
      EXPECT_EQ(out.correct[r], row.correct) << name;
    }
    total_bound += bounds.loss();
    nll_bound += bounds.nll(static_cast<double>(row.nll));
    for (int64_t k = 0; k < c.classes; ++k) {
      const double value = out.gradient[r * c.classes + k];
      const reference::Real expected = truth.gradient[r][k];
      const bool valued = std::isfinite(expected) && !row.log_probability.empty();
      const double old = c.write == Write::accumulate ? 1 : 0;
      double bound = valued ? bounds.gradient(k, static_cast<double>(truth.factor[r]), value) : 0;
      if (old != 0) bound += spacing(c.dtype, std::abs(value) + old);  // the sum is rounded, and so is ours
      expect_near(value, expected, bound, "gradient" + name + " class " + std::to_string(k));
      if (::testing::Test::HasFailure()) return;  // one is enough
    }
  }
  const bool valued = truth.denominator != 0;
  const double denominator = valued ? std::abs(static_cast<double>(truth.denominator)) : 1;
  expect_near(out.result.denominator, truth.denominator, 1e-14 * (denominator + 10), "denominator");
  expect_near(out.result.loss, truth.loss, 2 * total_bound / denominator, "loss");
  expect_near(out.result.nll, truth.nll, 2 * nll_bound, "nll");
  EXPECT_EQ(out.result.rows, c.rows());
  EXPECT_EQ(out.result.counted, truth.counted);
  const bool unlabelled = c.kind == Target::Kind::dense && (!c.dense_has_labels || c.rows() == 0);
  EXPECT_EQ(out.result.correct, unlabelled ? -1 : truth.correct);
  EXPECT_EQ(out.result.first_impossible_row, truth.first_impossible_row);
}

}  // namespace labelsmooth
