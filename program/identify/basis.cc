// SPDX-License-Identifier: MIT
#include "identify/basis.h"

#include <algorithm>  // std::find_if, std::max, std::none_of
#include <cmath>      // std::abs, std::frexp, std::isfinite, std::ldexp, std::remainder, std::sqrt
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth::identify {
namespace {

// A binary floating type: digits of the significand, least and largest exponent in the sense of frexp.
struct Format {
  DType dtype;
  int digits, least_exponent, largest_exponent;

  double epsilon() const { return std::ldexp(1, 1 - digits); }
  double smallest() const { return std::ldexp(1, least_exponent - digits); }
  bool holds(double value) const {
    if (!std::isfinite(value) || value == 0) return true;
    int exponent;
    std::frexp(value, &exponent);
    const double ulp = std::ldexp(1, std::max(exponent, least_exponent) - digits);
    return exponent <= largest_exponent && std::remainder(value, ulp) == 0;
  }
};
// By digits: what holds the values with the fewest is what they were rounded to.
constexpr Format kFormats[] = {{DType::bf16, 8, -125, 128},
                               {DType::f16, 11, -13, 16},
                               {DType::f32, 24, -125, 128},
                               {DType::f64, 53, -1021, 1024}};

const Format& format_of(DType dtype) {
  return *std::find_if(std::begin(kFormats), std::end(kFormats),
                       [dtype](const Format& format) { return format.dtype == dtype; });
}

Precision precision_of(const Vector& losses, DType logits) {
  const Format& format = format_of(narrowest(losses));
  const bool f64 = format.dtype == DType::f64 && logits == DType::f64;
  return {format.dtype, format.epsilon(), format.smallest(),
          format_of(f64 ? DType::f64 : DType::f32).epsilon()};
}

// A row's loss must be finite where its logits are; where they are not, the hypotheses judge it.
void add_row(Basis& basis, const Row& row) {
  const bool finite = std::isfinite(row.hard) && std::isfinite(row.flat);
  if (finite && !basis.one_number && !std::isfinite(row.found)) {
    throw Error("losses",
                "row " + std::to_string(row.row) + " has " + std::to_string(row.found) +
                    ", a finite loss is needed where the logits are finite",
                row.row);
  }
  (finite ? basis.finite : basis.infinite).push_back(row);
}

}  // namespace

double Basis::allowed(const Row& row, double factor) const {
  const double growth = 4 + std::sqrt(static_cast<double>(classes)) / 2;
  const double value = one_number ? std::abs(factor) * row.flat : std::abs(row.found);
  const double stored = one_number ? 0 : 2 * precision.stored * value;
  const double terms = value + std::abs(factor) * (1 + std::abs(row.lse) + row.hard);
  return stored + precision.smallest + precision.computed * growth * terms;
}

DType narrowest(const Vector& values) {
  bool zero = true;
  for (int64_t i = 0; i < values.size; ++i) zero &= values.real(i) == 0;
  if (zero) return values.dtype;
  for (const Format& format : kFormats) {
    if (format.dtype == DType::bf16 && values.dtype == DType::f16) continue;
    if (format.dtype == values.dtype) break;
    if (values.size == 1 && format.digits < 24) continue;  // 1.5 is no evidence of a short type
    bool holds = true;
    for (int64_t i = 0; i < values.size && holds; ++i) holds = format.holds(values.real(i));
    if (holds) return format.dtype;
  }
  return values.dtype;
}

Basis make_basis(const Logits& logits, const Vector& labels, const Vector& losses,
                 const Vector& class_weights, int64_t ignore_index) {
  Basis basis;
  basis.classes = logits.classes;
  basis.rows = logits.rows();
  basis.weighted = !class_weights.empty();
  basis.one_number = losses.size == 1;
  const auto rows = static_cast<size_t>(basis.rows);
  std::vector<double> flat(rows), hard(rows), lse(rows), weighted_flat(basis.weighted ? rows : 0);
  Options options = {.smoothing = uniform(1), .ignore_index = ignore_index};
  basis.counted = cross_entropy(logits, labels, options, {.loss = flat, .nll = hard, .lse = lse}).counted;
  if (basis.counted == 0) throw Error("labels", "no row counts, so there is nothing to identify");
  if (basis.weighted) {
    options.class_weights = class_weights;
    basis.weight_sum = cross_entropy(logits, labels, options, {.loss = weighted_flat}).denominator;
    double sum = 0;
    for (int64_t k = 0; k < class_weights.size; ++k) sum += class_weights.real(k);
    basis.mean_weight = sum / static_cast<double>(basis.classes);
  }

  basis.precision = precision_of(losses, logits.dtype);
  if (basis.one_number) basis.total = losses.real(0);
  if (basis.one_number && !std::isfinite(basis.total)) {
    throw Error("losses", std::to_string(basis.total) + " found, a finite number is needed");
  }
  for (int64_t row = 0; row < basis.rows; ++row) {
    const int64_t label = labels.label(row);
    const double found = basis.one_number ? std::numeric_limits<double>::quiet_NaN() : losses.real(row);
    if (label == ignore_index) {
      basis.ignored_nonzero += !basis.one_number && found != 0;
      continue;
    }
    add_row(basis, {row, label, hard[row], flat[row], basis.weighted ? weighted_flat[row] : flat[row],
                    basis.weighted ? class_weights.real(label) : 1, lse[row], found});
  }
  const auto is_finite = [](const Row& row) { return std::isfinite(row.hard); };
  if (basis.finite.empty() && std::none_of(basis.infinite.begin(), basis.infinite.end(), is_finite))
    throw Error("logits", "no counted row has a finite loss");
  return basis;
}

}  // namespace labelsmooth::identify
