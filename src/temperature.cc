// SPDX-License-Identifier: MIT
// Temperature scaling: the root of mean NLL - mean entropy, by a safeguarded solve in log T.
#include <algorithm>  // std::max, std::min
#include <cmath>      // std::abs, std::exp, std::isfinite, std::isinf, std::log, std::sqrt
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string
#include <vector>     // std::vector

#include "labelsmooth/calibration.h"
#include "probabilities.h"

namespace labelsmooth {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kNormal975 = 1.959963984540054;  // quantile of the normal distribution

/// Means over the counted rows of softmax(z / T), x = log T.
struct At {
  double nll, entropy;
  double slope;    // entropy - nll: that of the NLL in x
  double squares;  // mean square of a row's slope
};

class Problem {
 public:
  Problem(const Logits& logits, const Vector& labels, const TemperatureOptions& options)
      : logits_(logits), labels_(labels), nll_(static_cast<size_t>(logits.rows())), entropy_(nll_.size()) {
    options_.ignore_index = options.ignore_index;
    options_.scores = false;
  }

  At at(double x) {
    options_.scale = std::exp(-x);
    counted_ = 0;
    for_each_block(logits_, labels_, options_, [this](const ProbabilityBlock& block) {
      for (int64_t i = 0; i < block.rows; ++i) {
        if (!block.counts(i)) continue;
        nll_[block.begin + i] = block.nll[i];
        entropy_[block.begin + i] = block.entropy[i];
        ++counted_;
      }
    });
    At sum = {0, 0, 0, 0};
    for (size_t i = 0; i < nll_.size(); ++i) {  // ignored rows hold 0
      const double slope = entropy_[i] - nll_[i];
      sum.nll += nll_[i];
      sum.entropy += entropy_[i];
      sum.slope += slope;
      sum.squares += slope * slope;
    }
    const auto n = static_cast<double>(counted_);
    return {sum.nll / n, sum.entropy / n, sum.slope / n, sum.squares / n};
  }

  /// The first pass: what the rest takes for granted.
  At checked(double x) {
    const At start = at(x);
    if (counted_ == 0) throw Error("labels", "no row counts, at least one is needed");
    for (size_t i = 0; i < nll_.size(); ++i) {
      const std::string row = "row " + std::to_string(i);
      const auto index = static_cast<int64_t>(i);
      if (std::isinf(nll_[i]))
        throw Error("logits", row + " has -inf for its label, a finite logit is needed", index);
    }
    return start;
  }

  int64_t counted() const { return counted_; }

 private:
  const Logits& logits_;
  const Vector& labels_;
  ProbabilityOptions options_;
  std::vector<double> nll_, entropy_;
  int64_t counted_ = 0;
};

/// The root of a falling f between a and b, f(a) > 0 > f(b), by inverse quadratic interpolation where that is
/// safe and bisection elsewhere (Chandrupatla 1997).
template <class F>
double root(const F& f, double a, double fa, double b, double fb) {
  double c = a, fc = fa, t = 0.5;
  for (int step = 0; step < 100; ++step) {
    const double x = a + t * (b - a), fx = f(x);
    if ((fx > 0) == (fa > 0)) {
      c = a, fc = fa;
    } else {
      c = b, fc = fb;
      b = a, fb = fa;
    }
    a = x, fa = fx;
    const double best = std::abs(fa) < std::abs(fb) ? a : b;
    const double width = std::abs(b - a), tolerance = 1e-14 * std::max(1.0, std::abs(best));
    if (fa == 0 || width <= 2 * tolerance) return best;
    const double xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb);
    const bool safe = phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi;
    t = safe ? fa / (fb - fa) * (fc / (fb - fc)) + (c - a) / (b - a) * (fa / (fc - fa)) * (fb / (fc - fb))
             : 0.5;
    t = std::min(std::max(t, tolerance / width), 1 - tolerance / width);
  }
  return (a + b) / 2;
}

}  // namespace

TemperatureFit fit_temperature(const Logits& logits, const Vector& labels,
                               const TemperatureOptions& options) {
  if (!(options.least > 0 && options.least < options.most && std::isfinite(options.most)))
    throw Error("options.least", "bounds found that are not 0 < least < most");
  Problem problem(logits, labels, options);
  const At before = problem.checked(0);
  const double low = std::log(options.least), high = std::log(options.most);
  const double slope_low = problem.at(low).slope, slope_high = problem.at(high).slope;

  // As a function of T the NLL falls to the optimum and rises after it: its slope goes from below 0 to above.
  const bool flat = slope_low == 0 && slope_high == 0;
  const bool at_bound = !flat && (slope_low >= 0 || slope_high <= 0);
  double x = 0;
  if (at_bound) {
    x = slope_low >= 0 ? low : high;
  } else if (!flat) {
    x = root([&](double at) { return -problem.at(at).slope; }, low, -slope_low, high, -slope_high);
  }
  const At after = problem.at(x);
  TemperatureFit fit = {std::exp(x),       kNan,    kNan, kNan, before.nll, after.nll, after.entropy,
                        problem.counted(), at_bound};
  if (flat || at_bound || problem.counted() < 2) return fit;

  // Estimating equation mean slope = 0: variance = mean square of the rows' slopes / (n curvature^2).
  constexpr double kStep = 1e-4;
  const double curvature = (problem.at(x + kStep).slope - problem.at(x - kStep).slope) / (2 * kStep);
  const auto n = static_cast<double>(problem.counted());
  fit.log_error = std::sqrt(after.squares / (n - 1)) / curvature;
  fit.low = std::exp(x - kNormal975 * fit.log_error);
  fit.high = std::exp(x + kNormal975 * fit.log_error);
  return fit;
}

}  // namespace labelsmooth
