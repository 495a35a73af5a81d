// SPDX-License-Identifier: MIT
// identify: which rule, amount, weighting and reduction made these losses?
#include <fmt/format.h>  // fmt::print

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::ceil, std::isfinite, std::log10
#include <map>        // std::map
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>

#include "arrays.h"
#include "command_line.h"
#include "errors.h"
#include "identify/verdict.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using identify::Basis;
using identify::Candidate;
using identify::Verdict;
using nlohmann::json;

struct IdentifyOptions {
  std::string logits, labels, losses, class_weights;
  int64_t axis = -1, ignore_index = -100;
  bool json = false;
};

// Who makes such losses.
std::string frameworks(const std::string& rule, const std::string& offset) {
  static const std::map<std::string, const char*> kKnown = {
      {"none", "hard labels"},
      {"uniform", "PyTorch, timm, Keras, optax, MLX, Flux"},
      {"others", "fairseq, Megatron-LM, NeMo, lightseq"},
      {"flip", "element-wise flips of the one-hot bits; mass 1 + (K - 2) e"},
      {"additive", "(1 - e) onehot + e; mass 1 + (K - 1) e"},
      {"classy-vision", "ClassyVision, mmpretrain's classy_vision"}};
  if (offset == "kl") return rule == "others" ? "T2T, T5X, WeNet" : "";
  return kKnown.at(rule);
}

// ---- JSON ----

json number(double value) { return std::isfinite(value) ? json(value) : json(); }

// The digits that the uncertainty justifies.
std::string amount_text(const json& candidate) {
  if (candidate["smoothing"].is_null()) return "any";
  const double amount = candidate["smoothing"];
  if (candidate["uncertainty"].is_null()) return fmt::format("{}", amount);
  const double uncertainty = candidate["uncertainty"];
  if (uncertainty == 0) return fmt::format("{}", amount);
  const double digits = std::ceil(-std::log10(uncertainty));
  return fmt::format("{:.{}f} +- {:.1g}", amount, static_cast<int>(std::clamp(digits, 0.0, 16.0)),
                     uncertainty);
}

json json_of(const Candidate& c) {
  const size_t shown = std::min<size_t>(c.off.size(), 10);
  return {
      {"rule", c.rule},
      {"smoothing", c.told() || c.rule == "none" ? number(c.amount) : json()},
      {"uncertainty", c.told() ? number(c.uncertainty) : json()},
      {"weighting", identify::name(c.weighting)},
      {"reduction", c.reduction},
      {"share", c.share},
      {"denominator", c.scale.denominator.empty() ? json() : json(c.scale.denominator)},
      {"scale", c.scale.value},
      {"scale_name", c.scale.name.empty() ? json() : json(c.scale.name)},
      {"onehot", number(c.onehot())},
      {"flat", number(c.flat())},
      {"offset", c.offset},
      {"offset_name", c.offset_name.empty() ? json() : json(c.offset_name)},
      {"residual", number(c.fit.residual)},
      {"rounding", number(c.fit.rounding)},
      {"worst", number(c.fit.worst)},
      {"rms", number(c.fit.rms)},
      {"rows_off", c.off.size()},
      {"first_rows_off", std::vector<int64_t>(c.off.begin(), c.off.begin() + static_cast<int64_t>(shown))},
      {"used_by", frameworks(c.rule, c.offset_name)}};
}

json json_of(const Basis& basis, const Verdict& verdict) {
  const json none = {{"rule", nullptr},      {"smoothing", nullptr}, {"uncertainty", nullptr},
                     {"weighting", nullptr}, {"reduction", nullptr}, {"scale", nullptr},
                     {"offset", nullptr},    {"residual", nullptr},  {"rounding", nullptr}};
  json result = none;
  json candidates = json::array();
  for (const Candidate& c : verdict.candidates) candidates.push_back(json_of(c));
  const bool has_nearest = !verdict.fits && !basis.one_number;
  result["class_weights"] = nullptr;
  if (verdict.fits) {
    result.update(candidates[0]);
    for (const double w : verdict.candidates[0].label_weights) result["class_weights"].push_back(number(w));
  }
  result["fits"] = verdict.fits;
  result["identified"] = verdict.identified;
  result["nearest"] = has_nearest ? json_of(verdict.nearest) : json();
  if (has_nearest) result["residual"] = result["nearest"]["residual"];
  if (has_nearest) result["rounding"] = result["nearest"]["rounding"];
  result["candidates"] = candidates;
  result["rows"] = basis.rows;
  result["classes"] = basis.classes;
  result["counted"] = basis.counted;
  result["infinite_rows"] = basis.infinite.size();
  result["ignored_nonzero"] = basis.ignored_nonzero;
  result["precision"] = name(basis.precision.dtype);
  result["notes"] = verdict.notes;
  return result;
}

// ---- text ----

std::string divisor_text(const std::string& denominator) {
  if (denominator == "counted") return "the counted rows";
  if (denominator == "rows") return "all rows";
  if (denominator == "weights") return "the labels' weights";
  return "the " + denominator;
}

std::string how(const json& c) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (c["weighting"] != "none") add(fmt::format("weighting {}", c["weighting"].get<std::string>()));
  if (c["scale_name"].is_string()) add(c["scale_name"]);
  if (c["scale_name"] == identify::kAnyFactor) text += fmt::format(" of {:.6g}", c["scale"].get<double>());
  if (c["reduction"] == "sum") add("sum");
  if (c["reduction"] == "mean" && !c.at("share").get<bool>())
    add("mean over " + divisor_text(c["denominator"]));
  if (c["offset_name"] == "kl") add("KL, without the target's entropy");
  if (c["offset_name"] == "constant") add(fmt::format("plus a constant {:.6g}", c["offset"].get<double>()));
  return text.empty() ? "per row" : text;
}

