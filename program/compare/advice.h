// SPDX-License-Identifier: MIT
// What the numbers advise, each piece with the number that it rests on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string

#include "report/strings.h"

namespace labelsmooth::compare {

/// The page's words and compare's own.
Strings words(const std::string& language);

/// An array of {"id", "advice": English, "because": {"metric", "name", ...}} for a result without NaN.
nlohmann::json advice(const nlohmann::json& result);

/// The text of one of them in the language of `say`.
std::string advice_text(const Strings& say, const nlohmann::json& one);

}  // namespace labelsmooth::compare
