// SPDX-License-Identifier: MIT
#include "report/report.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>   // std::min
#include <functional>  // std::less
#include <map>         // std::map
#include <nlohmann/json.hpp>

#include "labelsmooth/tensor.h"  // Error
#include "report/assets.h"
#include "report/check.h"
#include "report/sections.h"
#include "report/strings.h"
#include "study/own.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

json parse(std::string_view text, const std::string& file) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw Error(file, fmt::format("not JSON at byte {}, a results.json of study is needed", error.byte));
  } catch (const json::exception&) {
    throw Error(file, "a number too large for JSON found, a results.json of study is needed");
  }
}

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

std::string section(const Strings& say, const std::string& id, const std::string& content) {
  return fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-heading\"><h2 id=\"{0}-heading\">{1}</h2>\n{2}</section>\n",
      id, escape(say("section." + id)), content);
}

std::string navigation(const Strings& say, const std::vector<std::string>& sections) {
  std::string text;
  for (const std::string& id : sections) {
    text += fmt::format("<a href=\"#{}\">{}</a> ", id, escape(say("section." + id)));
  }
  return text;
}

// The words that page.js adds.
json script_words(const Strings& say) {
  json words;
  for (const char* key : {"csv", "sort", "images"}) words[key] = say(std::string("script.") + key);
  return words;
}

std::string reproduce(const Page& page) {
  const json& environment = page.results["environment"];
  const auto text = [&](const char* key) { return escape(environment[key].get<std::string>()); };
  return "<pre><code>" + escape(page.results["command"].get<std::string>()) + "</code></pre>\n" +
         paragraph(page.say("reproduce.text")) +
         fmt::format(
             "<dl "
             "class=\"short\"><dt>labelsmooth</dt><dd>{}</dd><dt>ISA</dt><dd>{}</dd><dt>BLAS</dt><dd>{}</"
             "dd></dl>\n",
             text("version"), text("isa"), text("blas"));
}

}  // namespace

std::string report_page(std::string_view text, const std::string& file, const std::string& language) {
  Strings say(language);
  const json results = parse(text, file);
  check_results(results, file);
  if (is_own(results)) say.prefer(".own");
  Page page = {results, say};

  const std::string question =
      say("question", {{"rule", say.or_else("rule." + results["rule"].get<std::string>(), results["rule"])}});
  std::string body = section(say, "verdict", sections::verdict(page));
  body += section(say, "pictures",
                  sections::forest(page) + sections::sweep(page) + sections::reliability(page) +
                      (is_own(results) ? "" : sections::noise(page)) + sections::risk_coverage(page));
  body += section(say, "claims", sections::claims(page));
  body += section(say, "runs", sections::runs(page));
  body += section(say, "appendix", sections::appendix(page));
  body += section(say, "methods", sections::methods(page));
  body += section(say, "limits", sections::limits(page));
  body += section(say, "reproduce", reproduce(page));
  const json block = {{"charts", page.charts.specs()}, {"words", script_words(say)}};
  return fill(assets::kPageHtml,
              {{"language", language == "zh" ? "zh-CN" : language},
               {"title", escape(question)},
               {"command", escape(results["command"].get<std::string>())},
               {"skip", escape(say("skip"))},
               {"noscript", escape(say("noscript"))},
               {"navigation", navigation(say, {"verdict", "pictures", "claims", "runs", "appendix", "methods",
                                               "limits", "reproduce"})},
               {"body", body},
               {"data", script_json(block)},
               {"script_hashes", std::string(assets::kScriptHashes)},
               {"style_hash", std::string(assets::kStyleHash)},
               {"chart.js", std::string(assets::kChartJs)},
               {"page.js", std::string(assets::kPageJs)},
               {"page.css", std::string(assets::kPageCss)}});
}

}  // namespace labelsmooth
