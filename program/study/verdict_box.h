// SPDX-License-Identifier: MIT
// The answer of a study as text, for a terminal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string

namespace labelsmooth {

/// From the content of results.json alone. The settings stand side by side where `width` columns allow it.
std::string verdict_box(const nlohmann::json& results, int width);

}  // namespace labelsmooth
