// SPDX-License-Identifier: MIT
// evaluate: how right and how calibrated somebody's predictions are, with what noise alone would show.
#include <fmt/format.h>  // fmt::format, fmt::print

#include <memory>  // std::make_shared
#include <nlohmann/json.hpp>

#include "arrays.h"
#include "command_line.h"
#include "errors.h"
#include "evaluate/class_names.h"
#include "evaluate/page.h"
#include "evaluate/summary.h"
#include "evaluate/text.h"
#include "io/array.h"
#include "io/file.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using Json = nlohmann::ordered_json;

struct EvaluateOptions {
  std::string logits, labels, class_names, report, edges = "left", language = "en";
  int64_t axis = -1, ignore_index = -100;
  int bins = 15, redraws = 1000;
  uint64_t seed = 1;
  bool probabilities = false, quiet = false, json = false;
};

// What was asked, without what changes no number.
std::string command_of(const EvaluateOptions& o) {
  std::string command = fmt::format("labelsmooth evaluate {} {}", o.logits, o.labels);
  if (o.probabilities) command += " --probs";
  if (o.axis != -1) command += fmt::format(" --axis {}", o.axis);
  if (o.bins != 15) command += fmt::format(" --bins {}", o.bins);
  if (o.edges != "left") command += " --edges " + o.edges;
  if (o.redraws != 1000) command += fmt::format(" --bootstrap {}", o.redraws);
  if (o.ignore_index != -100) command += fmt::format(" --ignore-index {}", o.ignore_index);
  if (o.seed != 1) command += fmt::format(" --seed {}", o.seed);
  if (!o.class_names.empty()) command += " --class-names " + o.class_names;
  return command;
}

Json run(const EvaluateOptions& o) {
  const io::Array logits = io::read_array(o.logits), labels = io::read_array(o.labels);
  const Logits view = logits_of(logits, o.logits, o.axis);
  const Vector vector = labels_of(labels, logits, o.labels, o.axis);
  Evaluation evaluation;
  evaluation.binning = {o.bins, o.edges == "left" ? Edges::left : Edges::right};
  evaluation.reading.ignore_index = o.ignore_index;
  evaluation.reading.probabilities = o.probabilities;
  evaluation.redraws = o.redraws;
  evaluation.seed = o.seed;
  if (!o.class_names.empty()) evaluation.class_names = read_class_names(o.class_names, view.classes);
  Json json = {{"command", command_of(o)}};
  json.update(evaluate(view, vector, evaluation, o.quiet));
  return json;
}

void evaluate(const EvaluateOptions& o) {
  if (o.logits == "-" && o.labels == "-")
    throw UsageError("LABELS", "'-' found for both files, one of them can be standard input");
  Json json;
  try {
    json = run(o);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {  // the library knows arguments, the user files
    if (error.argument == "logits") throw Error(o.logits, error.found, error.row);
    if (error.argument == "labels") throw Error(o.labels, error.found, error.row);
    throw;
  }
  if (!o.report.empty()) io::write_file(o.report, evaluation_page(json, o.language));
  if (!o.quiet) {
    for (const Json& warning : json["warnings"])
      fmt::print(stderr, "labelsmooth: {}\n", warning.get<std::string>());
  }
  fmt::print("{}", o.json ? json.dump() + "\n" : evaluation_text(json));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto o = std::make_shared<EvaluateOptions>();
  CLI::App* verb = app.add_subcommand(
      "evaluate",
      "accuracy, calibration and ranking of anybody's predictions, with intervals and the levels that "
      "a calibrated model would show");
  verb->add_option("LOGITS", o->logits, "f32, f64, f16 or bf16, any number of dimensions")->required();
  verb->add_option("LABELS", o->labels, "integers, the logits' shape without the class axis")->required();
  verb->add_flag("--probs", o->probabilities,
                 "LOGITS holds probabilities: rows that sum to 1, taken as they are");
  verb->add_option("--axis", o->axis, "the class axis, the last by default");
  verb->add_option("--bins", o->bins, "of equal width, and groups of equal size, 15 by default")
      ->check(CLI::Range(1, 1000));
  verb->add_option("--edges", o->edges,
                   "where a confidence on an edge belongs: left is [lo, hi), the last closed (the default, "
                   "NumPy's); right is (lo, hi], the first closed (Guo et al.)")
      ->check(CLI::IsMember({"left", "right"}));
  verb->add_option("--bootstrap", o->redraws,
                   "redraws of the labels from the model's own probabilities, 1000 by default")
      ->check(CLI::Range(1, 1000000));
  verb->add_option("--ignore-index", o->ignore_index, "rows with this label do not count, -100 by default")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_option("--class-names", o->class_names, "a file with one name a line");
  verb->add_option("--seed", o->seed, "of the redraws, 1 by default")->check(at_least(0));
  verb->add_option("--report", o->report, "write a page that needs nothing else");
  verb->add_option("--lang", o->language, "its language")->check(CLI::IsMember({"en", "zh"}));
  verb->add_flag("--quiet", o->quiet, "no progress and no warnings");
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->footer(kFiles);
  verb->callback([o] { evaluate(*o); });
}

}  // namespace labelsmooth
