// SPDX-License-Identifier: MIT
// 95 % intervals over the rows of one model: only where one is honest (docs/calibration.md).
#pragma once

#include <limits>  // std::numeric_limits
#include <vector>  // std::vector

#include "evaluate/top_label.h"
#include "labelsmooth/calibration.h"  // Moments

namespace labelsmooth {

/// NaN where it cannot be known.
struct Interval {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  double value = kUnknown, low = kUnknown, high = kUnknown;
};

/// Of a mean of n rows: Student's t. Without variance, or below two rows, the value alone.
Interval mean_interval(const Moments& moments, double n);
/// Of a share, right rows of n: Wilson's, the inverted normal test, which holds near 0 and 1 too.
Interval share_interval(double right, double n);
/// Of `value` by its jackknife pseudo-values, one a row: t with their standard error.
Interval jackknife_interval(double value, const std::vector<double>& pseudo_values);
/// The same ends cut to what the metric can be.
Interval within(Interval interval, double least, double most);

/// sum over the groups of n_b / N (d_b^2 - a_b (1 - a_b) / (n_b - 1)), d_b = confidence - accuracy, groups of
/// one row counting 0: the squared l2 calibration error without the bias of the plug-in (Kumar et al. 2019),
/// signed.
///
/// Interval: of sum n_b / N delta_b^2, delta_b what d_b estimates, hence never below 0. Q = sum n_b / N d_b^2
/// is a weighted sum of non-central chi-squares, also where delta = 0 and no normal approximation holds; the
/// interval has the values that a two-sided test by Q does not reject, along the direction of the observed
/// delta. One formula serves calibrated models and others. NaN with fewer than 10 rows in a group, and
/// without any variance.
Interval debiased_square(const std::vector<BinSummary>& groups);

}  // namespace labelsmooth
