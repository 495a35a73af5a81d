// SPDX-License-Identifier: MIT
// IDX files, the format of MNIST and its kin: unsigned bytes only, plain or compressed by gzip.
#pragma once

#include <cstddef>  // std::byte
#include <cstdint>  // int64_t, uint8_t
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth::io {

struct Idx {
  std::vector<int64_t> shape;
  std::vector<uint8_t> values;  // in C order
};

/// One to four dimensions, at most 4 GiB of values, and nothing behind them. What is allocated is bounded by
/// what the file can hold, whatever its header says. "-" is standard input.
Idx read_idx(const std::string& path);
/// The same of bytes in memory.
Idx parse_idx(std::span<const std::byte> bytes, const std::string& name);

/// Compressed if the path ends in .gz, without time or name, so that the same values give the same file.
void write_idx(const std::string& path, const std::vector<int64_t>& shape, std::span<const uint8_t> values);

}  // namespace labelsmooth::io
