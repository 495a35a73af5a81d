// SPDX-License-Identifier: MIT
// loss: the library on files, a reference for other implementations.
#include <fmt/format.h>  // fmt::print

#include <cmath>   // std::isfinite
#include <memory>  // std::make_shared
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "errors.h"
#include "io/npy.h"
#include "labelsmooth/cross_entropy.h"
#include "smoothing_of.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

struct LossOptions {
  std::string logits, labels, class_weights, prior, grad, losses, rule = "uniform";
  double smoothing = 0;
  int64_t axis = -1, ignore_index = -100;
  std::string reduction = "mean", empty = "nan";
  bool json = false;
};

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

Vector vector_of(const io::Array& array, const std::string& file) {
  if (array.shape.size() != 1)
    throw Error(file, "shape " + shape_text(array.shape) + " found, (classes,) is needed");
  return {array.data, array.dtype, array.size()};
}

// (outer, classes, inner) around the class axis, in C order. One dimension is one row.
Logits logits_of(const io::Array& array, const std::string& file, int64_t axis) {
  const auto rank = static_cast<int64_t>(array.shape.size());
  if (rank == 0) throw Error(file, "a single number found, logits need at least one dimension");
  if (!is_float(array.dtype))
    throw Error(file, std::string("has type ") + name(array.dtype) + ", f32, f64, f16 and bf16 are allowed");
  if (axis < -rank || axis >= rank) {
    throw UsageError("--axis",
                     fmt::format("{} found, {} to {} is allowed for {}", axis, -rank, rank - 1, file));
  }
  if (axis < 0) axis += rank;
  if (array.fortran_order && rank > 2) throw Error(file, "Fortran order is allowed for up to two dimensions");
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= array.shape[i];
  for (int64_t i = axis + 1; i < rank; ++i) inner *= array.shape[i];
  Logits logits(array.data, array.dtype, outer, array.shape[axis], inner);
  if (array.fortran_order && rank == 2) {  // the transpose of a C array
    logits.outer_stride = axis == 1 ? 1 : 0;
    logits.class_stride = axis == 1 ? array.shape[0] : 1;
    logits.inner_stride = axis == 1 ? 0 : array.shape[0];
  }
  return logits;
}

// The same shape without the class axis.
Vector labels_of(const io::Array& array, const io::Array& logits, const std::string& file, int64_t axis) {
  if (is_float(array.dtype))
    throw Error(file, std::string("has type ") + name(array.dtype) + ", integers are allowed");
  std::vector<int64_t> expected = logits.shape;
  expected.erase(expected.begin() + (axis < 0 ? axis + static_cast<int64_t>(expected.size()) : axis));
  if (array.shape != expected) {
    throw Error(file, "shape " + shape_text(array.shape) + " found, " + shape_text(expected) + " is needed");
  }
  if (array.fortran_order && array.shape.size() > 1)
    throw Error(file, "Fortran order found, C order is needed");
  return {array.data, array.dtype, array.size()};
}

// Past the command line's check of the names.
Reduction reduction_of(const std::string& name) {
  return name == "mean" ? Reduction::mean : name == "sum" ? Reduction::sum : Reduction::none;
}
Empty empty_of(const std::string& name) {
  return name == "nan" ? Empty::nan : name == "zero" ? Empty::zero : Empty::error;
}

