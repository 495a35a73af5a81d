// SPDX-License-Identifier: MIT
// NumPy's .npz files, zip archives of .npy files: a strict reader of untrusted bytes.
#pragma once

#include <cstddef>   // std::byte
#include <optional>  // std::optional
#include <span>      // std::span
#include <string>    // std::string

#include "io/array.h"

namespace labelsmooth::io {

/// The array `name`, or the only one. Stored arrays stay where they are mapped, deflated ones are inflated
/// into memory, never beyond what their own header promises; the checksum is compared. zip64 is allowed;
/// encryption, other methods, several disks, and bytes before or behind the archive are not.
Array read_npz(const std::string& path, const std::optional<std::string>& name = {});
/// The same of bytes in memory, which must outlive the array.
Array parse_npz(std::span<const std::byte> bytes, const std::string& file,
                const std::optional<std::string>& name = {});

}  // namespace labelsmooth::io
