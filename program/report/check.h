// SPDX-License-Identifier: MIT
// The door of the report: a results.json is checked here, once; behind it every key is there.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string

namespace labelsmooth {

/// Throws Error(file, "KEY: what was found, what is needed") on the first key that the report cannot use.
void check_results(const nlohmann::json& results, const std::string& file);

}  // namespace labelsmooth
