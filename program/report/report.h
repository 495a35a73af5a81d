// SPDX-License-Identifier: MIT
// results.json -> one HTML page that needs nothing else. Holds no formula: every number comes from the file.
#pragma once

#include <string>       // std::string
#include <string_view>  // std::string_view

namespace labelsmooth {

/// `text`: the bytes of a results.json, untrusted; `file` is what errors call it. The same bytes give the
/// same page. Throws Error(file, ...) in one line on what it cannot use, also on a `language` other than en,
/// zh.
std::string report_page(std::string_view text, const std::string& file, const std::string& language);

}  // namespace labelsmooth
