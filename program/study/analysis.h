// SPDX-License-Identifier: MIT
// What the runs say, by the plan of docs/analysis.md: contrasts with intervals, the primary family, the
// claims.
#pragma once

#include <functional>  // std::function
#include <nlohmann/json.hpp>
#include <string>  // std::string

namespace labelsmooth {

/// runs: as train_run or judge_own_run return them, with "dir" relative to `folder`, where their logits are
/// read.
/// rule: that of the smoothed arms of the primary family.
/// Adds to `results` the keys "family", "comparisons" and "claims". on_cell, from any thread: the share of
/// the work just done.
void analyse(
    nlohmann::json& results, const std::string& folder, const std::string& rule,
    const std::function<void(double)>& on_cell = [](double) {});

}  // namespace labelsmooth
