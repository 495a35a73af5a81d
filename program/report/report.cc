// SPDX-License-Identifier: MIT
#include "report/report.h"

#include <fmt/format.h>  // fmt::format

#include <nlohmann/json.hpp>
#include <vector>  // std::vector

#include "labelsmooth/tensor.h"  // Error
#include "report/check.h"
#include "report/document.h"
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
  std::vector<Section> all = {{"verdict", sections::verdict(page)}};
  all.push_back({"pictures", sections::forest(page) + sections::sweep(page) + sections::reliability(page) +
                                 (is_own(results) ? "" : sections::noise(page)) +
                                 sections::risk_coverage(page)});
  all.push_back({"claims", sections::claims(page)});
  all.push_back({"runs", sections::runs(page)});
  all.push_back({"appendix", sections::appendix(page)});
  all.push_back({"methods", sections::methods(page)});
  all.push_back({"limits", sections::limits(page)});
  all.push_back({"reproduce", reproduce(page)});
  return document(say, question, results["command"], all, page.charts);
}

}  // namespace labelsmooth
