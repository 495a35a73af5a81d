// SPDX-License-Identifier: MIT
// loss: the library on files, a reference for other implementations.
#include <fmt/format.h>  // fmt::print

#include <algorithm>  // std::find
#include <deque>      // std::deque
#include <limits>     // std::numeric_limits
#include <map>        // std::map
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>
#include <optional>  // std::optional

#include "arrays.h"
#include "command_line.h"
#include "errors.h"
#include "io/array.h"
#include "io/npy.h"
#include "labelsmooth/cross_entropy.h"
#include "smoothing_of.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

struct LossOptions {
  std::string logits, labels, rule = "uniform", prior, matrix, smoothing_by_class, smoothing_by_row;
  std::string class_weights, row_weights, mask, weighting = "per-term", support = "all";
  std::string reduction = "mean", denominator = "weights", empty = "nan", grad, losses;
  std::vector<std::string> mixed;
  double smoothing = 0, temperature = 1, softcap = 0, z_loss = 0, entropy_penalty = 0, max_suppression = 0;
  int64_t axis = -1, ignore_index = -100;
  std::optional<int64_t> classes;
  bool json = false;
};

// The files behind the library's arguments: kept open, and named in its errors.
class Files {
 public:
  const io::Array& open(const std::string& argument, const std::string& file) {
    names_[argument] = file;
    arrays_.push_back(io::read_array(file));
    return arrays_.back();
  }
  void name(const std::string& argument, const std::string& file) { names_[argument] = file; }

  [[noreturn]] void rethrow(const Error& error) const {
    static const std::map<std::string, std::string> flags = {{"weighting", "--weighting"},
                                                             {"support", "--support"},
                                                             {"max_suppression", "--max-suppression"},
                                                             {"denominator", "--denominator"},
                                                             {"scale", "--temperature"},
                                                             {"smoothing", "--smoothing"},
                                                             {"z_loss", "--z-loss"},
                                                             {"soft_cap", "--softcap"},
                                                             {"entropy_penalty", "--entropy-penalty"}};
    if (const auto file = names_.find(error.argument); file != names_.end())
      throw Error(file->second, error.found, error.row);
    if (const auto flag = flags.find(error.argument); flag != flags.end())
      throw UsageError(flag->second, error.found);
    throw Error(error.argument, error.found, error.row);
  }

 private:
  std::deque<io::Array> arrays_;
  std::map<std::string, std::string> names_;
};

// An array of the logits' shape, a row each, or of the classes alone, for all rows.
struct RowsOrShared {
  Rows rows;
  bool by_row;
};
RowsOrShared rows_or_shared(const io::Array& array, const io::Array& logits, const std::string& file,
                            const LossOptions& o) {
  if (array.shape == logits.shape && array.shape.size() > 1) {
    const Rows rows = view_of(array, file, o.axis);
    return {o.classes ? rows.unpadded(*o.classes) : rows, true};
  }
  const Vector shared = vector_of(array, file);
  return {{shared.data, shared.dtype, 1, shared.size, 1}, false};
}

// The lowest class on ties.
std::vector<int64_t> largest(const Rows& targets) {
  std::vector<int64_t> labels;
  for (int64_t row = 0; row < targets.rows(); ++row) {
    int64_t best = 0;
    for (int64_t k = 1; k < targets.classes; ++k) {
      if (targets.real(row, k) > targets.real(row, best)) best = k;
    }
    labels.push_back(best);
  }
  return labels;
}

// Everything the library is given, and what it borrows.
struct Arguments {
  Files files;
  const io::Array* logits_array = nullptr;
  Logits logits;
  Target target = Vector();
  std::vector<int64_t> hard;  // of dense targets
  Options options;
};

void open_target(const LossOptions& o, Arguments& a) {
  const io::Array& labels = a.files.open("labels", o.labels);
  if (is_float(labels.dtype)) {
    if (labels.shape != a.logits_array->shape)
      throw Error(o.labels, "shape " + shape_text(labels.shape) + " of " + name(labels.dtype) +
                                " found, dense labels have the logits' " + shape_text(a.logits_array->shape) +
                                ", others are integers");
    if (!o.mixed.empty()) throw UsageError("--mixed", "goes with integer labels");
    Rows targets = view_of(labels, o.labels, o.axis);
    if (o.classes) targets = targets.unpadded(*o.classes);
    a.files.name("targets", o.labels);
    a.hard = largest(targets);
    a.target = dense(targets, a.hard);
    return;
  }
  const Vector first = labels_of(labels, *a.logits_array, o.labels, o.axis);
  a.target = first;
  if (o.mixed.empty()) return;
  const Vector second = labels_of(a.files.open("second", o.mixed[0]), *a.logits_array, o.mixed[0], o.axis);
  a.target = mixed(first, second, flat_of(a.files.open("weight", o.mixed[1]), o.mixed[1]));
}

