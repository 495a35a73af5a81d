// SPDX-License-Identifier: MIT
#include "study/analysis.h"

#include <algorithm>   // std::all_of, std::any_of
#include <cmath>       // std::isfinite
#include <functional>  // std::function
#include <map>         // std::map
#include <tuple>       // std::tie
#include <vector>      // std::vector

#include "evaluation/inference.h"
#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "study/run_files.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
using Differences = std::vector<std::vector<double>>;  // [seed][item]

constexpr double kPrimaryAmount = .1;

// ---- Metrics as means over test items ----

struct Metric {
  const char* name;
  Better better;
  double margin;  // the least difference that matters; relative to the reference where `relative`
  bool relative;
  double (*value)(const Items&);
  std::vector<double> (*items)(const Items&);
};

std::vector<double> gap_items(const Items& items) {
  std::vector<double> gaps(items.correct.size());
  for (size_t i = 0; i < gaps.size(); ++i) gaps[i] = items.confidence[i] - items.correct[i];
  return gaps;
}

// Metrics without a margin are never in the primary family, so they are never judged.
const Metric kMetrics[] = {
    {"accuracy", Better::higher, .005, false, accuracy, [](const Items& x) { return x.correct; }},
    {"nll", Better::lower, .01, false, nll, [](const Items& x) { return x.nll; }},
    {"brier", Better::lower, 0, false, brier, [](const Items& x) { return x.brier; }},
    {"gap", Better::lower, 0, false, gap, gap_items},
    {"aurc", Better::lower, 0, false, aurc, aurc_items},
    {"augrc", Better::lower, .05, true, augrc, augrc_items},
    {"auroc", Better::higher, 0, false, auroc, auroc_items},
};

// The items' mean is moved from the jackknife's, which lacks a bias of order 1/N, to the metric itself, so
// that differences are those of the runs' figures.
std::vector<double> centred_items(const Metric& metric, const Items& items) {
  std::vector<double> values = metric.items(items);
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  const double shift = metric.value(items) - mean;
  for (double& value : values) value += shift;
  return values;
}

// ---- Runs, arms, cells ----

// One run's test items, as trained and with temperature, at the last and at the early-stopped epoch.
struct Measured {
  const json* run;
  Items raw, calibrated, early_raw, early_calibrated;
  double tuning_nll;  // validation NLL after T, on the half that did not fit T
  const Items& items(bool early, bool with_temperature) const {
    if (early) return with_temperature ? early_calibrated : early_raw;
    return with_temperature ? calibrated : raw;
  }
};
using Arm = std::vector<Measured>;  // by seed

struct CellKey {
  std::string setting, noise_kind;
  double noise;
  auto operator<=>(const CellKey&) const = default;
};
struct ArmKey {
  double smoothing;
  std::string rule;
  auto operator<=>(const ArmKey&) const = default;
};
using Cell = std::map<ArmKey, std::vector<const json*>>;
const ArmKey kHard = {0, "none"};

std::map<CellKey, Cell> cells_of(const json& runs) {
  std::map<CellKey, Cell> cells;
  for (const json& run : runs) {
    cells[{run["setting"], run["noise_kind"], run["noise"]}][{run["smoothing"], run["rule"]}].push_back(&run);
  }
  return cells;
}

Measured measure(const json& run, const std::string& folder) {
  const std::string dir = folder + "/" + run["dir"].get<std::string>();
  const std::vector<int64_t> labels = read_labels(dir + "/test_labels.npy");
  const RunLogits last = read_logits(dir + "/test_logits.npy"),
                  early = read_logits(dir + "/early_logits.npy");
  const double t = run["calibrated"]["temperature"], early_t = run["early_calibrated"]["temperature"];

  const RunLogits validation = read_logits(dir + "/validation_logits.npy");
  const std::vector<int64_t> validation_labels = read_labels(dir + "/validation_labels.npy");
  const std::vector<int64_t> half = read_labels(dir + "/validation_half.npy");
  const Items tuning = evaluate(validation.values(), validation_labels, validation.classes(), t);
  double sum = 0, count = 0;
  for (size_t row = 0; row < half.size(); ++row) {
    if (half[row] == 0) sum += tuning.nll[row], count += 1;
  }
  return {&run,
          evaluate(last.values(), labels, last.classes()),
          evaluate(last.values(), labels, last.classes(), t),
          evaluate(early.values(), labels, early.classes()),
          evaluate(early.values(), labels, early.classes(), early_t),
          sum / count};
}

// ---- Contrasts ----

struct Contrast {
  const Metric* metric;
  bool primary = false;
  double margin = 0;
  int64_t seeds = 0;
  Estimate estimate = {};
  json shown = {};  // what identifies it, with the means of both arms
};

double mean_of(const Arm& arm, const Metric& metric, bool early, bool with_temperature) {
  double sum = 0;
  for (const Measured& run : arm) sum += metric.value(run.items(early, with_temperature));
  return sum / static_cast<double>(arm.size());
}

