// SPDX-License-Identifier: MIT
// Text out of an untrusted file, safe within a one-line error on a terminal.
#pragma once

#include <string>       // std::string
#include <string_view>  // std::string_view

namespace labelsmooth::io {

/// ASCII as it is, every other byte as \xHH; long texts are cut.
inline std::string printable(std::string_view text) {
  constexpr size_t kMostBytes = 60;
  constexpr const char* kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kMostBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    out += c >= ' ' && c <= '~' ? std::string(1, c) : std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
  }
  return text.size() > kMostBytes ? out + "..." : out;
}

}  // namespace labelsmooth::io
