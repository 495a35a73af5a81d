// SPDX-License-Identifier: MIT
// Words in one of the program's languages: from a strings.json, where both stand side by side.
#pragma once

#include <initializer_list>  // std::initializer_list
#include <map>               // std::map
#include <string>            // std::string
#include <string_view>       // std::string_view
#include <utility>           // std::pair
#include <vector>            // std::vector

#include "report/assets.h"

namespace labelsmooth {

class Strings {
 public:
  using Values = std::initializer_list<std::pair<const char*, std::string>>;

  /// "en" or "zh"; throws Error on another. The page's words, unless others are given.
  explicit Strings(const std::string& language, std::string_view strings_json = assets::kStringsJson);
  /// More strings; those of a key there is replace it. Throws as the constructor.
  void add(std::string_view strings_json);
  bool has(const std::string& key) const { return strings_.contains(key); }
  /// The string, each {name} replaced by its value. Plain text: escape it. Throws Error on an unknown key.
  std::string operator()(const std::string& key, Values values = {}) const;
  /// The same, or `otherwise` where there is no such key: for names that a results.json brings.
  std::string or_else(const std::string& key, const std::string& otherwise) const;
  /// From here on "KEY<suffix>" stands for KEY where there is one.
  void prefer(const std::string& suffix);
  const std::string& language() const { return language_; }

  static const std::vector<std::string>& languages();

 private:
  std::string language_;
  std::map<std::string, std::string> strings_;
};

}  // namespace labelsmooth