// Seeds that both arms have: the same split, noise, weights and order.
Differences paired(const Arm& smoothed, const Arm& hard, const Metric& metric, bool early,
                   bool with_temperature) {
  Differences differences;
  for (const Measured& run : smoothed) {
    for (const Measured& reference : hard) {
      if ((*run.run)["seed"] != (*reference.run)["seed"]) continue;
      std::vector<double> difference = centred_items(metric, run.items(early, with_temperature));
      const auto base = centred_items(metric, reference.items(early, with_temperature));
      for (size_t i = 0; i < difference.size(); ++i) difference[i] -= base[i];
      differences.push_back(std::move(difference));
    }
  }
  return differences;
}

class Analysis {
 public:
  Analysis(json& results, const std::string& folder, const std::string& rule)
      : results_(results), folder_(folder), rule_(rule), cells_(cells_of(results["runs"])) {}

  void run() {
    for (const auto& [key, cell] : cells_) compare_cell(key, cell);
    compare_immunity();
    judge();
    make_claims();
  }

 private:
  Arm measure_arm(const std::vector<const json*>& runs) const {
    Arm arm;
    for (const json* run : runs) arm.push_back(measure(*run, folder_));
    return arm;
  }

  void compare_cell(const CellKey& key, const Cell& cell) {
    if (!cell.contains(kHard)) return;
    std::map<ArmKey, Arm> arms;
    for (const auto& [arm_key, runs] : cell) arms[arm_key] = measure_arm(runs);
    const Arm& hard = arms[kHard];
    for (const auto& [arm_key, arm] : arms) {
      if (arm_key == kHard) continue;
      const json shown = {{"rule", arm_key.rule}, {"smoothing", arm_key.smoothing}};
      compare_arm(key, shown, arm, hard, is_primary_cell(key) && arm_key == ArmKey{kPrimaryAmount, rule_});
      if (arm_key == ArmKey{kPrimaryAmount, rule_}) keep_for_immunity(key, arm, hard);
    }
    compare_tuned(key, arms, hard);
  }

  void compare_arm(const CellKey& key, const json& shown, const Arm& arm, const Arm& hard, bool primary) {
    for (const bool early : {false, true}) {
      for (const Metric& metric : kMetrics) {
        for (const bool with_temperature : {false, true}) {
          if (with_temperature && &metric == &kMetrics[0]) continue;  // T does not change the accuracy
          Contrast contrast = {.metric = &metric};
          const double reference = mean_of(hard, metric, early, with_temperature);
          const Differences differences = paired(arm, hard, metric, early, with_temperature);
          if (differences.empty()) continue;
          contrast.primary = primary && !early && primary_metric(metric, with_temperature);
          contrast.margin = metric.relative ? metric.margin * reference : metric.margin;
          contrast.seeds = static_cast<int64_t>(differences.size());
          contrast.estimate = crossed(differences);
          contrast.shown = shown;
          contrast.shown.update({{"setting", key.setting},
                                 {"noise_kind", key.noise_kind},
                                 {"noise", key.noise},
                                 {"epoch", early ? "early-stopped" : "last"},
                                 {"metric", metric.name + std::string(with_temperature ? "_calibrated" : "")},
                                 {"reference", reference},
                                 {"value", mean_of(arm, metric, early, with_temperature)}});
          contrasts_.push_back(std::move(contrast));
        }
      }
    }
  }

  // The amount chosen for each seed by the validation set, the smaller on ties: a row of its own, never the
  // best of the grid on the test set.
  void compare_tuned(const CellKey& key, const std::map<ArmKey, Arm>& arms, const Arm& hard) {
    Arm tuned;
    json chosen = json::array();
    for (const Measured& reference : hard) {
      const Measured* best = &reference;
      for (const auto& [arm_key, arm] : arms) {
        if (arm_key.rule != rule_) continue;
        for (const Measured& run : arm) {
          if ((*run.run)["seed"] == (*reference.run)["seed"] && run.tuning_nll < best->tuning_nll)
            best = &run;
        }
      }
      tuned.push_back(*best);
      chosen.push_back((*best->run)["smoothing"]);
    }
    if (arms.size() < 3) return;  // nothing to choose from
    compare_arm(key, {{"rule", "tuned"}, {"smoothing", nullptr}, {"chosen", chosen}}, tuned, hard, false);
  }

  static bool is_primary_cell(const CellKey& key) {
    return (key.setting == "over-trained" || key.setting == "normal") && key.noise == 0;
  }
  static bool primary_metric(const Metric& metric, bool with_temperature) {
    const std::string name = metric.name;
    return name == "nll" || (name == "accuracy" && !with_temperature) ||
           (name == "augrc" && with_temperature);
  }

  // Difference in differences: what smoothing does at 10 % wrong labels, less what it does without.
  void keep_for_immunity(const CellKey& key, const Arm& arm, const Arm& hard) {
    if (key.noise_kind != "symmetric" || !key.setting.starts_with("over-trained")) return;
    if (key.noise != 0 && key.noise != .1) return;
    immunity_[key.setting][key.noise] = paired(arm, hard, kMetrics[0], false, false);
  }

