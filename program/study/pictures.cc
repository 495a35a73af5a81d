// SPDX-License-Identifier: MIT
#include "study/pictures.h"

#include <algorithm>   // std::clamp, std::find, std::max, std::min, std::sort
#include <cmath>       // std::isfinite
#include <filesystem>  // std::filesystem::exists
#include <nlohmann/json.hpp>
#include <vector>  // std::vector

#include "evaluation/inference.h"
#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "smoothing_of.h"
#include "study/own.h"
#include "study/run_files.h"
#include "study/training.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

constexpr double kBandSd = 1.96;
constexpr int kBins = 15, kCoverages = 50;

const char* const kFashionClasses[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                       "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

// What is not finite has no place in a file.
json number(double value) { return std::isfinite(value) ? json(value) : json(); }

// ---- Arms: the runs that differ by their seed only ----

struct Arm {
  json shown;  // what identifies it
  std::vector<const json*> runs;
  double smoothing() const { return shown["smoothing"]; }
  bool is_of(const std::string& setting, double noise) const {
    return shown["setting"] == setting && shown["noise"] == noise && shown["noise_kind"] == "symmetric";
  }
};

std::vector<Arm> arms_of(const json& runs) {
  std::vector<Arm> arms;
  for (const json& run : runs) {
    json shown;
    for (const char* key :
         {"setting", "noise_kind", "noise", "rule", "smoothing", "train_size", "epochs", "weight_decay"}) {
      shown[key] = run[key];
    }
    auto arm = std::find_if(arms.begin(), arms.end(), [&](const Arm& other) { return other.shown == shown; });
    if (arm == arms.end()) arm = arms.insert(arms.end(), {shown, {}});
    arm->runs.push_back(&run);
  }
  return arms;
}

struct Figure {
  const char *name, *part, *key;
};
constexpr Figure kFigures[] = {
    {"accuracy", "test", "accuracy"},
    {"nll", "test", "nll"},
    {"nll_calibrated", "calibrated", "nll"},
    {"brier", "test", "brier"},
    {"brier_calibrated", "calibrated", "brier"},
    {"gap", "test", "gap"},
    {"gap_calibrated", "calibrated", "gap"},
    {"aurc_calibrated", "calibrated", "aurc"},
    {"augrc_calibrated", "calibrated", "augrc"},
    {"auroc_calibrated", "calibrated", "auroc"},
    {"temperature", "calibrated", "temperature"},
    {"early_accuracy", "early", "accuracy"},
    {"early_epoch", "", "early_epoch"},
    {"realised_rate", "noise_fit", "realised_rate"},
    {"memorised", "noise_fit", "memorised"},
    {"recovered", "noise_fit", "recovered"},
    {"early_memorised", "early_noise_fit", "memorised"},
};

json mean_of(const Arm& arm, const Figure& figure) {
  std::vector<std::vector<double>> values;  // one item a seed: crossed() gives the t interval of the seeds
  for (const json* run : arm.runs) {
    const json& part = *figure.part ? (*run)[figure.part] : *run;  // null where there is no such part
    const json value = part.is_null() ? json() : part[figure.key];
    values.push_back({value.is_number() ? value.get<double>() : Estimate::kUnknown});
  }
  const Estimate mean = crossed(values);
  return {{"mean", number(mean.value)}, {"low", number(mean.low)}, {"high", number(mean.high)}};
}

json describe_arm(const Arm& arm) {
  json shown = arm.shown;
  shown["seeds"] = arm.runs.size();
  for (const Figure& figure : kFigures) shown[figure.name] = mean_of(arm, figure);
  return shown;
}

// ---- The settings shown ----

// One setting of the verdict box: its hard arm and its smoothed one, null where the grid lacks it.
struct Shown {
  std::string setting;
  double noise = 1;
  const Arm *hard = nullptr, *smoothed = nullptr;
};

// The primary settings where the grid has both kinds, else the first two.
std::vector<std::string> settings_of(const std::vector<Arm>& arms) {
  std::vector<std::string> all, chosen;
  for (const Arm& arm : arms) {
    const std::string setting = arm.shown["setting"];
    if (std::find(all.begin(), all.end(), setting) == all.end()) all.push_back(setting);
  }
  for (const char* primary : {"over-trained", "normal"}) {
    if (std::find(all.begin(), all.end(), primary) != all.end()) chosen.push_back(primary);
  }
  if (chosen.empty()) chosen.assign(all.begin(), all.begin() + std::min<std::ptrdiff_t>(2, std::ssize(all)));
  return chosen;
}

Shown shown_of(const std::vector<Arm>& arms, const std::string& setting, const std::string& rule,
               double primary) {
  Shown shown = {setting};
  for (const Arm& arm : arms) {
    if (arm.shown["setting"] == setting && arm.shown["noise_kind"] == "symmetric")
      shown.noise = std::min(shown.noise, arm.shown["noise"].get<double>());
  }
  for (const Arm& arm : arms) {
    if (!arm.is_of(setting, shown.noise)) continue;
    if (arm.shown["rule"] == "none") shown.hard = &arm;
    if (arm.shown["rule"] != rule) continue;
    const bool better =
        shown.smoothed == nullptr || arm.smoothing() == primary ||
        (shown.smoothed->smoothing() != primary && arm.smoothing() > shown.smoothed->smoothing());
    if (better) shown.smoothed = &arm;
  }
  return shown;
}

json describe_shown(const Shown& shown) {
  const Arm* arm = shown.hard ? shown.hard : shown.smoothed;
  return {{"setting", shown.setting},
          {"noise", shown.noise},
          {"smoothing", shown.smoothed ? json(shown.smoothed->smoothing()) : json()},
          {"rule", shown.smoothed ? shown.smoothed->shown["rule"] : json()},
          {"seeds", arm ? arm->runs.size() : 0}};
}

// Sums entries of many runs, then divides: a mean over seeds in a fixed order.
class Mean {
 public:
  void add(double value) { sum_ += value, ++count_; }
  json get() const { return count_ == 0 ? json() : number(sum_ / static_cast<double>(count_)); }

 private:
  double sum_ = 0;
  int64_t count_ = 0;
};

// ---- The pictures of the settings shown ----

class Pictures {
 public:
  Pictures(const json& results, const std::string& folder)
      : results_(results),
        folder_(folder),
        classes_(results["data"]["classes"]),
        rule_(results["rule"]),
        arms_(arms_of(results["runs"])) {
    for (const std::string& setting : settings_of(arms_)) {
      const Shown shown = shown_of(arms_, setting, rule_, primary_amount(results));
      if (shown.hard || shown.smoothed) shown_.push_back(shown);
    }
  }

  json all() const {
    json pictures = {{"conventions", conventions()},   {"arms", json::array()},
                     {"shown", json::array()},         {"reliability", json::array()},
                     {"risk_coverage", json::array()}, {"learning", json::array()},
                     {"logit_gaps", json::array()},    {"classes", json::array()}};
    for (const Arm& arm : arms_) pictures["arms"].push_back(describe_arm(arm));
    for (const Shown& shown : shown_) {
      pictures["shown"].push_back(describe_shown(shown));
      for (const Arm* arm : {shown.hard, shown.smoothed}) {
        if (!arm) continue;
        for (const bool with_temperature : {false, true})
          pictures["reliability"].push_back(reliability_of(*arm, with_temperature));
      }
      pictures["risk_coverage"].push_back(risk_coverage_of(shown));
      pictures["learning"].push_back(learning_of(shown));
      for (const Arm& arm : arms_) {
        if (arm.is_of(shown.setting, shown.noise)) pictures["logit_gaps"].push_back(logit_gaps_of(arm));
      }
      pictures["classes"].push_back(classes_of(shown));
    }
    return pictures;
  }

 private:
  // Owned by the files that use them; here for the reader of the report.
  json conventions() const {
    json conventions = {{"bins", kBins},
                        {"null_redraws", 1000},
                        {"band_sd", kBandSd},
                        {"coverages", kCoverages},
                        {"primary_smoothing", primary_amount(results_)},
                        {"verdict_seeds", 5},
                        {"batch", kBatch},
                        {"rate", kRate},
                        {"momentum", kMomentum},
                        {"validation_share", .2},
                        {"margins", {{"accuracy", .005}, {"nll", .01}, {"augrc_relative", .05}}}};
    if (is_own(results_)) {  // of the built-in training
      for (const char* key : {"batch", "rate", "momentum", "validation_share"}) conventions[key] = nullptr;
    }
    return conventions;
  }

  std::string path(const json& run, const char* file) const {
    return folder_ + "/" + run["dir"].get<std::string>() + "/" + file;
  }

  Items items(const json& run, bool with_temperature) const {
    const RunLogits logits = read_logits(path(run, "test_logits.npy"));
    const double t = with_temperature ? run["calibrated"]["temperature"].get<double>() : 1;
    return evaluate(logits.values(), read_labels(path(run, "test_labels.npy")), logits.classes(), t);
  }

  Smoothing smoothing_of_arm(const Arm& arm) const {
    const std::string rule = arm.shown["rule"];
    return smoothing_of(rule == "sampled" ? "uniform" : rule, arm.smoothing());
  }

  json reliability_of(const Arm& arm, bool with_temperature) const {
    const json& run = *arm.runs[0];
    const json& figures = run[with_temperature ? "calibrated" : "test"];
    json shown = arm.shown;
    shown.update({{"seed", run["seed"]},
                  {"with_temperature", with_temperature},
                  {"temperature", with_temperature ? figures["temperature"] : json()},
                  {"training_target", optimum(smoothing_of_arm(arm), classes_).probability},
                  {"bins", json::array()}});
    for (const char* key : {"accuracy", "confidence", "gap", "ece", "ece_null_mean", "ece_null_p95", "ece_p"})
      shown[key] = figures[key];
    const Items test = items(run, with_temperature);
    const auto rows = static_cast<double>(test.correct.size());
    int index = 0;
    for (const Bin& bin : reliability(test, kBins)) {
      shown["bins"].push_back({{"from", static_cast<double>(index) / kBins},
                               {"to", static_cast<double>(index + 1) / kBins},
                               {"count", bin.count},
                               {"share", static_cast<double>(bin.count) / rows},
                               {"confidence", number(bin.confidence)},
                               {"accuracy", number(bin.accuracy)},
                               {"null_sd", number(bin.null_sd)},
                               {"band_low", number(std::max(bin.confidence - kBandSd * bin.null_sd, 0.))},
                               {"band_high", number(std::min(bin.confidence + kBandSd * bin.null_sd, 1.))}});
      if (bin.count == 0) shown["bins"].back()["band_low"] = shown["bins"].back()["band_high"] = nullptr;
      ++index;
    }
    return shown;
  }

  json risk_coverage_of(const Shown& shown) const {
    json picture = describe_shown(shown);
    json& points = picture["points"] = json::array();
    for (const auto& [name, arm] : {std::pair{"hard", shown.hard}, {"smoothed", shown.smoothed}}) {
      if (!arm) continue;
      std::vector<Mean> coverage, risk;
      for (const json* run : arm->runs) {
        const std::vector<RiskPoint> curve = risk_coverage(items(*run, true), kCoverages);
        coverage.resize(curve.size());
        risk.resize(curve.size());
        for (size_t i = 0; i < curve.size(); ++i)
          coverage[i].add(curve[i].coverage), risk[i].add(curve[i].risk);
      }
      for (size_t i = 0; i < risk.size(); ++i) {
        if (points.size() <= i)
          points.push_back({{"coverage", coverage[i].get()}, {"hard", nullptr}, {"smoothed", nullptr}});
        points[i][name] = risk[i].get();
      }
    }
    return picture;
  }

  json learning_of(const Shown& shown) const {
    json picture = describe_shown(shown);
    picture["floor"] =
        shown.smoothed ? json(optimum(smoothing_of_arm(*shown.smoothed), classes_).floor) : json();
    json& points = picture["points"] = json::array();
    for (const auto& [name, arm] : {std::pair{"hard", shown.hard}, {"smoothed", shown.smoothed}}) {
      if (!arm) continue;
      for (const char* metric : kCurves) {
        std::vector<Mean> means;
        for (const json* run : arm->runs) {
          const std::string file = path(*run, "metrics.jsonl");
          if (!std::filesystem::exists(file)) continue;  // the user's own training need not write one
          const std::vector<json> lines = read_lines(file);
          means.resize(std::max(means.size(), lines.size()));
          for (size_t i = 0; i < lines.size(); ++i) {
            if (const json value = lines[i].value(metric, json()); value.is_number()) means[i].add(value);
          }
        }
        for (size_t i = 0; i < means.size(); ++i) {
          if (points.size() <= i) points.push_back({{"epoch", i + 1}});
          points[i][std::string(name) + "_" + metric] = means[i].get();
        }
      }
    }
    return picture;
  }

  json logit_gaps_of(const Arm& arm) const {
    std::vector<double> gaps;
    Mean mean;
    for (const json* run : arm.runs) {
      const RunLogits logits = read_logits(path(*run, "test_logits.npy"));
      const std::vector<int64_t> labels = read_labels(path(*run, "test_labels.npy"));
      for (size_t row = 0; row < labels.size(); ++row) {
        const auto z = logits.values().subspan(row * classes_, classes_);
        double sum = 0;
        for (const float logit : z) sum += logit;
        const double label = z[labels[row]];
        gaps.push_back(label - (sum - label) / static_cast<double>(classes_ - 1));
        mean.add(gaps.back());
      }
    }
    std::sort(gaps.begin(), gaps.end());
    const auto quantile = [&](double q) {
      return number(gaps[static_cast<size_t>(q * static_cast<double>(gaps.size() - 1))]);
    };
    json shown = arm.shown;
    shown.update({{"seeds", arm.runs.size()},
                  {"predicted", number(optimum(smoothing_of_arm(arm), classes_).gap)},
                  {"mean", mean.get()},
                  {"q05", quantile(.05)},
                  {"q25", quantile(.25)},
                  {"q50", quantile(.5)},
                  {"q75", quantile(.75)},
                  {"q95", quantile(.95)}});
    return shown;
  }

  // ---- By class ----

  struct ByClass {
    std::vector<int64_t> labels;
    std::vector<std::vector<std::vector<double>>> correct;  // [class][seed][item]
    std::vector<Mean> accuracy, confidence;
  };
  ByClass by_class(const Arm& arm) const {
    const auto classes = static_cast<size_t>(classes_);
    ByClass result;
    result.accuracy.resize(classes), result.confidence.resize(classes);
    result.correct.resize(classes, std::vector<std::vector<double>>(arm.runs.size()));
    for (size_t seed = 0; seed < arm.runs.size(); ++seed) {
      const Items test = items(*arm.runs[seed], true);
      result.labels = read_labels(path(*arm.runs[seed], "test_labels.npy"));
      for (size_t row = 0; row < result.labels.size(); ++row) {
        const auto label = static_cast<size_t>(result.labels[row]);
        result.accuracy[label].add(test.correct[row]);
        result.confidence[label].add(test.confidence[row]);
        result.correct[label][seed].push_back(test.correct[row]);
      }
    }
    return result;
  }

  // Arms are in the order of their seeds, so that they are paired.
  static Estimate difference(const ByClass& smoothed, const ByClass& hard, size_t label) {
    auto differences = smoothed.correct[label];
    if (differences.size() != hard.correct[label].size() || differences[0].empty()) return {};
    for (size_t seed = 0; seed < differences.size(); ++seed) {
      for (size_t i = 0; i < differences[seed].size(); ++i)
        differences[seed][i] -= hard.correct[label][seed][i];
    }
    return crossed(differences);
  }

  json classes_of(const Shown& shown) const {
    json picture = describe_shown(shown);
    json& rows = picture["rows"] = json::array();
    const bool named = results_["data"]["name"] == "fashion-mnist" && classes_ == std::ssize(kFashionClasses);
    ByClass hard, smoothed;
    if (shown.hard) hard = by_class(*shown.hard);
    if (shown.smoothed) smoothed = by_class(*shown.smoothed);
    const std::vector<int64_t>& labels = shown.hard ? hard.labels : smoothed.labels;
    for (size_t label = 0; label < static_cast<size_t>(classes_); ++label) {
      json row = {{"class", label},
                  {"name", named ? json(kFashionClasses[label]) : json()},
                  {"rows", std::count(labels.begin(), labels.end(), static_cast<int64_t>(label))}};
      const auto add = [&](const std::string& name, const Arm* arm, const ByClass& values) {
        row[name + "_accuracy"] = arm ? values.accuracy[label].get() : json();
        row[name + "_confidence"] = arm ? values.confidence[label].get() : json();
      };
      add("hard", shown.hard, hard);
      add("smoothed", shown.smoothed, smoothed);
      const Estimate delta = shown.hard && shown.smoothed ? difference(smoothed, hard, label) : Estimate{};
      row["difference"] = number(delta.value);
      row["low"] = number(delta.low);
      row["high"] = number(delta.high);
      rows.push_back(row);
    }
    return picture;
  }

  const json& results_;
  const std::string folder_;
  const int64_t classes_;
  const std::string rule_;
  const std::vector<Arm> arms_;
  std::vector<Shown> shown_;
};

}  // namespace

void add_pictures(json& results, const std::string& folder) {
  json pictures = Pictures(results, folder).all();
  results["pictures"] = std::move(pictures);
}

}  // namespace labelsmooth
