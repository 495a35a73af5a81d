// SPDX-License-Identifier: MIT
// What explain prints for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string

#include "report/strings.h"

namespace labelsmooth {

/// From the object that explain prints as JSON: a table of the rules, the gradients, the statements.
std::string text_of(const nlohmann::json& sample, const Strings& say);

}  // namespace labelsmooth
