// SPDX-License-Identifier: MIT
// Rows in the order of a number, sorted by all cores.
#pragma once

#include <cstdint>  // uint32_t
#include <vector>   // std::vector

namespace labelsmooth {

/// The rows by `key`, which is nowhere NaN, the least first, equal keys by row. Fewer than 2^32 rows. The
/// order is strict, so that no number of threads can change it.
std::vector<uint32_t> sorted_order(const std::vector<double>& key);

}  // namespace labelsmooth
