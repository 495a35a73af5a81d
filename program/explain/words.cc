// SPDX-License-Identifier: MIT
#include "explain/words.h"

#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <cmath>  // NAN, std::isnan

namespace labelsmooth {
std::string number(const nlohmann::json& value) {
  const double x = value.is_number() ? value.get<double>() + 0. : NAN;  // + 0: no -0
  return std::isnan(x) ? "-" : fmt::format("{:.6g}", x);
}

std::string listed(const std::vector<std::string>& parts, const Strings& say, const char* if_none) {
  return parts.empty() ? say(if_none) : fmt::format("{}", fmt::join(parts, say("list")));
}

}  // namespace labelsmooth
