// SPDX-License-Identifier: MIT
#include "report/document.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>   // std::min
#include <functional>  // std::less
#include <map>         // std::map
#include <nlohmann/json.hpp>
#include <string_view>  // std::string_view

#include "report/assets.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

// {{name}} in `page` by its value, in one pass: values are not looked into.
std::string fill(std::string_view page, const std::map<std::string, std::string, std::less<>>& values) {
  std::string text;
  for (size_t i = 0; i < page.size();) {
    const size_t begin = std::min(page.find("{{", i), page.size());
    text += page.substr(i, begin - i);
    if (begin == page.size()) break;
    const size_t end = page.find("}}", begin);
    text += values.at(std::string(page.substr(begin + 2, end - begin - 2)));
    i = end + 2;
  }
  return text;
}

std::string html(const Strings& say, const Section& section) {
  return fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-heading\"><h2 id=\"{0}-heading\">{1}</h2>\n{2}</section>\n",
      section.id, escape(say("section." + section.id)), section.content);
}

// The words that page.js adds.
json script_words(const Strings& say) {
  return {{"csv", say("script.csv")},
          {"sort", say("script.sort")},
          {"rows", say("script.images")},
          {"source", say("script.source")}};
}

}  // namespace

std::string document(const Strings& say, const std::string& title, const std::string& command,
                     const std::vector<Section>& sections, const Charts& charts) {
  std::string body, navigation;
  for (const Section& section : sections) {
    body += html(say, section);
    navigation += fmt::format("<a href=\"#{}\">{}</a> ", section.id, escape(say("section." + section.id)));
  }
  const json block = {{"charts", charts.specs()}, {"words", script_words(say)}};
  return fill(assets::kPageHtml, {{"language", say.language() == "zh" ? "zh-CN" : say.language()},
                                  {"title", escape(title)},
                                  {"command", escape(command)},
                                  {"first", sections.front().id},
                                  {"skip", escape(say("skip"))},
                                  {"noscript", escape(say("noscript"))},
                                  {"navigation", navigation},
                                  {"body", body},
                                  {"data", script_json(block)},
                                  {"script_hashes", std::string(assets::kScriptHashes)},
                                  {"style_hash", std::string(assets::kStyleHash)},
                                  {"chart.js", std::string(assets::kChartJs)},
                                  {"page.js", std::string(assets::kPageJs)},
                                  {"page.css", std::string(assets::kPageCss)}});
}

}  // namespace labelsmooth
