// SPDX-License-Identifier: MIT
#include "compare/result.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::minmax
#include <cmath>      // std::sqrt

#include "compare/advice.h"
#include "compare/contrasts.h"
#include "evaluation/crossfit.h"
#include "evaluation/metrics.h"
#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth::compare {
namespace {

using nlohmann::json;

constexpr int kCoverages = 50;
constexpr double kBandSd = 1.96;  // of consistency bands and of the gap that chance shows

// 95 % of calibrated models with these confidences would show a gap below it in size.
double gap_by_chance(const Items& items) {
  double variance = 0;
  for (const double c : items.confidence) variance += c * (1 - c);
  return kBandSd * std::sqrt(variance) / static_cast<double>(items.confidence.size());
}

json metrics_of(const Items& items) {
  return {{"accuracy", accuracy(items)}, {"nll", nll(items)}, {"brier", brier(items)},
          {"augrc", augrc(items)},       {"gap", gap(items)}, {"gap_by_chance", gap_by_chance(items)}};
}

// Key by key over the runs.
json mean_of(const json& runs, const char* key) {
  json mean = runs[0][key];
  for (auto& [name, value] : mean.items()) {
    double sum = 0;
    for (const json& run : runs) sum += run[key][name].get<double>();
    value = sum / static_cast<double>(runs.size());
  }
  return mean;
}

json model_of(const Arm& arm) {
  json runs = json::array();
  bool at_bound = false;
  for (const Run& run : arm.runs) {
    json calibrated = metrics_of(run.calibrated);
    double temperature = 0;
    for (const double t : run.temperatures) temperature += t / static_cast<double>(run.temperatures.size());
    calibrated["temperature"] = temperature;
    at_bound |= run.at_bound;
    runs.push_back({{"file", run.file},
                    {"metrics", metrics_of(run.trained)},
                    {"calibrated", std::move(calibrated)},
                    {"temperatures", run.temperatures}});
  }
  return {{"name", arm.name},
          {"seeds", arm.runs.size()},
          {"metrics", mean_of(runs, "metrics")},
          {"calibrated", mean_of(runs, "calibrated")},
          {"at_bound", at_bound},
          {"runs", std::move(runs)}};
}

json models_of(const std::vector<Arm>& arms) {
  json models = json::array();
  for (const Arm& arm : arms) models.push_back(model_of(arm));
  return models;
}

json differences_of(const std::vector<Contrast>& contrasts) {
  json differences = json::array();
  for (const Contrast& contrast : contrasts) differences.push_back(to_json(contrast));
  return differences;
}

json reliability_of(const Items& items) {
  json bins = json::array();
  const std::vector<Bin> all = reliability(items);
  const auto count = static_cast<double>(all.size()), rows = static_cast<double>(items.confidence.size());
  for (size_t b = 0; b < all.size(); ++b) {
    const Bin& bin = all[b];
    const double band = kBandSd * bin.null_sd;
    bins.push_back({{"from", static_cast<double>(b) / count},
                    {"to", static_cast<double>(b + 1) / count},
                    {"count", bin.count},
                    {"share", static_cast<double>(bin.count) / rows},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy},
                    {"band_low", std::max(0., bin.confidence - band)},
                    {"band_high", std::min(1., bin.confidence + band)}});
  }
  return bins;
}

json risk_of(const Arm& arm, bool with_t) {
  json points = json::array();
  std::vector<double> risk, coverage;
  for (const Run& run : arm.runs) {
    const std::vector<RiskPoint> curve = risk_coverage(with_t ? run.calibrated : run.trained, kCoverages);
    risk.resize(curve.size());
    coverage.resize(curve.size());
    for (size_t i = 0; i < curve.size(); ++i) {
      coverage[i] = curve[i].coverage;
      risk[i] += curve[i].risk / static_cast<double>(arm.runs.size());
    }
  }
  for (size_t i = 0; i < risk.size(); ++i) points.push_back({{"coverage", coverage[i]}, {"risk", risk[i]}});
  return points;
}

