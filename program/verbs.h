// SPDX-License-Identifier: MIT
// The program's verbs, one file each. add_VERB puts the verb on the command line; parsing then runs it. A
// verb prints its result on stdout (one JSON object and nothing else with --json) and throws Error or
// UsageError.
#pragma once

#include <CLI/CLI.hpp>

namespace labelsmooth {

void add_study(CLI::App& app);
void add_train(CLI::App& app);
void add_report(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_compare(CLI::App& app);
void add_smooth(CLI::App& app);
void add_explain(CLI::App& app);
void add_convert(CLI::App& app);
void add_identify(CLI::App& app);
void add_loss(CLI::App& app);
void add_verify(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace labelsmooth
