// SPDX-License-Identifier: MIT
// Rows in the order of a number.
#pragma once

#include <cstdint>  // uint32_t, uint8_t
#include <vector>   // std::vector

namespace labelsmooth {

enum class First : uint8_t { least, greatest };

/// The rows by `key`, which is nowhere NaN, equal keys by row. Fewer than 2^32 rows.
std::vector<uint32_t> sorted_order(const std::vector<double>& key, First first = First::least);

}  // namespace labelsmooth
