// SPDX-License-Identifier: MIT
// What evaluate says to people: aligned text, made from its JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string

namespace labelsmooth {

std::string evaluation_text(const nlohmann::ordered_json& json);

}  // namespace labelsmooth