void open_smoothing(const LossOptions& o, Arguments& a) {
  Smoothing& smoothing = a.options.smoothing;
  if (o.rule == "prior") {
    const auto [rows, by_row] = rows_or_shared(a.files.open("prior", o.prior), *a.logits_array, o.prior, o);
    smoothing = uniform(o.smoothing, Prior(by_row ? Prior::Kind::by_row : Prior::Kind::shared, rows));
  } else if (o.rule == "matrix") {
    const Rows rows = view_of(a.files.open("prior", o.matrix), o.matrix, -1);
    smoothing = uniform(o.smoothing, Prior(Prior::Kind::by_label, rows));
  } else {
    smoothing = smoothing_of(o.rule, o.smoothing);
  }
  const auto open = [&](const char* argument, const std::string& file, bool by_row, Vector& vector) {
    if (file.empty()) return;
    const io::Array& array = a.files.open(argument, file);
    vector = by_row ? flat_of(array, file) : vector_of(array, file);
    if (vector.empty()) throw Error(file, "no values found");
  };
  open("amount_by_class", o.smoothing_by_class, false, smoothing.amount_by_class);
  open("amount_by_row", o.smoothing_by_row, true, smoothing.amount_by_row);
  open("class_weights", o.class_weights, false, a.options.class_weights);
  open("row_weights", o.row_weights, true, a.options.row_weights);
}

// Past the command line's check of the names.
template <class Enum>
Enum named(const std::string& name, const std::vector<std::string>& names) {
  return static_cast<Enum>(std::find(names.begin(), names.end(), name) - names.begin());
}
const std::vector<std::string> kWeightings = {"per-term", "label", "expected"}, kSupports = {"all", "finite"},
                               kReductions = {"mean", "sum", "none"}, kEmpties = {"nan", "zero", "error"};

Denominator denominator_of(const std::string& text) {
  if (text == "weights") return {Denominator::weights};
  if (text == "rows") return {Denominator::rows};
  double value;
  if (!CLI::detail::lexical_cast(text, value))
    throw UsageError("--denominator", "'" + text + "' found, weights, rows and numbers are allowed");
  return {Denominator::constant, value};
}

void open_all(const LossOptions& o, Arguments& a) {
  a.logits_array = &a.files.open("logits", o.logits);
  a.logits = logits_of(*a.logits_array, o.logits, o.axis);
  if (o.classes && *o.classes > a.logits.classes) {
    throw UsageError("--classes", fmt::format("{} found, {} has {}", *o.classes, o.logits, a.logits.classes));
  }
  if (o.classes) a.logits = a.logits.unpadded(*o.classes);
  open_target(o, a);
  open_smoothing(o, a);
  Options& options = a.options;
  options.weighting = named<Weighting>(o.weighting, kWeightings);
  options.support = named<Support>(o.support, kSupports);
  options.reduction = named<Reduction>(o.reduction, kReductions);
  options.empty = named<Empty>(o.empty, kEmpties);
  options.denominator = denominator_of(o.denominator);
  options.ignore_index = o.ignore_index;
  options.scale = 1 / o.temperature;
  options.soft_cap = o.softcap;
  options.z_loss = o.z_loss;
  options.entropy_penalty = o.entropy_penalty;
  options.max_suppression = o.max_suppression;
  if (!o.mask.empty())
    options.mask = rows_or_shared(a.files.open("mask", o.mask), *a.logits_array, o.mask, o).rows;
}

Result run(const LossOptions& o, Arguments& a) {
  open_all(o, a);
  const Logits& logits = a.logits;
  std::vector<double> losses(o.losses.empty() ? 0 : static_cast<size_t>(logits.rows()));
  const Parts parts = {.loss = losses};
  Result result;
  if (o.grad.empty()) {
    result = cross_entropy(logits, a.target, a.options, parts);
  } else {
    std::vector<std::byte> gradient(static_cast<size_t>(a.logits_array->size()) * size_bytes(logits.dtype));
    Gradient dlogits(static_cast<void*>(gradient.data()), logits.dtype, logits.outer,
                     logits.classes + logits.padding, logits.inner);
    dlogits = dlogits.unpadded(logits.classes);
    result = cross_entropy(logits, a.target, dlogits, a.options, parts);
    io::write_npy(o.grad, logits.dtype, a.logits_array->shape, gradient.data());
  }
  if (!o.losses.empty())
    io::write_npy(o.losses, DType::f64, rows_shape(*a.logits_array, o.axis), losses.data());
  return result;
}

