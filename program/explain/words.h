// SPDX-License-Identifier: MIT
// How explain writes numbers and lists.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "report/strings.h"

namespace labelsmooth {

/// Six digits; a dash for null and NaN.
std::string number(const nlohmann::json& value);
/// "a, b" in the language's way; the string `if_none` where there are none.
std::string listed(const std::vector<std::string>& parts, const Strings& say, const char* if_none);

}  // namespace labelsmooth
