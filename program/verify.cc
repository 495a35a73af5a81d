// SPDX-License-Identifier: MIT
// verify: every mathematical claim of the document as a check, measured through the library.
#include <fmt/format.h>  // fmt::print

#include <memory>  // std::make_shared

#include "command_line.h"
#include "verbs.h"
#include "verify/check.h"

namespace labelsmooth {
namespace {

struct VerifyOptions {
  uint64_t seed = 1;
  bool json = false;
};

void run(const VerifyOptions& options) {
  const nlohmann::json result =
      verify::to_json(verify::run_checks(verify::library_loss, options.seed), options.seed);
  fmt::print("{}", options.json ? result.dump() + "\n" : verify::to_text(result));
  verify::require_passed(result);
}

}  // namespace

void add_verify(CLI::App& app) {
  auto o = std::make_shared<VerifyOptions>();
  CLI::App* verb = app.add_subcommand("verify", "check every mathematical claim of the document");
  verb->add_option("--seed", o->seed, "of the random inputs")->check(at_least(0));
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->callback([o] { run(*o); });
}

}  // namespace labelsmooth
