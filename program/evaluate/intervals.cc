// SPDX-License-Identifier: MIT
#include "evaluate/intervals.h"

#include <algorithm>                                             // std::clamp, std::max, std::min
#include <array>                                                 // std::array
#include <boost/math/distributions/non_central_chi_squared.hpp>  // non_central_chi_squared, chi_squared
#include <boost/math/distributions/normal.hpp>                   // normal
#include <boost/math/distributions/students_t.hpp>               // students_t, quantile
#include <cmath>                                                 // std::isfinite, std::pow, std::sqrt

namespace labelsmooth {
namespace {

constexpr double kTail = 0.025;

Interval t_interval(double value, double squared_error, double n) {
  if (n < 2 || !(squared_error > 0) || !std::isfinite(squared_error)) return {.value = value};
  const double half = quantile(boost::math::students_t(n - 1), 1 - kTail) * std::sqrt(squared_error);
  return {value, value - half, value + half};
}

/// Q = sum of weight_b (noise_b + mean_b)^2, noise_b normal of variance `variance_b`.
struct Term {
  double weight, variance, square;  // square: mean_b^2 at theta = 1
};

/// P(Q > q) at the given theta: the chi-square with the same first four cumulants, nearly (Liu, Tang and
/// Zhang 2009).
double exceeds(const std::vector<Term>& terms, double theta, double q) {
  std::array<double, 5> c = {};
  for (const Term& term : terms) {
    const double scale = term.weight * term.variance, shift = theta * term.square / term.variance;
    double power = 1;
    for (int k = 1; k <= 4; ++k) {
      power *= scale;
      c[k] += power * (1 + k * shift);
    }
  }
  const double s1 = c[3] / std::pow(c[2], 1.5), s2 = c[4] / (c[2] * c[2]);
  double a = 1 / s1, delta = 0, df = 1 / (s1 * s1);
  if (s1 * s1 > s2) {
    a = 1 / (s1 - std::sqrt(s1 * s1 - s2));
    delta = s1 * a * a * a - a * a;
    df = a * a - 2 * delta;
  }
  const double at = (q - c[1]) / std::sqrt(2 * c[2]) * std::sqrt(2.0) * a + df + delta;
  if (at <= 0) return 1;
  if (delta <= 0) return cdf(complement(boost::math::chi_squared(df), at));
  if (df + delta > 1e5) return cdf(complement(boost::math::normal(), (q - c[1]) / std::sqrt(2 * c[2])));
  return cdf(complement(boost::math::non_central_chi_squared(df, delta), at));
}

/// The theta >= 0 at which P(Q > q) = p, which rises with theta; 0 where it is above p from the start.
double solve(const std::vector<Term>& terms, double q, double p) {
  if (exceeds(terms, 0, q) >= p) return 0;
  double low = 0, high = std::max(q, 1e-300);
  while (exceeds(terms, high, q) < p) high *= 2;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (exceeds(terms, middle, q) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

Interval mean_interval(const Moments& moments, double n) {
  const double variance = (moments.squares - moments.sum * moments.sum / n) / (n - 1);
  return t_interval(moments.sum / n, variance / n, n);
}

Interval share_interval(double right, double n) {
  const double z = quantile(boost::math::normal(), 1 - kTail), p = right / n, z2 = z * z;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return within({p, middle - half, middle + half}, 0, 1);
}

Interval jackknife_interval(double value, const std::vector<double>& pseudo_values) {
  const auto n = static_cast<double>(pseudo_values.size());
  double mean = 0, squares = 0;
  for (const double x : pseudo_values) mean += x / n;
  for (const double x : pseudo_values) squares += (x - mean) * (x - mean);
  return t_interval(value, squares / (n - 1) / n, n);
}

Interval within(Interval interval, double least, double most) {
  interval.low = std::clamp(interval.low, least, most);
  interval.high = std::clamp(interval.high, least, most);
  return interval;
}

Interval debiased_square(const std::vector<BinSummary>& groups) {
  constexpr double kFewest = 10;
  double n = 0, fewest = kFewest;
  for (const BinSummary& group : groups) {
    n += group.count;
    fewest = std::min(fewest, group.count);
  }
  Interval result = {.value = 0};
  std::vector<Term> terms;
  double q = 0, direction = 0;
  for (const BinSummary& group : groups) {
    if (group.count < 2) continue;
    const double weight = group.count / n, accuracy = group.correct / group.count;
    const double gap = (group.confidence - group.correct) / group.count;
    result.value += weight * (gap * gap - accuracy * (1 - accuracy) / (group.count - 1));
    // One more row, right as often as the model says: groups without an error still have a variance.
    const double prior = group.confidence / group.count;
    const double share = (group.correct + prior) / (group.count + 1);
    const double variance = share * (1 - share) / group.count;
    if (variance <= 0) continue;
    q += weight * gap * gap;
    terms.push_back({weight, variance, std::max(gap * gap - variance, 0.0)});
    direction += weight * terms.back().square;
  }
  if (terms.empty() || fewest < kFewest) return result;
  for (Term& term : terms) term.square = direction > 0 ? term.square / direction : 1;
  result.low = solve(terms, q, kTail);
  result.high = solve(terms, q, 1 - kTail);
  return result;
}

}  // namespace labelsmooth
