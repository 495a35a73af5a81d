// SPDX-License-Identifier: MIT
#include "study/analysis.h"

#include <compare>  // operator<=>
#include <map>      // std::map
#include <utility>  // std::pair
#include <vector>   // std::vector

#include "evaluation/inference.h"
#include "evaluation/items.h"
#include "evaluation/metric_table.h"
#include "parallel.h"
#include "study/claims.h"
#include "study/own.h"
#include "study/run_files.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
using Differences = std::vector<std::vector<double>>;  // [seed][item]

constexpr int64_t kWorthThreads = int64_t{1} << 30;  // elements, for parallel_for: a cell is seconds of work

constexpr size_t kAccuracy = 0;

// ---- Runs, arms, cells ----

// One run, by [early-stopped, where it was][with temperature][metric].
struct Measured {
  const json* run;
  double tuning_nll;  // validation NLL after T, on the half that did not fit T
  Measurement by[2][2][kMetrics.size()];
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
  Measured measured = {&run, 0, {}};
  for (const bool early : {false, true}) {
    if (early && !has_early(run)) continue;
    const RunLogits logits = read_logits(dir + (early ? "/early_logits.npy" : "/test_logits.npy"));
    const double t = run[early ? "early_calibrated" : "calibrated"]["temperature"];
    for (const bool with_t : {false, true}) {
      const Items items = evaluate(logits.values(), labels, logits.classes(), with_t ? t : 1);
      for (size_t m = 0; m < kMetrics.size(); ++m) {
        measured.by[early][with_t][m] = measurement(kMetrics[m], items);
      }
    }
  }
  const RunLogits validation = read_logits(dir + "/validation_logits.npy");
  const std::vector<int64_t> half = read_labels(dir + "/validation_half.npy");
  const Items tuning = evaluate(validation.values(), read_labels(dir + "/validation_labels.npy"),
                                validation.classes(), run["calibrated"]["temperature"]);
  double sum = 0, count = 0;
  for (size_t row = 0; row < half.size(); ++row) {
    if (half[row] == 0) sum += tuning.nll[row], count += 1;
  }
  measured.tuning_nll = sum / count;
  return measured;
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

double mean_of(const Arm& arm, bool early, bool with_t, size_t metric) {
  double sum = 0;
  for (const Measured& run : arm) sum += run.by[early][with_t][metric].value;
  return sum / static_cast<double>(arm.size());
}

// Seeds that both arms have: the same split, noise, weights and order.
Differences paired(const Arm& smoothed, const Arm& hard, bool early, bool with_t, size_t metric) {
  Differences differences;
  for (const Measured& run : smoothed) {
    for (const Measured& reference : hard) {
      if ((*run.run)["seed"] != (*reference.run)["seed"]) continue;
      std::vector<double> difference = run.by[early][with_t][metric].items;
      const std::vector<double>& base = reference.by[early][with_t][metric].items;
      for (size_t i = 0; i < difference.size(); ++i) difference[i] -= base[i];
      differences.push_back(std::move(difference));
    }
  }
  return differences;
}

// What a cell says: its contrasts, and the differences of accuracy that immunity is made of.
struct CellResult {
  std::vector<Contrast> contrasts;
  Differences accuracy;
};

class Analysis {
 public:
  Analysis(json& results, const std::string& folder, const std::string& rule)
      : results_(results),
        folder_(folder),
        primary_arm_{primary_amount(results), rule},
        cells_(cells_of(results["runs"])) {}

