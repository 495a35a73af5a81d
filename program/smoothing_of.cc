// SPDX-License-Identifier: MIT
#include "smoothing_of.h"

#include <fmt/format.h>  // fmt::format

#include "errors.h"

namespace labelsmooth {

Smoothing smoothing_of(const std::string& rule, double amount) {
  if (!(amount >= 0 && amount <= 1))
    throw UsageError("smoothing", fmt::format("{} found, 0 to 1 is allowed", amount));
  if (rule == "none") {
    if (amount != 0)
      throw UsageError("smoothing", fmt::format("{} found, the rule none allows 0 only", amount));
    return {};
  }
  if (rule == "uniform") return uniform(amount);
  if (rule == "others") return others(amount);
  if (rule == "flip") return flip(amount);
  if (rule == "additive") return additive(amount);
  throw UsageError("rule", "'" + rule + "' found, none, uniform, others, flip and additive are allowed");
}

}  // namespace labelsmooth