Result run(const LossOptions& options) {
  const io::Array logits_array = io::read_npy(options.logits), labels_array = io::read_npy(options.labels);
  const Logits logits = logits_of(logits_array, options.logits, options.axis);
  const Vector labels = labels_of(labels_array, logits_array, options.labels, options.axis);
  io::Array weights, prior;  // keep the files open
  Options loss;
  loss.ignore_index = options.ignore_index;
  loss.reduction = reduction_of(options.reduction);
  loss.empty = empty_of(options.empty);
  if (options.rule == "prior") {
    prior = io::read_npy(options.prior);
    loss.smoothing = uniform(options.smoothing, vector_of(prior, options.prior));
  } else {
    loss.smoothing = smoothing_of(options.rule, options.smoothing);
  }
  if (!options.class_weights.empty()) {
    weights = io::read_npy(options.class_weights);
    loss.class_weights = vector_of(weights, options.class_weights);
    if (weights.size() == 0) throw Error(options.class_weights, "no weights found");
  }

  std::vector<double> losses(options.losses.empty() ? 0 : static_cast<size_t>(logits.rows()));
  const Parts parts = {.loss = losses};
  Result result;
  if (options.grad.empty()) {
    result = cross_entropy(logits, labels, loss, parts);
  } else {
    std::vector<std::byte> gradient(static_cast<size_t>(logits_array.size()) * size_bytes(logits.dtype));
    const Gradient dlogits(static_cast<void*>(gradient.data()), logits.dtype, logits.outer, logits.classes,
                           logits.inner);
    result = cross_entropy(logits, labels, dlogits, loss, parts);
    io::write_npy(options.grad, logits.dtype, logits_array.shape, gradient.data());
  }
  if (!options.losses.empty()) io::write_npy(options.losses, DType::f64, labels_array.shape, losses.data());
  return result;
}

void loss(const LossOptions& options) {
  if ((options.rule == "prior") != !options.prior.empty()) {
    throw UsageError("--prior", "a file and --rule prior belong together");
  }
  if (!(options.smoothing >= 0 && options.smoothing <= 1)) {
    throw UsageError("--smoothing", fmt::format("{} found, 0 to 1 is allowed", options.smoothing));
  }
  Result result;
  try {
    result = run(options);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {  // the library knows arguments, the user knows files
    const std::string found = std::string(error.what()).substr(error.argument.size() + 2);
    if (error.argument == "logits") throw Error(options.logits, found, error.row);
    if (error.argument == "labels") throw Error(options.labels, found, error.row);
    if (error.argument == "prior") throw Error(options.prior, found, error.row);
    if (error.argument == "class_weights") throw Error(options.class_weights, found, error.row);
    throw;
  }
  const double accuracy = static_cast<double>(result.correct) / static_cast<double>(result.counted);
  if (options.json) {
    const nlohmann::json json = {
        {"loss", result.loss},
        {"nll", result.nll},
        {"rows", result.rows},
        {"counted", result.counted},
        {"accuracy", accuracy},
        {"denominator", result.denominator},
        {"first_impossible_row",
         result.first_impossible_row < 0 ? nlohmann::json() : nlohmann::json(result.first_impossible_row)}};
    fmt::print("{}\n", json.dump());
    return;
  }
  const auto line = [](const char* name, const auto& value) { fmt::print("{:<10}{}\n", name, value); };
  if (options.reduction != "none") line("loss", result.loss);
  line("nll", result.nll);
  line("accuracy", accuracy);
  line("rows", result.rows);
  line("counted", result.counted);
  if (result.first_impossible_row >= 0) {
    fmt::print("row {} is the first whose label has logit -inf\n", result.first_impossible_row);
  }
}

}  // namespace

void add_loss(CLI::App& app) {
  auto o = std::make_shared<LossOptions>();
  CLI::App* verb = app.add_subcommand("loss", "loss and gradient of files (.npy, - is standard input)");
  verb->add_option("LOGITS", o->logits, "f32 or f64, any number of dimensions")->required();
  verb->add_option("LABELS", o->labels, "integers, the logits' shape without the class axis")->required();
  verb->add_option("--smoothing", o->smoothing, "amount of smoothing")->check(kUnit);
  verb->add_option("--rule", o->rule, std::string(kRules) + ", or prior with --prior");
  verb->add_option("--prior", o->prior, "(classes,), sums to 1");
  verb->add_option("--axis", o->axis, "the class axis");
  verb->add_option("--class-weights", o->class_weights, "(classes,), per term as in PyTorch");
  verb->add_option("--ignore-index", o->ignore_index, "rows with this label do not count")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_option("--reduction", o->reduction, "over the rows")
      ->check(CLI::IsMember({"mean", "sum", "none"}));
  verb->add_option("--empty", o->empty, "what a mean over nothing is")
      ->check(CLI::IsMember({"nan", "zero", "error"}));
  verb->add_option("--grad", o->grad, "write the gradient of the reduced loss");
  verb->add_option("--losses", o->losses, "write the weighted, undivided row losses as f64");
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->callback([o] { loss(*o); });
}

}  // namespace labelsmooth
