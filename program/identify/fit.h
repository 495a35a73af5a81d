// SPDX-License-Identifier: MIT
// Least squares of few parameters over many rows, where each row's error is bounded by what rounding allows.
#pragma once

#include <array>       // std::array
#include <cstdint>     // int64_t
#include <functional>  // std::function

namespace labelsmooth::identify {

inline constexpr int kMostParameters = 2;

/// y = sum_j x[j] theta[j], where rounding may move y by `allowed` > 0.
struct Equation {
  double y = 0;
  std::array<double, kMostParameters> x = {};
  double allowed = 1;
};

struct Fit {
  std::array<double, kMostParameters> theta = {};
  /// No set of errors within `allowed` moves theta[j] further than this; infinity where the rows do not tell.
  std::array<double, kMostParameters> uncertainty = {};
  double worst = 0;     // largest |residual| / allowed: the equations hold to rounding up to 1
  double rms = 0;       // root mean square of the same
  double residual = 0;  // largest |residual|
  double rounding = 0;  // what was allowed in the row of `worst`
};

/// Each equation counts by 1 / allowed. Three passes over the rows: the normal equations, one refinement with
/// the uncertainty, the residuals.
Fit fit(int64_t rows, int parameters, const std::function<Equation(int64_t)>& equation);

}  // namespace labelsmooth::identify
