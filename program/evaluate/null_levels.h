// SPDX-License-Identifier: MIT
// What a calibrated model with these predictions would show: labels redrawn from Categorical(p_i), the
// predictions and bins fixed.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <vector>   // std::vector

#include "evaluate/top_label.h"

namespace labelsmooth {

struct Null {
  double mean, p95;  // of the redraws; the least value that 95 % of them do not exceed
  double p;          // (1 + redraws that reach the observed value) / (redraws + 1)
};

struct NullLevels {
  std::vector<Null> errors;                 // in the order of TopLabelErrors
  std::vector<double> band_low, band_high;  // 95 %, pointwise, of the smooth curve; NaN where there is none
};
/// `observed` holds the labels' errors first. The curve is at their sigma, i / points. Same seed, same bits,
/// on any number of threads.
NullLevels null_levels(const TopLabel& top, const TopLabelErrors& observed, int points, int redraws,
                       uint64_t seed, Progress& progress);

/// Of classwise_ece, redrawing whole labels: reads the logits again, several times where there are many
/// classes. The caller keeps rows <= kMostDrawnRows and classwise_passes() <= kMostPasses.
inline constexpr int64_t kMostPasses = 16;
int64_t classwise_passes(int64_t classes, int bins, int redraws);
Null classwise_null(const Logits& logits, const Vector& labels, ProbabilityOptions options,
                    const Binning& binning, const Observations& seen, int redraws, uint64_t seed,
                    Progress& progress);

}  // namespace labelsmooth
