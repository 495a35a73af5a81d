// SPDX-License-Identifier: MIT
// An array out of a file, and the one door to the readers: the file's name says which of them.
#pragma once

#include <cstddef>  // std::byte
#include <cstdint>  // int64_t
#include <memory>   // std::shared_ptr
#include <span>     // std::span
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth::io {

struct Array {
  /// Number of elements: 1 for the shape ().
  int64_t size() const;
  /// Takes size() elements as `data`: borrowed, or copied (and owned) where they are misaligned.
  void borrow(std::span<const std::byte> bytes);

  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  bool fortran_order = false;         // the first axis is the fastest
  const void* data = nullptr;         // size() elements, aligned for their type
  std::shared_ptr<const void> owner;  // keeps `data` alive; null where a parser borrows the caller's bytes
};

inline constexpr size_t kMaxRank = 8;  // of every format

/// FILE.npz:ARRAY, FILE.safetensors:TENSOR (:NAME may be missing where there is one), FILE.csv; any other
/// name is that of a .npy file, and "-" is one on standard input. Throws Error that names the file, or
/// FILE:NAME.
Array read_array(const std::string& argument);

/// "(3, 5)", "(3,)"
std::string shape_text(const std::vector<int64_t>& shape);
/// Number of elements. Throws Error naming `file` above `most`; dimensions of 0 count only in the end, so
/// that (0, huge, huge) and (huge, huge, 0) are refused alike.
int64_t checked_size(const std::vector<int64_t>& shape, int64_t most, const std::string& file);

}  // namespace labelsmooth::io
