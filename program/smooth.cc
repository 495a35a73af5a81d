// SPDX-License-Identifier: MIT
// smooth: label files to target rows, or to labels drawn at random, for any trainer.
#include <fmt/format.h>  // fmt::print
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::min
#include <cmath>      // std::abs
#include <limits>     // std::numeric_limits
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>
#include <optional>  // std::optional

#include "arrays.h"
#include "command_line.h"
#include "errors.h"
#include "io/array.h"
#include "io/npy.h"
#include "progress.h"
#include "smooth/class_matrix.h"
#include "smooth/targets.h"
#include "smoothing_of.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using io::shape_text;
using Json = nlohmann::ordered_json;

// A row of targets, and every class of a matrix, have to fit in memory.
constexpr int64_t kMaxClasses = int64_t{1} << 24, kMaxMatrixClasses = int64_t{1} << 15;

struct SmoothOptions {
  std::string labels, out, rule = "uniform", prior, matrix, matrix_from, dtype = "f32";
  int64_t classes = 0, ignore_index = -100;
  std::optional<double> smoothing;
  uint64_t seed = 1;
  bool sample = false, quiet = false, json = false;
};

struct Outcome {
  Json json;
  std::string note = {};  // for stderr, once the file is there
};

io::Array read(const std::string& file, const std::vector<int64_t>& shape) {
  io::Array array = io::read_array(file);
  if (array.shape != shape)
    throw Error(file, "shape " + shape_text(array.shape) + " found, " + shape_text(shape) + " is needed");
  flat_of(array, file);  // which refuses Fortran order
  return array;
}

Labels labels_of(const io::Array& array, const SmoothOptions& options) {
  if (is_float(array.dtype)) {
    throw Error(options.labels, std::string("has type ") + name(array.dtype) + ", integers are allowed");
  }
  return {flat_of(array, options.labels), array.shape, options.ignore_index};
}

bool is_distribution(double mass) { return std::abs(mass - 1) <= 4 * std::numeric_limits<double>::epsilon(); }

std::string mass_note(const SmoothOptions& options, const Equivalent& equivalent) {
  if (is_distribution(equivalent.scale)) return "";
  return fmt::format(
      "rows of {} sum to {}, not 1: cross-entropy with them is {} times that of uniform smoothing {}",
      options.rule, equivalent.scale, equivalent.scale, equivalent.amount);
}

Outcome write_by_rule(const SmoothOptions& options, const Labels& labels, Progress& progress) {
  io::Array prior, matrix;  // keep the files open
  LabelRule rule = {.classes = options.classes};
  if (options.rule == "prior") {
    prior = read(options.prior, {options.classes});
    rule.smoothing = uniform(*options.smoothing, flat_of(prior, options.prior));
  } else if (options.rule == "matrix") {
    matrix = read(options.matrix, {options.classes, options.classes});
    const Rows rows(matrix.data, matrix.dtype, options.classes, options.classes, 1);
    rule.smoothing = uniform(*options.smoothing, Prior(Prior::Kind::by_label, rows));
  } else {
    rule.smoothing = smoothing_of(options.rule, options.smoothing.value_or(0));
  }
  check(rule);
  const Equivalent equivalent = as_uniform(rule.smoothing.at(0), options.classes);
  Json json = {{"rule", options.rule}, {"smoothing", rule.smoothing.amount}};
  if (!options.sample) {
    write_targets(options.out, options.dtype == "f64" ? DType::f64 : DType::f32, labels, rule, progress);
    json["mass"] = equivalent.scale;
    json["effective_smoothing"] = equivalent.amount;
    json["dtype"] = options.dtype;
    return {json, mass_note(options, equivalent)};
  }
  if (!is_distribution(equivalent.scale)) {
    throw UsageError("--sample",
                     fmt::format("{} with {} classes has rows of mass {}, which are no distribution "
                                 "to draw from; uniform, others, prior and matrix are allowed, and "
                                 "flip with 2",
                                 options.rule, options.classes, equivalent.scale));
  }
  json["seed"] = options.seed;
  json["changed"] = write_sampled(options.out, labels, rule, options.seed, progress);
  return {json};
}

std::string uniform_rows_note(const std::vector<int64_t>& rows, int64_t classes) {
  constexpr size_t kShown = 10;
  if (rows.empty()) return "";
  return fmt::format("{} of {} classes have no rows to learn from, theirs are uniform: {}{}", rows.size(),
                     classes, fmt::join(rows.begin(), rows.begin() + std::min(rows.size(), kShown), ", "),
                     rows.size() > kShown ? ", ..." : "");
}

Outcome write_class_matrix(const SmoothOptions& options, const Labels& labels, Progress& progress) {
  if (options.classes < 2 || options.classes > kMaxMatrixClasses) {
    throw UsageError("--classes", fmt::format("{} found, --matrix-from allows 2 to {}", options.classes,
                                              kMaxMatrixClasses));
  }
  std::vector<int64_t> shape = labels.shape;
  shape.push_back(options.classes);
  const io::Array logits = read(options.matrix_from, shape);
  if (!is_float(logits.dtype)) {
    throw Error(options.matrix_from,
                std::string("has type ") + name(logits.dtype) + ", f32, f64, f16 and bf16 are allowed");
  }
  const ClassMatrix matrix =
      class_matrix(flat_of(logits, options.matrix_from), options.classes, labels, progress);
  shape = {options.classes, options.classes};
  if (options.dtype == "f64") {
    io::write_npy(options.out, DType::f64, shape, matrix.values.data());
  } else {
    const std::vector<float> rounded(matrix.values.begin(), matrix.values.end());
    io::write_npy(options.out, DType::f32, shape, rounded.data());
  }
  return {
      {{"matrix_from", options.matrix_from}, {"uniform_rows", matrix.uniform_rows}, {"dtype", options.dtype}},
      uniform_rows_note(matrix.uniform_rows, options.classes)};
}