void check_usage(const LossOptions& o) {
  if ((o.rule == "prior") != !o.prior.empty())
    throw UsageError("--prior", "a file and --rule prior belong together");
  if ((o.rule == "matrix") != !o.matrix.empty())
    throw UsageError("--matrix", "a file and --rule matrix belong together");
  if (!o.mask.empty() && o.support != "finite") throw UsageError("--mask", "needs --support finite");
  if (!(o.smoothing >= 0 && o.smoothing <= 1))
    throw UsageError("--smoothing", fmt::format("{} found, 0 to 1 is allowed", o.smoothing));
  if (!(o.temperature > 0))
    throw UsageError("--temperature", fmt::format("{} found, values above 0 are allowed", o.temperature));
}

void loss(const LossOptions& options) {
  check_usage(options);
  Arguments arguments;
  Result result;
  try {
    result = run(options, arguments);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {  // the library knows arguments, the user knows files and flags
    arguments.files.rethrow(error);
  }
  const double accuracy = result.counted == 0
                              ? std::numeric_limits<double>::quiet_NaN()
                              : static_cast<double>(result.correct) / static_cast<double>(result.counted);
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

void add_target_options(CLI::App* verb, LossOptions& o) {
  verb->add_option("LOGITS", o.logits, "f32, f64, f16 or bf16, any number of dimensions")->required();
  verb->add_option(
          "LABELS", o.labels,
          "integers, the logits' shape without the class axis; or floating, the logits' shape: dense")
      ->required();
  verb->add_option("--mixed", o.mixed, "a second LABELS, and a WEIGHT of the first for each row: mixup")
      ->expected(2);
  verb->add_option("--axis", o.axis, "the class axis");
  verb->add_option("--classes", o.classes, "the first of the class axis are classes, the rest padding")
      ->check(at_least(1));
  verb->add_option("--ignore-index", o.ignore_index,
                   "rows with this label do not count; of a dense row the label is its largest")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
}

void add_smoothing_options(CLI::App* verb, LossOptions& o) {
  verb->add_option("--smoothing", o.smoothing, "amount of smoothing")->check(kUnit);
  verb->add_option("--smoothing-by-class", o.smoothing_by_class, "(classes,): by the row's label instead");
  verb->add_option("--smoothing-by-row", o.smoothing_by_row, "one amount a row instead");
  verb->add_option("--rule", o.rule, std::string(kRules) + ", prior with --prior, or matrix with --matrix");
  verb->add_option("--prior", o.prior, "(classes,), sums to 1; or the logits' shape, a row each");
  verb->add_option("--matrix", o.matrix, "(classes, classes): row y is the prior of label y");
  verb->add_option("--support", o.support,
                   "classes that smoothing reaches: all, or those above -inf that the mask allows")
      ->check(CLI::IsMember(kSupports));
  verb->add_option("--mask", o.mask, "u8, 0 excludes: (classes,) or the logits' shape; for --support finite");
}

void add_loss_options(CLI::App* verb, LossOptions& o) {
  verb->add_option("--class-weights", o.class_weights, "(classes,)");
  verb->add_option("--weighting", o.weighting, "per-term (PyTorch), label (Keras) or expected (Paddle)")
      ->check(CLI::IsMember(kWeightings));
  verb->add_option("--row-weights", o.row_weights, "one a row");
  verb->add_option("--temperature", o.temperature, "divides the logits");
  verb->add_option("--softcap", o.softcap, "C of C tanh(logit / C), before the temperature")
      ->check(kNonNegative);
  verb->add_option("--z-loss", o.z_loss, "factor of lse^2")->check(kNonNegative);
  verb->add_option("--entropy-penalty", o.entropy_penalty, "factor of minus the entropy")
      ->check(kNonNegative);
  verb->add_option("--max-suppression", o.max_suppression, "factor of max - mean of the logits")
      ->check(kNonNegative);
  verb->add_option("--reduction", o.reduction, "over the rows")->check(CLI::IsMember(kReductions));
  verb->add_option("--denominator", o.denominator, "of the mean: weights, rows, or a number");
  verb->add_option("--empty", o.empty, "what a mean over nothing is")->check(CLI::IsMember(kEmpties));
  verb->add_option("--grad", o.grad, "write the gradient of the reduced loss");
  verb->add_option("--losses", o.losses, "write the weighted, undivided row losses as f64");
}

}  // namespace

void add_loss(CLI::App& app) {
  auto o = std::make_shared<LossOptions>();
  CLI::App* verb = app.add_subcommand("loss",
                                      "loss and gradient of files; nll is the loss without "
                                      "smoothing, of dense labels too");
  add_target_options(verb, *o);
  add_smoothing_options(verb, *o);
  add_loss_options(verb, *o);
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->footer(kFiles);
  verb->callback([o] { loss(*o); });
}

}  // namespace labelsmooth
