// SPDX-License-Identifier: MIT
// Slices of the rows by name.
#pragma once

#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

#include "compare/logits_file.h"

namespace labelsmooth::compare {

struct Group {
  std::string name;
  std::vector<int64_t> rows;  // places among the rows that count
};

/// One integer a row in the labels' shape, ascending; or a .csv of names, one a line with or without a
/// heading, in the order in which they appear. Groups of ignored rows alone are left out. Throws Error naming
/// the file.
std::vector<Group> read_groups(const std::string& file, const Labels& labels);

}  // namespace labelsmooth::compare
