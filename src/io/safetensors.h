// SPDX-License-Identifier: MIT
// safetensors files: a strict reader of untrusted bytes.
#pragma once

#include <cstddef>   // std::byte
#include <optional>  // std::optional
#include <span>      // std::span
#include <string>    // std::string

#include "io/array.h"

namespace labelsmooth::io {

/// The tensor `name`, or the only one: F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8, in C order, where it
/// is mapped unless misaligned. The whole header is checked as the format's own reader does: at most 100 MB,
/// every tensor of the size that its dtype and shape say, side by side from the first byte to the last.
/// Beyond that a name stands once, and a tensor has no keys but dtype, shape and data_offsets: another could
/// change their meaning.
Array read_safetensors(const std::string& path, const std::optional<std::string>& name = {});
/// The same of bytes in memory, which must outlive the array.
Array parse_safetensors(std::span<const std::byte> bytes, const std::string& file,
                        const std::optional<std::string>& name = {});

}  // namespace labelsmooth::io
