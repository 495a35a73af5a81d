// SPDX-License-Identifier: MIT
// report: results.json as one HTML page.
#include "report/report.h"

#include <fmt/format.h>  // fmt::print

#include <filesystem>  // std::filesystem::path
#include <memory>      // std::make_shared
#include <nlohmann/json.hpp>

#include "io/file.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

struct ReportOptions {
  std::string results, out;  // out empty: report.html beside the results
  std::string language = "en";
  bool json = false;
};

void report(const ReportOptions& options) {
  const io::MappedFile file(options.results);
  const auto bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string page = report_page(text, file.name(), options.language);
  const std::string out =
      options.out.empty() ? std::filesystem::path(options.results).replace_filename("report.html").string()
                          : options.out;
  io::write_file(out, page);
  if (options.json) {
    fmt::print("{}\n",
               nlohmann::json({{"report", out}, {"bytes", page.size()}, {"lang", options.language}}).dump());
  } else {
    fmt::print("{}\n", out);
  }
}

}  // namespace

void add_report(CLI::App& app) {
  auto o = std::make_shared<ReportOptions>();
  CLI::App* verb = app.add_subcommand("report", "results.json as one HTML page that needs nothing else");
  verb->add_option("RESULTS", o->results, "a results.json of study")->required();
  verb->add_option("-o,--out", o->out, "the page, report.html beside the results by default");
  verb->add_option("--lang", o->language, "its language")->check(CLI::IsMember({"en", "zh"}));
  verb->add_flag("--json", o->json, "print one JSON object");
  verb->callback([o] { report(*o); });
}

}  // namespace labelsmooth
