// SPDX-License-Identifier: MIT
// Intervals over training seeds and test items, the correction for several tests, and the words of a verdict.
#pragma once

#include <cstdint>  // int64_t
#include <limits>   // std::numeric_limits
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth {

/// NaN where it cannot be known.
struct Estimate {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  double value = kUnknown, se = kUnknown, df = kUnknown;
  double low = kUnknown, high = kUnknown;      // 95 % interval
  double low90 = kUnknown, high90 = kUnknown;  // 90 %, of two one-sided tests at 5 %
  double p = kUnknown;                         // two-sided, of value = 0
};

/// The mean of differences[seed][item], (S, N): every seed meets the same items, so both vary crosswise
/// (two-way random effects, one observation a cell). With the mean squares of the analysis of variance
///   SE^2 = s2_seed / S + s2_item / N,
///   s2_seed = MS_seed / N, the sample variance of the seeds' means,
///   s2_item = max(0, (MS_item - MS_residual) / S).
/// Degrees of freedom by Satterthwaite over the three mean squares, never below min(S, N) - 1; S - 1 when
/// s2_item is 0.
///
/// One seed: the value alone, since one seed gives no honest interval. One item: the t interval of S numbers.
/// No variance: se 0, the interval is the value, p is 0 or (value 0) 1; seeds whose means agree exactly end
/// here too where s2_item is 0, which takes a 0/1 metric on few items. A difference not finite: all NaN.
///
/// In simulations the 95 % interval covers 94-97 % from 5 seeds on, but 87 % (2 seeds) or 92 % (3) where the
/// seeds' variance outweighs the items': one reason why fewer than 5 are screening.
/// Throws Error without differences, or when the seeds have different numbers of items.
Estimate crossed(const std::vector<std::vector<double>>& differences);

/// Holm's step-down adjusted p, in the given order, never decreasing with p and at most 1. A NaN stays NaN
/// but counts in the size of the family, which is fixed before the runs: a missing result helps no other.
std::vector<double> holm(const std::vector<double>& p);

enum class Better { lower, higher };

/// How a difference (smoothed - reference) reads, `margin` > 0 being the least that matters:
/// "helps", "hurts": p_holm < 0.05 and the value beyond the margin; "negligible": the 90 % interval inside
/// +-margin; "inconclusive": otherwise; "not tested": no value.
std::string effect(const Estimate& estimate, double p_holm, double margin, Better better);

/// The same for the study: "screening" with fewer than 5 seeds or outside the primary family.
std::string verdict(const Estimate& estimate, double p_holm, double margin, Better better, int64_t seeds,
                    bool primary);

}  // namespace labelsmooth
