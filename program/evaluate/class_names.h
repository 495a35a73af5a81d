// SPDX-License-Identifier: MIT
// Names of the classes, from a text file.
#pragma once

#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth {

/// One name a line, (classes,); spaces around names, CRLF and blank lines at the end do no harm. Throws Error
/// that names the file, and the line: another number of names, an empty one, bytes that are not UTF-8.
std::vector<std::string> read_class_names(const std::string& path, int64_t classes);

}  // namespace labelsmooth
