// SPDX-License-Identifier: MIT
// The arithmetic of one sample under every rule, as the JSON that explain prints.
#pragma once

#include <cstdint>  // int64_t
#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "report/strings.h"

namespace labelsmooth {

struct Sample {
  std::vector<double> logits;  // (classes,), finite or -inf, one of them finite
  int64_t label = 0;
  double smoothing = 0.1;
  std::string prediction = "given";  // or document, equal: where the logits come from
};

/// The document's worked example: 5 classes, label 3, smoothing 0.1.
Sample document_sample();

/// The object of the contract without its statements. Infinities are infinite in it, and null where it is
/// printed; a rule that means nothing for these classes has nulls and a reason in words.
nlohmann::json arithmetic(const Sample& sample, const Strings& say);

}  // namespace labelsmooth
