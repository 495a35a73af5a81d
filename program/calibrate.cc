// SPDX-License-Identifier: MIT
// calibrate: fits a temperature on one set of logits, and divides another by it.
#include <fmt/format.h>  // fmt::format, fmt::print

#include <cmath>   // std::abs, std::isfinite
#include <memory>  // std::make_shared
#include <nlohmann/json.hpp>

#include "arrays.h"
#include "calibrate/divided.h"
#include "command_line.h"
#include "errors.h"
#include "io/array.h"
#include "labelsmooth/calibration.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using Json = nlohmann::ordered_json;

// Below so many rows the interval is poor and the temperature follows the sample.
constexpr int64_t kFewRows = 500;
constexpr int kBins = 15;

struct CalibrateOptions {
  std::vector<std::string> fit;
  std::string apply, out;
  int64_t axis = -1, ignore_index = -100;
  bool quiet = false, json = false;
};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::vector<std::string> warnings_of(const TemperatureFit& fit, double ece_before, double ece_after) {
  std::vector<std::string> warnings;
  if (fit.at_bound) {
    warnings.push_back(
        fmt::format("the NLL still falls at T = {:.4g}: on these rows the model is (nearly) always right, or "
                    "its order of "
                    "the classes is no better than chance; a set that it does not separate is needed",
                    fit.temperature));
  }
  if (fit.counted < kFewRows) {
    warnings.push_back(fmt::format(
        "{} rows were fitted to, {} or more make a temperature that holds elsewhere", fit.counted, kFewRows));
  }
  if (ece_after > ece_before && fit.nll_after < fit.nll_before) {
    warnings.push_back(
        fmt::format("ECE rose from {:.4f} to {:.4f} although the NLL fell: T minimises the NLL, which weighs "
                    "every class's "
                    "probability, not the gaps of {} bins of the largest one, and ECE is biased by noise of "
                    "the bins; trust "
                    "the NLL, or see both on rows that were not fitted to",
                    ece_before, ece_after, kBins));
  }
  return warnings;
}

Json run_fit(const CalibrateOptions& o, TemperatureFit& fit) {
  const io::Array logits = io::read_array(o.fit[0]), labels = io::read_array(o.fit[1]);
  const Logits view = logits_of(logits, o.fit[0], o.axis);
  const Vector vector = labels_of(labels, logits, o.fit[1], o.axis);
  fit = fit_temperature(view, vector, {.ignore_index = o.ignore_index});
  CalibrationStats before, after;
  before.add(view, vector, {.ignore_index = o.ignore_index});
  after.add(view, vector, {.ignore_index = o.ignore_index, .scale = 1 / fit.temperature});
  return {{"method", "temperature"},
          {"temperature", fit.temperature},
          {"low", number(fit.low)},
          {"high", number(fit.high)},
          {"nll_before", fit.nll_before},
          {"nll_after", fit.nll_after},
          {"entropy_after", fit.entropy_after},
          {"at_bound", fit.at_bound},
          {"rows", view.rows()},
          {"counted", fit.counted},
          {"classes", view.classes},
          {"nll_minus_entropy", fit.nll_after - fit.entropy_after},
          {"ece_before", before.ece(kBins)},
          {"ece_after", after.ece(kBins)},
          {"gap_before", before.gap()},
          {"gap_after", after.gap()},
          {"warnings", warnings_of(fit, before.ece(kBins), after.ece(kBins))}};
}

void print_text(const Json& json) {
  const auto line = [](const char* name, const std::string& text) { fmt::print("{:<22}{}\n", name, text); };
  const auto plain = [&](const char* key) { return fmt::format("{:.6g}", json[key].get<double>()); };
  const auto pair = [&](const std::string& key) {
    return plain((key + "_before").c_str()) + " -> " + plain((key + "_after").c_str());
  };
  std::string interval = json["at_bound"] ? "  (at the bound: no interval)" : "";
  if (json["low"].is_number()) interval = fmt::format("  [{}, {}], 95 %", plain("low"), plain("high"));
  line("temperature", plain("temperature") + interval);
  line("NLL", pair("nll"));
  line("NLL - entropy", fmt::format("{:.1e} at T{}", json["nll_minus_entropy"].get<double>(),
                                    json["at_bound"] ? "" : ", 0 at the optimum"));
  line("ECE, 15 bins", pair("ece"));
  line("confidence - accuracy", pair("gap"));
  line("rows fitted to", json["counted"].dump());
  if (json.contains("out")) line("written", json["out"].get<std::string>());
}

void calibrate(const CalibrateOptions& o) {
  if (o.apply.empty() != o.out.empty()) throw UsageError("--out", "a file and --apply belong together");
  if ((o.fit[0] == "-") + (o.fit[1] == "-") + (o.apply == "-") > 1)
    throw UsageError("-", "found for several files, one of them can be standard input");
  Json json;
  TemperatureFit fit;
  try {
    json = run_fit(o, fit);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {  // the library knows arguments, the user files
    if (error.argument == "logits") throw Error(o.fit[0], error.found, error.row);
    if (error.argument == "labels") throw Error(o.fit[1], error.found, error.row);
    throw;
  }
  if (!o.apply.empty()) {
    const io::Array logits = io::read_array(o.apply);
    write_divided(logits, o.apply, fit.temperature, o.out, o.quiet);
    json["out"] = o.out;
  }
  if (!o.quiet) {
    for (const Json& warning : json["warnings"])
      fmt::print(stderr, "labelsmooth: {}\n", warning.get<std::string>());
  }
  if (o.json) {
    fmt::print("{}\n", json.dump());
  } else {
    print_text(json);
  }
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto o = std::make_shared<CalibrateOptions>();
  CLI::App* verb = app.add_subcommand(
      "calibrate",
      "the temperature that makes logits fit their labels, with its interval; divides others by it");
  verb->add_option(
          "--fit", o->fit,
          "LOGITS LABELS, of rows that the model was not trained on: f32, f64, f16 or bf16, and integers of "
          "the logits' shape without the class axis")
      ->expected(2)
      ->required();
  verb->add_option("--apply", o->apply, "other logits, of the same model");
  verb->add_option("--out", o->out, "where these go, divided by T, in their own type and shape (.npy)");
  verb->add_option("--axis", o->axis, "the class axis of --fit, the last by default");
  verb->add_option("--ignore-index", o->ignore_index, "rows with this label do not count, -100 by default")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_flag("--quiet", o->quiet, "no progress and no warnings");
  verb->add_flag("--json", o->json, "print one JSON object");
  add_threads(verb);
  verb->footer(kFiles);
  verb->callback([o] { calibrate(*o); });
}

}  // namespace labelsmooth
