// SPDX-License-Identifier: MIT
// Which runs a study makes. The presets are fixed by docs/analysis.md; a change there needs a reason.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <string>   // std::string
#include <vector>   // std::vector

#include "study/training.h"

namespace labelsmooth {

/// Every combination of the lists, for seeds first_seed, first_seed + 1, ...
struct Grid {
  std::string setting;
  std::vector<double> smoothings, noises;
  NoiseKind noise_kind = NoiseKind::symmetric;
  int64_t seeds = 3, train_size = 2000, epochs = 60;
  double weight_decay = 0;
};
std::vector<RunConfig> runs_of(const Grid& grid, Rule rule, uint64_t first_seed);

/// "quick" or "full"; `rule` is that of the smoothed arms. Throws UsageError on another name.
std::vector<RunConfig> preset_runs(const std::string& preset, Rule rule, uint64_t first_seed);

}  // namespace labelsmooth
