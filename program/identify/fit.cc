// SPDX-License-Identifier: MIT
#include "identify/fit.h"

#include <cmath>   // std::abs, std::sqrt
#include <limits>  // std::numeric_limits

namespace labelsmooth::identify {
namespace {

// The normal equations of up to two parameters in long double. A direction that the first column explains to
// the last digits is not told by the rows and left at 0.
struct Normal {
  long double xx = 0, xz = 0, zz = 0;  // x and z: the two columns

  bool first() const { return xx > 0; }
  bool second() const { return rest() > 1e-16L * zz; }
  // What the first column leaves of the second.
  long double rest() const { return first() ? zz - xz * xz / xx : zz; }

  void add(const std::array<double, 2>& row) {
    xx += static_cast<long double>(row[0]) * row[0];
    xz += static_cast<long double>(row[0]) * row[1];
    zz += static_cast<long double>(row[1]) * row[1];
  }
  std::array<double, 2> solve(long double x, long double z) const {
    const long double t1 = second() ? (first() ? z - x * xz / xx : z) / rest() : 0;
    const long double t0 = first() ? (x - xz * t1) / xx : 0;
    return {static_cast<double>(t0), static_cast<double>(t1)};
  }
};

}  // namespace

Fit fit(int64_t rows, int parameters, const std::function<Equation(int64_t)>& equation) {
  const auto scaled = [&](int64_t i) {
    Equation e = equation(i);
    e.y /= e.allowed;
    for (int j = 0; j < kMostParameters; ++j) e.x[j] = j < parameters ? e.x[j] / e.allowed : 0;
    return e;
  };
  Fit result;
  Normal normal;
  long double right[2] = {0, 0};
  for (int64_t i = 0; i < rows; ++i) {
    const Equation e = scaled(i);
    normal.add(e.x);
    for (int j = 0; j < 2; ++j) right[j] += static_cast<long double>(e.x[j]) * e.y;
  }
  result.theta = normal.solve(right[0], right[1]);

  long double left[2] = {0, 0}, reach[2] = {0, 0};
  for (int64_t i = 0; i < rows; ++i) {
    const Equation e = scaled(i);
    const double residual = e.y - e.x[0] * result.theta[0] - e.x[1] * result.theta[1];
    const std::array<double, 2> pull = normal.solve(e.x[0], e.x[1]);
    for (int j = 0; j < 2; ++j) {
      left[j] += static_cast<long double>(e.x[j]) * residual;
      reach[j] += std::abs(pull[j]);
    }
  }
  const std::array<double, 2> step = normal.solve(left[0], left[1]);
  const bool told[2] = {normal.first(), normal.second()};
  const bool tangled = parameters == 2 && !told[1];  // then the first absorbs the second
  for (int j = 0; j < 2; ++j) {
    result.theta[j] += step[j];
    result.uncertainty[j] =
        told[j] && !tangled ? static_cast<double>(reach[j]) : std::numeric_limits<double>::infinity();
  }

  long double squares = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const Equation e = scaled(i);
    const double ratio = std::abs(e.y - e.x[0] * result.theta[0] - e.x[1] * result.theta[1]);
    squares += static_cast<long double>(ratio) * ratio;
    result.residual = std::max(result.residual, ratio * e.allowed);
    if (ratio >= result.worst) {
      result.worst = ratio;
      result.rounding = e.allowed;
    }
  }
  result.rms = static_cast<double>(std::sqrt(squares / static_cast<long double>(rows)));
  return result;
}

}  // namespace labelsmooth::identify
