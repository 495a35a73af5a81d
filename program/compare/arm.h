// SPDX-License-Identifier: MIT
// A model as compared: its runs, one a seed, each measured row by row as trained and with its temperature.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

#include "evaluation/items.h"

namespace labelsmooth::compare {

struct Run {
  std::string file;
  Items trained, calibrated;
  std::vector<double> temperatures;  // one, or one a fold
  bool at_bound = false;
};

struct Arm {
  std::string name;
  std::vector<Run> runs;
  int64_t rows() const { return static_cast<int64_t>(runs[0].trained.correct.size()); }
};

/// The same runs on some of their rows; their temperatures stay.
Arm slice(const Arm& arm, std::span<const int64_t> rows);

}  // namespace labelsmooth::compare
