// SPDX-License-Identifier: MIT
// Rows in the order of a number, sorted by all cores.
#pragma once

#include <cstdint>  // uint32_t, uint8_t
#include <vector>   // std::vector

namespace labelsmooth {

enum class First : uint8_t { least, greatest };

/// The rows by `key`, which is nowhere NaN, equal keys by row. Fewer than 2^32 rows. The order is strict, so
/// that no number of threads can change it.
std::vector<uint32_t> sorted_order(const std::vector<double>& key, First first = First::least);

}  // namespace labelsmooth