Outcome write(const SmoothOptions& options) {
  const io::Array array = io::read_array(options.labels);
  const Labels labels = labels_of(array, options);
  const int64_t counted = check(labels, options.classes);
  const bool estimates = !options.matrix_from.empty();
  if (estimates && counted == 0)
    throw Error(options.labels, "no row counts, so there is nothing to estimate from");
  Progress progress("files", static_cast<double>(labels.values.size), 1, options.quiet);
  Outcome outcome =
      estimates ? write_class_matrix(options, labels, progress) : write_by_rule(options, labels, progress);
  Json json = {{"rows", labels.values.size}, {"counted", counted}, {"classes", options.classes}};
  json.update(outcome.json);
  json["out"] = options.out;
  return {json, outcome.note};
}

void check_usage(const SmoothOptions& options) {
  if ((options.rule == "prior") != !options.prior.empty())
    throw UsageError("--prior", "a file and --rule prior belong together");
  if ((options.rule == "matrix") != !options.matrix.empty())
    throw UsageError("--matrix", "a file and --rule matrix belong together");
  if (!options.smoothing && options.rule != "none" && options.matrix_from.empty())
    throw UsageError("--smoothing", "missing, 0 to 1 is needed");
}

// The library knows arguments, the user files and flags.
[[noreturn]] void rethrow(const Error& error, const SmoothOptions& options) {
  if (error.argument == "labels") throw Error(options.labels, error.found, error.row);
  if (error.argument == "prior") throw Error(options.prior, error.found, error.row);
  if (error.argument == "matrix") throw Error(options.matrix, error.found, error.row);
  if (error.argument == "logits") throw Error(options.matrix_from, error.found, error.row);
  if (error.argument == "smoothing") throw UsageError("--smoothing", error.found);
  throw;
}

void smooth(const SmoothOptions& options) {
  check_usage(options);
  Outcome outcome;
  try {
    outcome = write(options);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    rethrow(error, options);
  }
  if (!outcome.note.empty() && !options.quiet) fmt::print(stderr, "labelsmooth: {}\n", outcome.note);
  if (options.json) {
    fmt::print("{}\n", outcome.json.dump());
    return;
  }
  for (const auto& [key, value] : outcome.json.items()) {
    fmt::print("{:<21}{}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

void add_smooth(CLI::App& app) {
  auto o = std::make_shared<SmoothOptions>();
  CLI::App* verb = app.add_subcommand(
      "smooth", "labels to smoothed target rows, or to randomly replaced labels, for any trainer (.npy)");
  verb->footer(kFiles);
  verb->add_option("LABELS", o->labels, "integers of any shape; the targets have the classes as last axis")
      ->required();
  verb->add_option("--classes", o->classes, "how many there are")
      ->required()
      ->check(CLI::Range(int64_t{1}, kMaxClasses));
  auto* smoothing = verb->add_option("--smoothing", o->smoothing, "amount of smoothing")->check(kUnit);
  auto* rule =
      verb->add_option("--rule", o->rule,
                       "none, uniform (the default), others, flip, additive, prior or matrix")
          ->check(CLI::IsMember({"none", "uniform", "others", "flip", "additive", "prior", "matrix"}));
  auto* prior = verb->add_option("--prior", o->prior, "(classes,), sums to 1: where the mass goes");
  auto* matrix = verb->add_option("--matrix", o->matrix, "(classes, classes): row y is the prior of label y");
  auto* sample =
      verb->add_flag("--sample", o->sample,
                     "write int64 labels instead, each replaced with probability --smoothing: by a "
                     "class drawn from all (uniform) or from the prior, or by a different class "
                     "(others); their mean is the target row");
  auto* seed =
      verb->add_option("--seed", o->seed, "of --sample, 1 by default")->check(at_least(0))->needs(sample);
  auto* matrix_from = verb->add_option(
      "--matrix-from", o->matrix_from,
      "write a --matrix file instead: row y is the mean softmax of these logits (the labels' shape, "
      "classes) over the rows with label y, without class y itself and normalised; a class without rows "
      "is uniform over the others");
  for (CLI::Option* other : {smoothing, rule, prior, matrix, sample, seed}) matrix_from->excludes(other);
  verb->add_option("--ignore-index", o->ignore_index,
                   "rows with this label have targets of 0, and keep it under --sample; -100 by default")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_option("--dtype", o->dtype, "of the targets or the matrix: f32 (the default) or f64")
      ->check(CLI::IsMember({"f32", "f64"}))
      ->excludes(sample);
  verb->add_option("-o,--out", o->out, "the file to write")->required();
  verb->add_flag("--quiet", o->quiet, "no progress and no notes");
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->callback([o] { smooth(*o); });
}

}  // namespace labelsmooth
