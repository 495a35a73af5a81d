// SPDX-License-Identifier: MIT
// The result as one HTML page that needs nothing else. Holds no formula: every number is one of the JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string

namespace labelsmooth::compare {

/// language: en or zh.
std::string page(const nlohmann::json& result, const std::string& language);
/// Warnings and what the numbers rest on, a line each.
std::vector<std::string> notes(const nlohmann::json& result, const std::string& language);

}  // namespace labelsmooth::compare
