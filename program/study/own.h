// SPDX-License-Identifier: MIT
// What tells a study of the user's own training from the built-in one: "training" in results.json, with its
// "name" and the "primary" amount of smoothing.
#pragma once

#include <nlohmann/json.hpp>

namespace labelsmooth {

inline bool is_own(const nlohmann::json& results) { return results.contains("training"); }

/// Whether the run stopped early too, and not at the last epoch alone.
inline bool has_early(const nlohmann::json& run) {
  return run.value("early_calibrated", nlohmann::json()).is_object();
}

/// The amount of smoothing that the primary family tests, fixed before the runs.
inline double primary_amount(const nlohmann::json& results) {
  return is_own(results) ? results["training"]["primary"].get<double>() : .1;
}

}  // namespace labelsmooth
