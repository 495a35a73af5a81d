// SPDX-License-Identifier: MIT
// Files of several arrays: one of them by its name, FILE:NAME, or the only one.
#pragma once

#include <optional>  // std::optional
#include <string>    // std::string
#include <vector>    // std::vector

namespace labelsmooth::io {

/// FILE:NAME with an untrusted name, for errors.
std::string member_text(const std::string& file, const std::string& name);

/// The index of `wanted` among the names, or of the only one where none is wanted. Throws Error that lists
/// the names.
size_t find_member(const std::vector<std::string>& names, const std::optional<std::string>& wanted,
                   const std::string& file);

}  // namespace labelsmooth::io
