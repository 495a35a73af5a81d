// SPDX-License-Identifier: MIT
// What a run's logits say, whoever trained it.
#pragma once

#include <cstdint>  // int64_t, uint8_t, uint64_t
#include <nlohmann/json.hpp>
#include <span>    // std::span
#include <string>  // std::string
#include <vector>  // std::vector

namespace labelsmooth {

/// logits (rows, classes), row-major, with a label each in [0, classes).
struct LabelledLogits {
  std::span<const float> logits;
  std::span<const int64_t> labels;
};

/// Marks a random half of a run's validation rows, rounded down: 1 fits the temperature, 0 is for all else
/// that is chosen on validation.
std::vector<uint8_t> temperature_half(int64_t validation_rows, uint64_t seed);

/// The rows whose mark is `keep`, copied.
struct Subset {
  std::vector<float> logits;
  std::vector<int64_t> labels;
};
Subset subset(const LabelledLogits& all, int64_t classes, std::span<const uint8_t> marks, uint8_t keep);

/// "test" and "calibrated" of a run in results.json: the test set as it is, and at the temperature fitted on
/// the validation rows marked 1. `seed` is the run's, for the null level of the ECE.
struct Judged {
  nlohmann::json raw, calibrated;
};
Judged judge(const LabelledLogits& test, const LabelledLogits& validation, std::span<const uint8_t> half,
             int64_t classes, uint64_t seed);

/// validation_half.npy and, last, run.json: its presence says that the run is whole.
void write_judgement(const std::string& folder, const std::vector<uint8_t>& half, const nlohmann::json& run);

}  // namespace labelsmooth
