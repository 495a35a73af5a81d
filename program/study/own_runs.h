// SPDX-License-Identifier: MIT
// The runs of a training of the user's own, in a folder that any framework can write:
//   study.json       {"schema": 1, "name": "my CNN", "rule": "uniform"}; also "primary", the amount that is
//                    tested, needed where there are several and none is 0.1; and "noise", the rate of wrong
//                    labels put in on purpose, 0 by default. Other keys are the user's.
//   runs/NAME/       one a run, for every amount of smoothing, 0 among them, and every seed
//     config.json                        {"smoothing": 0.1, "seed": 1, "rule": "uniform"}; "none" at 0
//     test_logits.npy, test_labels.npy   (rows, classes) f32 and (rows,) integers, the same rows in all runs
//     validation_logits.npy, validation_labels.npy              the same rows in all runs of a seed
//     early_logits.npy, early_validation_logits.npy   of an early-stopped model; in all runs, or in none
//     metrics.jsonl                      optional: one object an epoch, for the learning curves
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

namespace labelsmooth {

struct OwnRun {
  std::string name;  // of its folder in runs/
  double smoothing;
  uint64_t seed;
};

struct OwnStudy {
  std::string folder, name, rule;
  double noise, primary;
  int64_t classes, test_rows;
  bool has_early;
  std::vector<OwnRun> runs;  // by smoothing, then by seed
};

/// Reads and checks all of the folder, and writes nothing. Throws Error naming the file.
OwnStudy read_own_study(const std::string& folder);

/// What results.json says of a run: the keys of a built-in one, null where only its training would know.
/// Writes what study/judged_run.h says into its folder.
nlohmann::json judge_own_run(const OwnStudy& study, const OwnRun& run);

}  // namespace labelsmooth