void print_table(const json& candidates) {
  size_t width = 3, amounts = 9;
  for (const json& c : candidates) {
    width = std::max(width, how(c).size());
    amounts = std::max(amounts, amount_text(c).size());
  }
  fmt::print("\n{:<14}{:<{}}  {:<{}}  {:>9}  used by\n", "rule", "smoothing", amounts, "how", width,
             "residual");
  for (const json& c : candidates) {
    const std::string residual =
        c["worst"].is_null() ? "inf" : fmt::format("{:.2g}", c["worst"].get<double>());
    fmt::print("{:<14}{:<{}}  {:<{}}  {:>9}  {}\n", c["rule"].get<std::string>(), amount_text(c), amounts,
               how(c), width, residual, c["used_by"].get<std::string>());
  }
  fmt::print("residual: the largest, in units of what rounding alone allows\n");
}

void print_weights(const json& weights) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t k = 0; k < std::min(weights.size(), kShown); ++k) {
    text += weights[k].is_null() ? " ?" : fmt::format(" {:.6g}", weights[k].get<double>());
  }
  fmt::print("class weights:{}{}\n", text, weights.size() > kShown ? " ... (--json has all)" : "");
}

void print_text(const json& result) {
  const bool fits = result["fits"].get<bool>();
  if (fits) {
    const std::string doubt = result["identified"].get<bool>() ? "" : " or another candidate";
    fmt::print("{} {}{}: {}\n", result["rule"].get<std::string>(), amount_text(result), doubt, how(result));
  } else {
    fmt::print("none of these\n");
  }
  fmt::print("{} rows of {} classes, {} counted, losses as exact as {}\n", result["rows"].get<int64_t>(),
             result["classes"].get<int64_t>(), result["counted"].get<int64_t>(),
             result["precision"].get<std::string>());
  if (result["residual"].is_number()) {
    fmt::print("residual {:.1g}, rounding alone allows {:.1g}\n", result["residual"].get<double>(),
               result["rounding"].get<double>());
  }
  for (const json& note : result["notes"]) fmt::print("{}\n", note.get<std::string>());
  if (result["class_weights"].is_array()) print_weights(result["class_weights"]);
  if (!fits && result["nearest"].is_object()) fmt::print("\nnearest:");
  if (fits) {
    print_table(result["candidates"]);
  } else if (result["nearest"].is_object()) {
    print_table(json::array({result["nearest"]}));
  }
}

// ---- the verb ----

// The logits' shape without the class axis, or one number.
Vector losses_of(const io::Array& array, const io::Array& logits, const std::string& file, int64_t axis) {
  if (!is_float(array.dtype))
    throw Error(file, std::string("has type ") + name(array.dtype) + ", f32, f64, f16 and bf16 are allowed");
  const std::vector<int64_t> expected = rows_shape(logits, axis);
  const bool one = array.shape.empty() || array.shape == std::vector<int64_t>{1};
  if (array.shape != expected && !one) {
    throw Error(file, "shape " + shape_text(array.shape) + " found, " + shape_text(expected) +
                          " or a single number is needed");
  }
  return flat_of(array, file);
}

json run(const IdentifyOptions& o) {
  const io::Array logits_array = io::read_array(o.logits), labels_array = io::read_array(o.labels),
                  losses_array = io::read_array(o.losses);
  const Logits logits = logits_of(logits_array, o.logits, o.axis);
  const Vector labels = labels_of(labels_array, logits_array, o.labels, o.axis);
  const Vector losses = losses_of(losses_array, logits_array, o.losses, o.axis);
  io::Array weights_array;  // keeps the file open
  Vector weights;
  if (!o.class_weights.empty()) {
    weights_array = io::read_array(o.class_weights);
    weights = vector_of(weights_array, o.class_weights);
    if (weights.empty()) throw Error(o.class_weights, "no weights found");
  }
  const Basis basis = identify::make_basis(logits, labels, losses, weights, o.ignore_index);
  return json_of(basis, identify::verdict_of(basis));
}

void run_verb(const IdentifyOptions& o) {
  const std::map<std::string, std::string> files = {
      {"logits", o.logits}, {"labels", o.labels}, {"losses", o.losses}, {"class_weights", o.class_weights}};
  json result;
  try {
    result = run(o);
  } catch (const Error& error) {  // the library knows arguments, the user knows files
    const auto file = files.find(error.argument);
    if (file == files.end()) throw;
    throw Error(file->second, error.found, error.row);
  }
  if (o.json) {
    fmt::print("{}\n", result.dump());
  } else {
    print_text(result);
  }
}

}  // namespace

void add_identify(CLI::App& app) {
  auto o = std::make_shared<IdentifyOptions>();
  CLI::App* verb = app.add_subcommand("identify", "which rule and amount made these losses?");
  verb->footer(kFiles);
  verb->add_option("LOGITS", o->logits, "floats, any number of dimensions")->required();
  verb->add_option("LABELS", o->labels, "integers, the logits' shape without the class axis")->required();
  verb->add_option("LOSSES", o->losses, "floats of the labels' shape, or one number")->required();
  verb->add_option("--class-weights", o->class_weights, "(classes,), if the losses may be weighted");
  verb->add_option("--axis", o->axis, "the class axis");
  verb->add_option("--ignore-index", o->ignore_index, "rows with this label do not count")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->callback([o] { run_verb(*o); });
}

}  // namespace labelsmooth