// What the page draws: the reliability of the first run, the risk of the mean run.
json pictures_of(const std::vector<Arm>& arms) {
  json pictures = json::array();
  for (const Arm& arm : arms) {
    for (const bool with_t : {false, true}) {
      const Run& first = arm.runs[0];
      pictures.push_back({{"name", arm.name},
                          {"with_temperature", with_t},
                          {"file", first.file},
                          {"bins", reliability_of(with_t ? first.calibrated : first.trained)},
                          {"points", risk_of(arm, with_t)}});
    }
  }
  return pictures;
}

// A p of the bootstrap is 2 / resamples at the least, which Holm multiplies by the family's size at first.
void warn_of_resamples(const std::vector<Contrast>& contrasts, int64_t family, int resamples,
                       json& warnings) {
  for (const Contrast& one : contrasts) {
    if (one.method != "bootstrap" || 2 * family < .05 * resamples) continue;
    warnings.push_back(
        fmt::format("no p of {} resamples stands a family of {} tests: raise --bootstrap above {}", resamples,
                    family, 40 * family));
    return;
  }
}

// The groups are a family of their own: a word found in one of many slices has to stand that.
void add_groups(const std::vector<Arm>& arms, const std::vector<Group>& groups, const Setting& setting,
                json& result) {
  std::vector<Contrast> all;
  std::vector<size_t> ends;
  json& out = result["groups"] = json::array();
  for (const Group& group : groups) {
    std::vector<Arm> parts;
    for (const Arm& arm : arms) parts.push_back(slice(arm, group.rows));
    out.push_back({{"group", group.name}, {"rows", group.rows.size()}, {"models", models_of(parts)}});
    if (static_cast<int64_t>(group.rows.size()) >= kLeastRows) {
      for (Contrast& one : contrasts(parts, setting.seed, setting.resamples)) all.push_back(std::move(one));
    }
    ends.push_back(all.size());
  }
  const int64_t size = judge(all);
  result["group_family"] = {{"size", size}, {"correction", "Holm"}};
  warn_of_resamples(all, size, setting.resamples, result["warnings"]);
  size_t begin = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    out[g]["differences"] = differences_of({all.begin() + static_cast<std::ptrdiff_t>(begin),
                                            all.begin() + static_cast<std::ptrdiff_t>(ends[g])});
    begin = ends[g];
  }
}

}  // namespace

json result(const std::vector<Arm>& arms, const std::vector<Group>& groups, const Setting& setting) {
  const int64_t rows = arms[0].rows();
  if (rows < kLeastRows) {
    throw Error("rows", fmt::format("{} counted, at least {} are needed for an interval", rows, kLeastRows));
  }
  std::vector<Contrast> all = contrasts(arms, setting.seed, setting.resamples);
  const int64_t family = judge(all);
  json temperature = {{"source", "cross-fitted on the same rows"}, {"folds", kFolds}};
  if (!setting.fit_labels.empty())
    temperature = {{"source", "fitted on other rows"}, {"labels", setting.fit_labels}};
  json result = {{"command", setting.command},
                 {"baseline", arms[0].name},
                 {"rows", rows},
                 {"ignored", setting.ignored},
                 {"classes", setting.classes},
                 {"seed", setting.seed},
                 {"resamples", setting.resamples},
                 {"temperature", temperature},
                 {"family", {{"size", family}, {"correction", "Holm"}}},
                 {"models", models_of(arms)},
                 {"differences", differences_of(all)},
                 {"warnings", setting.warnings},
                 {"pictures", pictures_of(arms)}};
  warn_of_resamples(all, family, setting.resamples, result["warnings"]);
  if (!groups.empty()) add_groups(arms, groups, setting, result);
  // NaN is null, and bytes of a file's name that are no UTF-8 are replaced
  result = json::parse(result.dump(-1, ' ', false, json::error_handler_t::replace));
  result["advice"] = advice(result);
  return result;
}

}  // namespace labelsmooth::compare
