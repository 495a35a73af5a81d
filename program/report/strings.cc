// SPDX-License-Identifier: MIT
#include "report/strings.h"

#include <algorithm>  // std::find
#include <nlohmann/json.hpp>

#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth {

const std::vector<std::string>& Strings::languages() {
  static const std::vector<std::string> kLanguages = {"en", "zh"};
  return kLanguages;
}

Strings::Strings(const std::string& language, std::string_view strings_json) : language_(language) {
  if (std::find(languages().begin(), languages().end(), language) == languages().end()) {
    throw Error("lang", "'" + language + "' found, en and zh are allowed");
  }
  add(strings_json);
}

void Strings::add(std::string_view strings_json) {
  const auto all = nlohmann::json::parse(strings_json);
  for (const auto& [key, texts] : all.items()) {
    if (texts.is_object()) strings_[key] = texts.at(language_);  // the licence is a string
  }
}

void Strings::prefer(const std::string& suffix) {
  for (auto& [key, text] : strings_) {
    const auto preferred = strings_.find(key + suffix);
    if (preferred != strings_.end()) text = preferred->second;
  }
}

std::string Strings::operator()(const std::string& key, Values values) const {
  const auto found = strings_.find(key);
  if (found == strings_.end()) throw Error("strings.json", "no string '" + key + "'");
  std::string text;
  const std::string& from = found->second;
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t end = from[i] == '{' ? from.find('}', i) : std::string::npos;
    if (end == std::string::npos) {
      text += from[i];
      continue;
    }
    const std::string name = from.substr(i + 1, end - i - 1);
    const auto value =
        std::find_if(values.begin(), values.end(), [&](const auto& one) { return one.first == name; });
    if (value == values.end()) throw Error("strings.json", "'" + key + "' wants {" + name + "}");
    text += value->second;
    i = end;
  }
  return text;
}

std::string Strings::or_else(const std::string& key, const std::string& otherwise) const {
  const auto found = strings_.find(key);
  return found == strings_.end() ? otherwise : found->second;
}

}  // namespace labelsmooth
