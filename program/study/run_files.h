// SPDX-License-Identifier: MIT
// What a run left in its folder, read again.
#pragma once

#include <cstdint>  // int64_t
#include <nlohmann/json_fwd.hpp>
#include <span>    // std::span
#include <string>  // std::string
#include <vector>  // std::vector

#include "io/npy.h"

namespace labelsmooth {

/// (rows, classes), f32, mapped from a file.
struct RunLogits {
  io::Array array;
  std::span<const float> values() const {
    return {static_cast<const float*>(array.data), static_cast<size_t>(array.size())};
  }
  int64_t classes() const { return array.shape[1]; }
};

/// Throw Error naming the file when it holds something else.
RunLogits read_logits(const std::string& path);
std::vector<int64_t> read_labels(const std::string& path);
nlohmann::json read_object(const std::string& path);
/// One object per line, as in metrics.jsonl.
std::vector<nlohmann::json> read_lines(const std::string& path);
/// What the learning curves are drawn of, by epoch.
inline constexpr const char* kCurves[] = {"train_loss", "train_nll", "train_accuracy", "validation_nll",
                                          "validation_accuracy"};

}  // namespace labelsmooth
