// SPDX-License-Identifier: MIT
#include "io/member.h"

#include <algorithm>  // std::count, std::find, std::min

#include "io/printable.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth::io {
namespace {

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 20;
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
    text += (i > 0 ? ", " : "") + printable(names[i]);
  return names.size() > kShown ? text + " and " + std::to_string(names.size() - kShown) + " more" : text;
}

}  // namespace

std::string member_text(const std::string& file, const std::string& name) {
  return file + ":" + printable(name);
}

size_t find_member(const std::vector<std::string>& names, const std::optional<std::string>& wanted,
                   const std::string& file) {
  if (!wanted) {
    if (names.size() == 1) return 0;
    throw Error(file, std::to_string(names.size()) + " arrays found, one or " + file +
                          ":NAME is needed; its names: " + list(names));
  }
  const auto found = std::find(names.begin(), names.end(), *wanted);
  const std::string where = member_text(file, *wanted);
  if (found == names.end()) throw Error(where, "no such array, allowed are: " + list(names));
  if (std::find(found + 1, names.end(), *wanted) != names.end()) {
    throw Error(where, "two arrays of this name, one is allowed");
  }
  return static_cast<size_t>(found - names.begin());
}

}  // namespace labelsmooth::io
