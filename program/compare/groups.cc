// SPDX-License-Identifier: MIT
#include "compare/groups.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>    // std::sort
#include <map>          // std::map
#include <string_view>  // std::string_view
#include <utility>      // std::move

#include "arrays.h"
#include "io/file.h"

namespace labelsmooth::compare {
namespace {

constexpr size_t kMostGroups = 1000;  // more are an index, not groups

std::string_view trimmed(std::string_view text) {
  const char* const spaces = " \t\r";
  const size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) + 1 - first);
}

// The lines of a column of names, without the quotes around one.
std::vector<std::string> names_of(const std::string& file) {
  const io::MappedFile mapped(file);
  std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view name = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (name.size() > 1 && name.front() == '"' && name.back() == '"') {
      name = name.substr(1, name.size() - 2);
    } else if (name.find(',') != std::string_view::npos) {
      throw Error(file, fmt::format("two columns in line {} found, one is needed", names.size() + 1));
    }
    names.emplace_back(name);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

std::vector<std::string> keys_of_csv(const std::string& file, int64_t rows) {
  std::vector<std::string> names = names_of(file);
  const auto found = static_cast<int64_t>(names.size());
  if (found == rows + 1) {
    names.erase(names.begin());  // the heading
  } else if (found != rows) {
    throw Error(file, fmt::format("{} lines found, one for each of {} rows is needed", found, rows));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) throw Error(file, fmt::format("no name for row {}", i), static_cast<int64_t>(i));
  }
  return names;
}

}  // namespace

std::vector<Group> read_groups(const std::string& file, const Labels& labels) {
  int64_t rows = 1;
  for (const int64_t size : labels.shape) rows *= size;
  std::vector<Group> groups;
  const auto collect = [&](const auto& key_of, const auto& name_of) {
    std::map<std::decay_t<decltype(key_of(0))>, size_t> places;
    for (size_t i = 0; i < labels.rows.size(); ++i) {
      const auto key = key_of(labels.rows[i]);
      const auto [place, is_new] = places.emplace(key, groups.size());
      if (is_new) groups.push_back({name_of(key), {}});
      if (groups.size() > kMostGroups)
        throw Error(file, fmt::format("more than {} groups found", kMostGroups));
      groups[place->second].rows.push_back(static_cast<int64_t>(i));
    }
    return places;
  };
  if (file.ends_with(".csv")) {
    const std::vector<std::string> names = keys_of_csv(file, rows);
    collect([&](int64_t row) { return names[row]; }, [](const std::string& name) { return name; });
    return groups;
  }
  const io::Array array = io::read_array(file);
  if (is_float(array.dtype))
    throw Error(file, fmt::format("has type {}, integers are allowed", name(array.dtype)));
  if (array.shape != labels.shape) {
    throw Error(
        file, fmt::format("shape {} found, {} is needed", shape_text(array.shape), shape_text(labels.shape)));
  }
  const Vector keys = flat_of(array, file);
  const auto places = collect([&](int64_t row) { return keys.label(row); },
                              [](int64_t key) { return fmt::format("{}", key); });
  std::vector<Group> ascending;
  for (const auto& [key, place] : places) ascending.push_back(std::move(groups[place]));
  return ascending;
}

}  // namespace labelsmooth::compare
