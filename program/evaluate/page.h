// SPDX-License-Identifier: MIT
// evaluate's JSON -> one HTML page that needs nothing else, in the report's design.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string

namespace labelsmooth {

/// `language`: en or zh. Every number in the page is one of the JSON.
std::string evaluation_page(const nlohmann::ordered_json& json, const std::string& language);

}  // namespace labelsmooth