  // Cells side by side: none needs another.
  void run(const std::function<void(double)>& on_cell) {
    std::vector<std::pair<CellKey, Cell>> cells(cells_.begin(), cells_.end());
    std::vector<CellResult> found(cells.size());
    parallel_for(static_cast<int64_t>(cells.size()), kWorthThreads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        found[i] = compare_cell(cells[i].first, cells[i].second);
        on_cell(1 / static_cast<double>(cells.size()));
      }
    });
    for (size_t i = 0; i < cells.size(); ++i) {
      for (Contrast& contrast : found[i].contrasts) contrasts_.push_back(std::move(contrast));
      const CellKey& key = cells[i].first;
      if (!found[i].accuracy.empty()) immunity_[key.setting][key.noise] = std::move(found[i].accuracy);
    }
    compare_immunity();
    judge();
  }

 private:
  CellResult compare_cell(const CellKey& key, const Cell& cell) const {
    CellResult result;
    if (!cell.contains(kHard)) return result;
    std::map<ArmKey, Arm> arms;
    for (const auto& [arm_key, runs] : cell) {
      for (const json* run : runs) arms[arm_key].push_back(measure(*run, folder_));
    }
    const Arm& hard = arms[kHard];
    for (const auto& [arm_key, arm] : arms) {
      if (arm_key == kHard) continue;
      const json shown = {{"rule", arm_key.rule}, {"smoothing", arm_key.smoothing}};
      compare_arm(key, shown, arm, hard, is_primary_cell(key) && arm_key == primary_arm_, result.contrasts);
      if (arm_key == primary_arm_ && serves_immunity(key))
        result.accuracy = paired(arm, hard, false, false, kAccuracy);
    }
    compare_tuned(key, arms, hard, result.contrasts);
    return result;
  }

  void compare_arm(const CellKey& key, const json& shown, const Arm& arm, const Arm& hard, bool primary,
                   std::vector<Contrast>& contrasts) const {
    for (const bool early : {false, true}) {
      if (early && !has_early(*hard[0].run)) continue;
      for (size_t m = 0; m < kMetrics.size(); ++m) {
        const Metric& metric = kMetrics[m];
        for (const bool with_t : {false, true}) {
          if (with_t && m == kAccuracy) continue;  // T does not change it
          const Differences differences = paired(arm, hard, early, with_t, m);
          if (differences.empty()) continue;
          const double reference = mean_of(hard, early, with_t, m);
          Contrast contrast = {.metric = &metric};
          contrast.primary = primary && !early && primary_metric(metric, with_t);
          contrast.margin = metric.relative ? metric.margin * reference : metric.margin;
          contrast.seeds = static_cast<int64_t>(differences.size());
          contrast.estimate = crossed(differences);
          contrast.shown = shown;
          contrast.shown.update({{"setting", key.setting},
                                 {"noise_kind", key.noise_kind},
                                 {"noise", key.noise},
                                 {"epoch", early ? "early-stopped" : "last"},
                                 {"metric", metric.name + std::string(with_t ? "_calibrated" : "")},
                                 {"reference", reference},
                                 {"value", mean_of(arm, early, with_t, m)}});
          contrasts.push_back(std::move(contrast));
        }
      }
    }
  }

  // The amount chosen for each seed by the validation set, the smaller on ties: a row of its own, never the
  // best of the grid on the test set.
  void compare_tuned(const CellKey& key, const std::map<ArmKey, Arm>& arms, const Arm& hard,
                     std::vector<Contrast>& contrasts) const {
    if (arms.size() < 3) return;  // nothing to choose from
    Arm tuned;
    json chosen = json::array();
    for (const Measured& reference : hard) {
      const Measured* best = &reference;
      for (const auto& [arm_key, arm] : arms) {
        if (arm_key.rule != primary_arm_.rule) continue;
        for (const Measured& run : arm) {
          const bool same_seed = (*run.run)["seed"] == (*reference.run)["seed"];
          if (same_seed && run.tuning_nll < best->tuning_nll) best = &run;
        }
      }
      tuned.push_back(*best);
      chosen.push_back((*best->run)["smoothing"]);
    }
    compare_arm(key, {{"rule", "tuned"}, {"smoothing", nullptr}, {"chosen", chosen}}, tuned, hard, false,
                contrasts);
  }

  // Those of the plan; the user's own training is one.
  bool is_primary_cell(const CellKey& key) const {
    return is_own(results_) || ((key.setting == "over-trained" || key.setting == "normal") && key.noise == 0);
  }
  static bool primary_metric(const Metric& metric, bool with_temperature) {
    const std::string name = metric.name;
    return name == "nll" || (name == "accuracy" && !with_temperature) ||
           (name == "augrc" && with_temperature);
  }

  static bool serves_immunity(const CellKey& key) {
    return key.noise_kind == "symmetric" && key.setting.starts_with("over-trained") &&
           (key.noise == 0 || key.noise == .1);
  }

  // Difference in differences: what smoothing does at 10 % wrong labels, less what it does without.
  void compare_immunity() {
    for (const auto& [setting, by_noise] : immunity_) {
      if (by_noise.size() != 2 || by_noise.at(0).size() != by_noise.at(.1).size()) continue;
      Differences differences = by_noise.at(.1);
      for (size_t seed = 0; seed < differences.size(); ++seed) {
        for (size_t i = 0; i < differences[seed].size(); ++i) differences[seed][i] -= by_noise.at(0)[seed][i];
      }
      Contrast contrast = {
          .metric = &kMetrics[kAccuracy], .primary = true, .margin = kMetrics[kAccuracy].margin};
      contrast.seeds = static_cast<int64_t>(differences.size());
      contrast.estimate = crossed(differences);
      contrast.shown = {{"setting", setting},
                        {"noise_kind", "symmetric"},
                        {"noise", .1},
                        {"epoch", "last"},
                        {"metric", "accuracy"},
                        {"rule", primary_arm_.rule},
                        {"smoothing", primary_arm_.smoothing},
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

  json& results_;
  const std::string folder_;
  const ArmKey primary_arm_;
  const std::map<CellKey, Cell> cells_;
  std::vector<Contrast> contrasts_;
  std::map<std::string, std::map<double, Differences>> immunity_;
};

}  // namespace

void analyse(json& results, const std::string& folder, const std::string& rule,
             const std::function<void(double)>& on_cell) {
  Analysis(results, folder, rule).run(on_cell);
  add_claims(results);
}

}  // namespace labelsmooth
