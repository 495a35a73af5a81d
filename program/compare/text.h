// SPDX-License-Identifier: MIT
// The result as aligned text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string

namespace labelsmooth::compare {

std::string text(const nlohmann::json& result);

}  // namespace labelsmooth::compare
