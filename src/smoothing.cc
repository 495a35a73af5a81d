// SPDX-License-Identifier: MIT
#include "labelsmooth/smoothing.h"

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::log, std::isfinite
#include <cstddef>    // std::byte
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

#include "storage.h"
#include "validate.h"

namespace labelsmooth {
namespace {

// A row of the prior: finite, not negative, of sum 1.
void check_shared(const Rows& prior, int64_t classes) {
  if (prior.data == nullptr) throw Error("prior", "null data");
  if (!is_float(prior.dtype)) {
    throw Error("prior",
                std::string("has type ") + name(prior.dtype) + ", f32, f64, f16 and bf16 are allowed");
  }
  if (prior.outer != 1 || prior.inner != 1) throw Error("prior", "several rows found, a shared prior is one");
  if (prior.classes != classes) {
    throw Error("prior", "has " + std::to_string(prior.classes) + " entries, there are " +
                             std::to_string(classes) + " classes");
  }
  check_prior_row(prior, 0, -1);
}

}  // namespace

void check_prior_row(const Rows& prior, int64_t row, int64_t named_row, bool whole) {
  const std::string where = named_row < 0 ? "" : "row " + std::to_string(named_row) + " ";
  double sum = 0;
  int64_t bad = -1;
  with_storage(prior.dtype, [&]<class S>() {
    const S* values = static_cast<const S*>(prior.data) + prior.index(row, 0);
    for (int64_t k = 0; k < prior.classes; ++k) {
      const auto value = load<double>(values[k * prior.class_stride]);
      if (!(value >= 0 && value <= std::numeric_limits<double>::max()) && bad < 0) bad = k;
      sum += value;
    }
  });
  if (bad >= 0) {
    throw Error("prior",
                where + "class " + std::to_string(bad) + " has " + std::to_string(prior.real(row, bad)) +
                    ", finite and non-negative values are allowed",
                named_row);
  }
  // Halves cannot sum closer than their own rounding.
  const double tolerance = prior.dtype == DType::bf16 ? 0x1p-8 : prior.dtype == DType::f16 ? 0x1p-11 : 1e-6;
  if (whole && !(std::abs(sum - 1) <= tolerance))
    throw Error("prior", where + "sums to " + std::to_string(sum) + ", 1 is needed", named_row);
}

Smoothing Smoothing::at(int64_t label, int64_t row) const {
  Smoothing smoothing = *this;
  smoothing.amount_by_class = smoothing.amount_by_row = {};
  if (!amount_by_class.empty()) smoothing.amount = amount_by_class.real(label);
  if (!amount_by_row.empty()) smoothing.amount = amount_by_row.real(row);
  if (prior.kind == Prior::Kind::by_label || prior.kind == Prior::Kind::by_row) {
    const int64_t from = prior.kind == Prior::Kind::by_label ? label : row;
    Rows& rows = smoothing.prior.rows;
    rows.data = static_cast<const std::byte*>(prior.rows.data) +
                prior.rows.index(from, 0) * static_cast<int64_t>(size_bytes(rows.dtype));
    rows.outer = rows.inner = 1;
    smoothing.prior.kind = Prior::Kind::shared;
  }
  return smoothing;
}

Smoothing uniform(double amount, const Prior& prior) { return {Rule::uniform, amount, prior, {}, {}}; }
Smoothing others(double amount) { return {Rule::others, amount, {}, {}, {}}; }
Smoothing flip(double amount) { return {Rule::flip, amount, {}, {}, {}}; }
Smoothing additive(double amount) { return {Rule::additive, amount, {}, {}, {}}; }

Affine affine(Rule rule, double e, int64_t classes) {
  const auto k = static_cast<double>(classes);
  if (classes < 1) throw Error("classes", std::to_string(classes) + " found, at least 1 is needed");
  if (!(e >= 0 && e <= 1)) throw Error("smoothing", std::to_string(e) + " found, 0 to 1 is allowed");
  if (e == 0) return {1, 0};
  switch (rule) {
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

Affine affine(const Smoothing& smoothing, int64_t classes) {
  const Affine result = affine(smoothing.rule, smoothing.amount, classes);
  if (!smoothing.amount_by_class.empty() || !smoothing.amount_by_row.empty())
    throw Error("smoothing", "varies by class or row; one row's is needed, see Smoothing::at");
  if (smoothing.prior.empty()) return result;
  if (smoothing.rule != Rule::uniform) throw Error("prior", "only the rule uniform takes a prior");
  if (smoothing.prior.kind != Prior::Kind::shared)
    throw Error("prior", "varies by label or row; one row's is needed, see Smoothing::at");
  check_shared(smoothing.prior.rows, classes);
  return result;
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
    const Rows& prior = smoothing.prior.rows;
    for (int64_t k = 0; k < classes; ++k) norm += prior.real(0, k);
    for (int64_t k = 0; k < classes; ++k) q[k] = b * prior.real(0, k) / norm;
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

Equivalent convert(const Smoothing& smoothing, Rule rule, int64_t classes) {
  if (!smoothing.prior.empty()) throw Error("prior", "found, only a uniform one can be converted");
  const double total = as_uniform(smoothing, classes).scale;  // not 0
  const auto [a, b] = affine(smoothing, classes);
  if (rule == smoothing.rule) return {smoothing.amount, 1};
  if (b == 0) return {0, total};
  // Under `rule` an amount e has the coefficients 1 - e + e * full.a and e * full.b: solved for the e whose
  // pair stands as a to b. The quotient b / (a + b) would lose digits where K is large.
  const Affine full = affine({rule, 1}, classes);
  const double e = b / (full.b * a + (1 - full.a) * b);
  // a is rounded to epsilon, full.b is up to K
  const double rounding = 4 * std::numeric_limits<double>::epsilon() * static_cast<double>(classes);
  if (!(e >= 0 && e <= 1 + rounding)) throw Error("smoothing", "no amount in 0 to 1 has the same optimum");
  const double amount = std::min(e, 1.);
  return {amount, total / mass({rule, amount}, classes)};
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
