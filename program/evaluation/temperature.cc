// SPDX-License-Identifier: MIT
#include "evaluation/temperature.h"

#include <algorithm>                           // std::max_element
#include <boost/math/tools/toms748_solve.hpp>  // toms748_solve, eps_tolerance
#include <cmath>                               // std::exp, std::log
#include <limits>                              // std::numeric_limits
#include <utility>                             // std::pair

#include "evaluation/items.h"

namespace labelsmooth {
namespace {

/// Means over the rows of p = softmax(beta * z).
struct Fit {
  double nll = 0, entropy = 0;
  double slope = 0;  // d nll / d beta = E_p[z] - z_y
};

Fit fit_at(double beta, std::span<const float> logits, std::span<const int64_t> labels, int64_t classes) {
  Fit sum;
  for (size_t i = 0; i < labels.size(); ++i) {
    const float* z = logits.data() + i * classes;
    const double max = *std::max_element(z, z + classes);
    double norm = 0, dot = 0;  // sums of exp(beta (z - max)) and of (z - max) times it
    for (int64_t k = 0; k < classes; ++k) {
      const double weight = std::exp(beta * (z[k] - max));
      norm += weight;
      if (weight > 0) dot += weight * (z[k] - max);  // a class at -inf adds 0, not NaN
    }
    const double label = z[labels[i]] - max;
    sum.nll += std::log(norm) - beta * label;
    sum.entropy += std::log(norm) - beta * dot / norm;
    sum.slope += dot / norm - label;
  }
  const auto rows = static_cast<double>(labels.size());
  return {sum.nll / rows, sum.entropy / rows, sum.slope / rows};
}

}  // namespace

Temperature fit_temperature(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes) {
  check_logits(logits, labels, classes);
  const auto slope = [&](double log_beta) {
    return fit_at(std::exp(log_beta), logits, labels, classes).slope;
  };
  const double low = -std::log(kMostTemperature), high = -std::log(kLeastTemperature);
  const double slope_low = slope(low), slope_high = slope(high);  // the slope rises with beta

  double temperature = 1;
  const bool flat = slope_low == 0 && slope_high == 0;
  const bool at_bound = !flat && (slope_low >= 0 || slope_high <= 0);
  if (at_bound) {
    temperature = slope_low >= 0 ? kMostTemperature : kLeastTemperature;
  } else if (!flat) {
    std::uintmax_t steps = 100;  // about 10 are taken
    const boost::math::tools::eps_tolerance<double> close(std::numeric_limits<double>::digits - 2);
    const auto [left, right] =
        boost::math::tools::toms748_solve(slope, low, high, slope_low, slope_high, close, steps);
    temperature = std::exp(-(left + right) / 2);
  }
  const Fit after = fit_at(1 / temperature, logits, labels, classes);
  return {temperature, fit_at(1, logits, labels, classes).nll, after.nll, after.entropy, at_bound};
}

}  // namespace labelsmooth
