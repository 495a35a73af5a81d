// SPDX-License-Identifier: MIT
// Everything that evaluate says, as one JSON object; text and page are made from it.
#pragma once

#include <cstdint>  // uint64_t
#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "evaluate/observations.h"

namespace labelsmooth {

struct Evaluation {
  Binning binning;
  ProbabilityOptions reading;
  int redraws = 1000;
  uint64_t seed = 1;
  std::vector<std::string> class_names;  // (classes,), or none
};

/// The metrics' names, in the order of the table.
const std::vector<std::string>& evaluation_metrics();

/// Throws Error as for_each_block does, and where no row counts.
nlohmann::ordered_json evaluate(const Logits& logits, const Vector& labels, const Evaluation& evaluation,
                                bool quiet);

}  // namespace labelsmooth
