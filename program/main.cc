// SPDX-License-Identifier: MIT
// The command line: parses, which calls a verb; turns errors into one line and an exit code (1: the data or a
// file is at fault, 2: the command line is).
#include <CLI/CLI.hpp>
#include <cstdio>  // std::fflush, std::fprintf

#include "errors.h"
#include "study/model.h"  // end_blas_threads
#include "verbs.h"
#include "version.h"

namespace labelsmooth {
namespace {

void run(int argc, char** argv) {
  end_blas_threads();
  CLI::App app("Label smoothing: the loss, and the evidence.", "labelsmooth");
  app.set_version_flag("--version", std::string("labelsmooth ") + kVersion);
  app.require_subcommand(1);
  for (const auto add :
       {add_study, add_train, add_report, add_evaluate, add_calibrate, add_compare, add_explain, add_convert,
        add_identify, add_smooth, add_verify, add_loss, add_info}) {
    add(app);
  }

  // CLI11 would call an unknown verb a missing one.
  const auto is_verb = [&](const CLI::App* verb) { return verb->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_verb).empty()) {
    throw UsageError(argv[1], "no such verb; labelsmooth --help lists them");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help or --version
    app.exit(asked);
  } catch (const CLI::ParseError& error) {
    throw UsageError("command line", std::string(error.what()) + "; see labelsmooth --help");
  }
}

}  // namespace
}  // namespace labelsmooth

int main(int argc, char** argv) {
  const auto fail = [](const char* what, int code) {
    std::fflush(stdout);
    std::fprintf(stderr, "labelsmooth: %s\n", what);
    return code;
  };
  try {
    labelsmooth::run(argc, argv);
  } catch (const labelsmooth::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
  return std::fflush(stdout) == 0 ? 0 : fail("standard output: cannot be written", 1);
}
