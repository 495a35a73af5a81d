// SPDX-License-Identifier: MIT
// Everything that compare says, as one JSON object: text and page are made from it.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "compare/arm.h"
#include "compare/groups.h"

namespace labelsmooth::compare {

struct Setting {
  int64_t ignored = 0, classes = 0;
  uint64_t seed = 0;
  int resamples = 0;
  std::string fit_labels;  // empty: cross-fitted
  std::string command;
  std::vector<std::string> warnings;
};

/// The arms' temperatures were fitted on all rows, or on other files; groups keep them. Throws Error below
/// kLeastRows rows.
nlohmann::json result(const std::vector<Arm>& arms, const std::vector<Group>& groups, const Setting& setting);

}  // namespace labelsmooth::compare
