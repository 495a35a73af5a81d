// SPDX-License-Identifier: MIT
// What the report draws and the runs do not say one by one: means over seeds, bins, curves. Aggregates only.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string

namespace labelsmooth {

/// results: with "runs" as in results.json, "dir" relative to `folder`, "rule" and "data". Adds "pictures":
///   conventions      the constants that the report spells out
///   arms             means over seeds of each combination, with the t interval of the seeds
///   shown            the settings of the verdict box: the least noise, the primary amount where the grid has
///   it
/// and for the settings shown
///   reliability      bins of one seed, as trained and with temperature
///   risk_coverage, learning   curves averaged over seeds
///   logit_gaps       label logit less the mean of the others on the test set, beside the optimum of training
///   classes          accuracy and confidence by class
/// Every leaf list holds objects, so that a row of a table is one place in the file.
void add_pictures(nlohmann::json& results, const std::string& folder);

}  // namespace labelsmooth
