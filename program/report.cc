// SPDX-License-Identifier: MIT
// report: results.json as one HTML page.
#include "report/report.h"

#include <fmt/format.h>  // fmt::print

#include <filesystem>  // std::filesystem::path
#include <nlohmann/json.hpp>

#include "io/file.h"
#include "verbs.h"

namespace labelsmooth {

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

}  // namespace labelsmooth
