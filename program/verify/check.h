// SPDX-License-Identifier: MIT
// What verify is made of: one claim of the document, and what measuring it through the loss found.
#pragma once

#include <cstdint>     // int64_t, uint64_t
#include <functional>  // std::function
#include <nlohmann/json.hpp>
#include <span>    // std::span
#include <string>  // std::string
#include <vector>  // std::vector

#include "labelsmooth/smoothing.h"

namespace labelsmooth::verify {

/// Of one row, nats; the gradient is by the logits, (classes,).
struct LossGradient {
  double loss = 0;
  std::vector<double> gradient;
};

/// The loss under test. The tests plant errors in it and see checks fail.
using Loss = std::function<LossGradient(std::span<const double> logits, int64_t label, const Smoothing&)>;
LossGradient library_loss(std::span<const double> logits, int64_t label, const Smoothing& smoothing);

struct Check {
  std::string id;       // of the document's claim (S1 to S21) or formula (F1, F8), or "code"
  std::string quote;    // the document's own words
  std::string claim;    // the same in English, or the part of it that is checked
  std::string verdict;  // what holds of it: true, conditional, false, not tested
  std::string finding;  // one line of evidence
  nlohmann::json evidence = nlohmann::json::object();
  bool passed = true;  // whether the measurement says what `verdict` and `finding` say
};

/// Every claim in the document's order. The random inputs depend on the seed alone.
std::vector<Check> run_checks(const Loss& loss, uint64_t seed);

/// {"seed", "checks": [...], "failed"}.
nlohmann::json to_json(const std::vector<Check>& checks, uint64_t seed);

/// The same for people.
std::string to_text(const nlohmann::json& result);

/// Throws Error naming the checks that failed.
void require_passed(const nlohmann::json& result);

}  // namespace labelsmooth::verify
