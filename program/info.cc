// SPDX-License-Identifier: MIT
// info: what this build is, and what it found on this machine.
#include <fmt/format.h>  // fmt::print
#include <fmt/ranges.h>  // fmt::join

#include <filesystem>  // std::filesystem::is_directory
#include <memory>      // std::make_shared
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"
#include "study/data.h"
#include "study/model.h"
#include "verbs.h"
#include "version.h"

namespace labelsmooth {
namespace {

void info(bool json) {
  const bool found = std::filesystem::is_directory(kFashionMnistFolder);
  if (json) {
    const nlohmann::json object = {
        {"version", kVersion},
        {"isa", {{"compiled", compiled_isas()}, {"usable", usable_isas()}, {"chosen", isa()}}},
        {"threads", threads()},
        {"blas", blas_description()},
        {"data", {{"fashion-mnist", found ? nlohmann::json(kFashionMnistFolder) : nlohmann::json()}}}};
    fmt::print("{}\n", object.dump());
    return;
  }
  fmt::print("labelsmooth    {}\n", kVersion);
  fmt::print("isa            {} (usable: {}; compiled: {})\n", isa(), fmt::join(usable_isas(), ", "),
             fmt::join(compiled_isas(), ", "));
  fmt::print("threads        {}\n", threads());
  fmt::print("BLAS           {}\n", blas_description());
  fmt::print("fashion-mnist  {}\n", found ? kFashionMnistFolder : "not found");
}

}  // namespace

void add_info(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("info", "version, instruction sets, threads, BLAS, data found");
  verb->add_flag("--json", *json, "print one JSON object");
  add_threads(verb);
  verb->callback([json] { info(*json); });
}

}  // namespace labelsmooth
