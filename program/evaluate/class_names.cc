// SPDX-License-Identifier: MIT
#include "evaluate/class_names.h"

#include <fmt/format.h>  // fmt::format

#include <nlohmann/json.hpp>
#include <sstream>  // std::istringstream

#include "io/file.h"
#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth {
namespace {

std::string trimmed(const std::string& line) {
  constexpr const char* kSpaces = " \t\r";
  const size_t begin = line.find_first_not_of(kSpaces);
  return begin == std::string::npos ? "" : line.substr(begin, line.find_last_not_of(kSpaces) - begin + 1);
}

bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

}  // namespace

std::vector<std::string> read_class_names(const std::string& path, int64_t classes) {
  const io::MappedFile file(path);
  std::istringstream text(
      std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()));
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) names.push_back(trimmed(line));
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (static_cast<int64_t>(names.size()) != classes)
    throw Error(file.name(), fmt::format("{} names found, {} are needed", names.size(), classes));
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) throw Error(file.name(), fmt::format("line {} is empty, a name is needed", i + 1));
    if (!is_utf8(names[i])) throw Error(file.name(), fmt::format("line {} is not UTF-8", i + 1));
  }
  return names;
}

}  // namespace labelsmooth
