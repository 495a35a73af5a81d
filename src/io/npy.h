// SPDX-License-Identifier: MIT
// NumPy's .npy files: a strict reader of untrusted bytes, and a writer that writes what NumPy would.
#pragma once

#include <cstddef>  // std::byte
#include <cstdint>  // int64_t
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

#include "io/array.h"
#include "io/file.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth::io {

/// Versions 1 to 3, little-endian <f4 <f8 <f2, <V2 (bf16 as ml_dtypes writes it; |V2 once NumPy has read and
/// written it again), |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8, up to 8 dimensions. The file ends where the header
/// says.
/// "-" is standard input.
Array read_npy(const std::string& path);
/// The same of bytes in memory, which must outlive the array; copies only data that are misaligned.
Array parse_npy(std::span<const std::byte> bytes, const std::string& name);

inline constexpr size_t kMaxNpyHeaderBytes = size_t{1} << 16;
/// The size that the file has by its header, all of which `begin` must hold: with the magic at most 12 bytes
/// more than kMaxNpyHeaderBytes.
size_t npy_file_bytes(std::span<const std::byte> begin, const std::string& name);

/// Elements in C order, header of version 1.0.
void write_npy(const std::string& path, DType dtype, const std::vector<int64_t>& shape, const void* data);

/// The same piece by piece, for arrays larger than memory. As NewFile: the name is taken by commit() alone.
class NewNpy {
 public:
  NewNpy(const std::string& path, DType dtype, const std::vector<int64_t>& shape);
  /// The next bytes of the elements, cut anywhere.
  void write(std::span<const std::byte> bytes);
  /// Throws, too, unless exactly the shape's elements were written.
  void commit();

 private:
  std::string path_;
  size_t promised_, written_ = 0;  // bytes of elements
  NewFile file_;
};

}  // namespace labelsmooth::io
