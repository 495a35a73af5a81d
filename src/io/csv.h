// SPDX-License-Identifier: MIT
// Comma-separated numbers: a strict reader of untrusted text.
#pragma once

#include <cstddef>  // std::byte
#include <span>     // std::span
#include <string>   // std::string

#include "io/array.h"

namespace labelsmooth::io {

/// One row a line, as many numbers in each, with nan, inf and infinity in any case: (rows, columns) of f64,
/// or (rows,) for one column, of i64 where all of it are integers. Spaces and tabs around numbers, CRLF, a
/// byte order mark and blank lines at the end do no harm. Lines above the numbers that begin with # are
/// skipped, and after them one line of names, none of which is empty or begins as a number does.
Array read_csv(const std::string& path);
/// The same of bytes in memory, which the array does not need.
Array parse_csv(std::span<const std::byte> bytes, const std::string& file);

}  // namespace labelsmooth::io