  void compare_immunity() {
    for (const auto& [setting, by_noise] : immunity_) {
      if (by_noise.size() != 2 || by_noise.at(0).size() != by_noise.at(.1).size()) continue;
      Differences differences = by_noise.at(.1);
      for (size_t seed = 0; seed < differences.size(); ++seed) {
        for (size_t i = 0; i < differences[seed].size(); ++i) differences[seed][i] -= by_noise.at(0)[seed][i];
      }
      Contrast contrast = {.metric = &kMetrics[0], .primary = true, .margin = kMetrics[0].margin};
      contrast.seeds = static_cast<int64_t>(differences.size());
      contrast.estimate = crossed(differences);
      contrast.shown = {{"setting", setting},
                        {"noise_kind", "symmetric"},
                        {"noise", .1},
                        {"epoch", "last"},
                        {"metric", "accuracy"},
                        {"rule", rule_},
                        {"smoothing", kPrimaryAmount},
                        {"contrast", "difference in differences"}};
      contrasts_.push_back(std::move(contrast));
    }
  }

  // Holm over the primary family, then the words.
  void judge() {
    std::vector<double> p;
    for (const Contrast& contrast : contrasts_) {
      if (contrast.primary) p.push_back(contrast.estimate.p);
    }
    const std::vector<double> adjusted = holm(p);
    results_["family"] = {{"size", p.size()}, {"correction", "Holm"}};
    json& comparisons = results_["comparisons"] = json::array();
    size_t next = 0;
    for (Contrast& contrast : contrasts_) {
      const Estimate& e = contrast.estimate;
      const double p_holm = contrast.primary ? adjusted[next++] : Estimate::kUnknown;
      json row = std::move(contrast.shown);
      row.update({{"difference", e.value},
                  {"se", e.se},
                  {"df", e.df},
                  {"low", e.low},
                  {"high", e.high},
                  {"low90", e.low90},
                  {"high90", e.high90},
                  {"p", e.p},
                  {"p_holm", p_holm},
                  {"margin", contrast.margin > 0 ? json(contrast.margin) : json()},
                  {"primary", contrast.primary},
                  {"seeds", contrast.seeds},
                  {"verdict", verdict(e, p_holm, contrast.margin, contrast.metric->better, contrast.seeds,
                                      contrast.primary)}});
      if (!row.contains("contrast")) row["contrast"] = "smoothed - hard";
      comparisons.push_back(std::move(row));
    }
  }

  // ---- Claims of the document ----

  // Primary rows that pass, as evidence.
  json evidence(const std::function<bool(const json&)>& wanted) const {
    json rows = json::array();
    for (const json& row : results_["comparisons"]) {
      if (row["primary"] && wanted(row)) rows.push_back(row);
    }
    return rows;
  }

  // One word for several: true or false where all agree, conditional where smoothing helps in some.
  static std::string combine(const json& rows) {
    const auto all = [&](auto test) { return std::all_of(rows.begin(), rows.end(), test); };
    const auto is = [](const char* word) {
      return [word](const json& row) { return row["verdict"] == word; };
    };
    if (rows.empty()) return "not tested";
    if (std::any_of(rows.begin(), rows.end(), is("screening"))) return "screening";
    if (all(is("helps"))) return "true";
    if (all([](const json& row) { return row["verdict"] == "hurts" || row["verdict"] == "negligible"; }))
      return "false";
    return std::any_of(rows.begin(), rows.end(), is("helps")) ? "conditional" : "inconclusive";
  }

  void add_claim(const char* id, const char* claim, const std::string& verdict, json evidence) {
    results_["claims"].push_back({{"id", id},
                                  {"claim", claim},
                                  {"verdict", verdict},
                                  {"evidence", {{"comparisons", std::move(evidence)}}}});
  }

  void make_claims() {
    results_["claims"] = json::array();
    const json immunity =
        evidence([](const json& row) { return row["contrast"] == "difference in differences"; });
    const json calibration = evidence(
        [](const json& row) { return row["metric"] != "accuracy" && row["metric"] != "augrc_calibrated"; });
    const json accuracy = evidence(
        [](const json& row) { return row["metric"] == "accuracy" && row["contrast"] == "smoothed - hard"; });
    add_claim("S6", "a model told that labels may be wrong is immune to a few wrong ones", combine(immunity),
              immunity);
    add_claim("S8", "a model that does not fit every label fully suffers less from wrong ones",
              combine(immunity), immunity);
    add_claim("S19", "smoothing gives better calibrated networks in almost all cases", combine(calibration),
              calibration);
    add_claim("S20", "immunity to a few wrong labels (summary)", combine(immunity), immunity);
    add_claim("S21", "more accurate predictions on unseen data of the same kind", combine(accuracy),
              accuracy);
    add_claim("S21b", "more accurate predictions on unseen production data, under shift", "not tested",
              json::array());
  }

  json& results_;
  const std::string folder_, rule_;
  const std::map<CellKey, Cell> cells_;
  std::vector<Contrast> contrasts_;
  std::map<std::string, std::map<double, Differences>> immunity_;
};

}  // namespace

void analyse(json& results, const std::string& folder, const std::string& rule) {
  Analysis(results, folder, rule).run();
}

}  // namespace labelsmooth
