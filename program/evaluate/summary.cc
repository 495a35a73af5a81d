// SPDX-License-Identifier: MIT
#include "evaluate/summary.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>   // std::max, std::min
#include <cmath>       // std::isfinite, std::isnan, std::sqrt
#include <functional>  // std::function
#include <iterator>    // std::ssize
#include <map>         // std::map
#include <optional>    // std::optional
#include <utility>     // std::move

#include "evaluate/intervals.h"
#include "evaluate/null_levels.h"
#include "evaluate/top_label.h"
#include "evaluation/ranking.h"
#include "parallel.h"

namespace labelsmooth {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kBandSd = 2;
constexpr int kCurvePoints = 64, kCoverages = 100;
constexpr int64_t kMostClassesShown = 1000;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json metric(const Interval& interval) {
  return {{"value", number(interval.value)}, {"low", number(interval.low)}, {"high", number(interval.high)}};
}

/// A biased metric: no interval, but what a calibrated model would show.
Json metric(double value, const Null& null) {
  Json json = metric({.value = value});
  json["null_mean"] = number(null.mean);
  json["null_p95"] = number(null.p95);
  json["p"] = number(null.p);
  json["excess"] = number(value - null.mean);
  return json;
}

Json bins_json(const std::vector<BinSummary>& bins, double rows) {
  Json json = Json::array();
  for (const BinSummary& bin : bins) {
    const double n = bin.count, confidence = bin.confidence / n;  // NaN of an empty bin, null below
    const double half = kBandSd * std::sqrt(bin.variance) / n;
    json.push_back({{"from", number(bin.low)},
                    {"to", number(bin.high)},
                    {"count", static_cast<int64_t>(n)},
                    {"share", n / rows},
                    {"confidence", number(confidence)},
                    {"accuracy", number(bin.correct / n)},
                    {"band_low", n > 0 ? Json(std::max(confidence - half, 0.0)) : Json()},
                    {"band_high", n > 0 ? Json(std::min(confidence + half, 1.0)) : Json()}});
  }
  return json;
}

class Summary {
 public:
  Summary(const Logits& logits, const Vector& labels, const Evaluation& evaluation, bool quiet)
      : logits_(logits),
        labels_(labels),
        evaluation_(evaluation),
        progress_("evaluation", work(), 1, quiet),
        seen_(observe(logits, labels, evaluation.reading, evaluation.binning, progress_)),
        n_(static_cast<double>(seen_.counted())) {
    if (seen_.counted() == 0) throw Error("labels", "no row counts, at least one is needed");
  }

  Json json() {
    means();
    std::optional<TopLabel> top;
    std::optional<Ranking> ranking;
    side_by_side({[&] {  // each sorts the rows
                    top.emplace(std::move(seen_.items.confidence), seen_.items.correct, evaluation_.binning);
                  },
                  [&] { ranking.emplace(std::move(seen_.items.score), seen_.items.correct); }});
    rank(*ranking);
    ranking.reset();
    confidences(*top);
    classes();
    notes();
    Json metrics = Json::object();
    for (const std::string& name : evaluation_metrics()) metrics[name] = metrics_.at(name);
    Json json = {{"rows", seen_.rows},
                 {"counted", seen_.counted()},
                 {"classes", seen_.classes},
                 {"metrics", metrics},
                 {"conventions", conventions()}};
    json.update(pictures_);
    json.update(ranked_);
    json["warnings"] = warnings_;
    return json;
  }

 private:
  bool on_cells() const { return seen_.counted() > kMostDrawnRows; }
  int64_t class_passes() const {
    return classwise_passes(logits_.classes, evaluation_.binning.bins, evaluation_.redraws);
  }
  bool draws_classes() const { return logits_.rows() <= kMostDrawnRows && class_passes() <= kMostPasses; }
  double work() const {
    const auto rows = static_cast<double>(logits_.rows());
    return rows + evaluation_.redraws + (draws_classes() ? rows * static_cast<double>(class_passes()) : 0);
  }

  void side_by_side(const std::vector<std::function<void()>>& jobs) const {
    parallel_for(std::ssize(jobs), seen_.counted(), [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) jobs[job]();
    });
  }

  void means() {
    metrics_["accuracy"] = metric(share_interval(total(seen_.items.correct), n_));
    metrics_["nll"] = metric(within(mean_interval(seen_.nll, n_), 0, kInfinity));
    metrics_["brier"] = metric(within(mean_interval(seen_.brier, n_), 0, 2));
    metrics_["gap"] = metric(within(mean_interval(seen_.gap, n_), -1, 1));
    metrics_["entropy"] = metric(within(mean_interval(seen_.entropy, n_), 0, kInfinity));
    metrics_["confidence"] = metric(within(mean_interval(seen_.confidence, n_), 0, 1));
  }

  void confidences(const TopLabel& top) {
    SmoothEce smooth;
    const TopLabelErrors errors = top.errors(top.right(), smooth);
    const NullLevels null =
        null_levels(top, errors, kCurvePoints, evaluation_.redraws, evaluation_.seed, progress_);
    for (int e = 0; e < TopLabelErrors::kCount; ++e) {
      const std::string name = TopLabelErrors::names()[e];
      metrics_[name] = metric(name == "ks" ? top.exact_ks() : errors.values[e].of[0], null.errors[e]);
    }
    const Interval square = debiased_square(top.groups());
    metrics_["ece_debiased"] = metric(square);
    if (std::isnan(square.low)) {
      warnings_.push_back(
          "ece_debiased has no interval: that takes 10 rows in each of the groups of equal size");
    }
    pictures_["bins"] = bins_json(top.bins(), n_);
    pictures_["groups"] = bins_json(top.groups(), n_);
    double worst = -1;
    for (const Json& bin : pictures_["bins"]) {
      if (bin["count"] == 0) continue;
      const double gap = std::abs(bin["confidence"].get<double>() - bin["accuracy"].get<double>());
      if (gap > worst) worst = gap, metrics_["mce"]["rows_of_worst_bin"] = bin["count"];
    }

    const double sigma = errors.sigma.of[0];
    const SmoothCurve curve(top, sigma, kCurvePoints);
    const std::vector<Abreast> accuracy = curve.accuracy(smooth);
    const std::vector<double> density = curve.density();
    Json points = Json::array();
    for (int i = 0; i <= kCurvePoints; ++i) {
      points.push_back({{"confidence", static_cast<double>(i) / kCurvePoints},
                        {"accuracy", number(accuracy[i].of[0])},
                        {"band_low", number(null.band_low[i])},
                        {"band_high", number(null.band_high[i])},
                        {"density", number(density[i])}});
    }
    pictures_["smooth"] = {{"sigma", sigma}, {"points", points}};
  }

  void classes() {
    const double value = classwise_ece(seen_.cells, seen_.counted(), seen_.classes);
    Null null = {Interval::kUnknown, Interval::kUnknown, Interval::kUnknown};
    if (draws_classes()) {
      null = classwise_null(logits_, labels_, evaluation_.reading, evaluation_.binning, seen_,
                            evaluation_.redraws, evaluation_.seed, progress_);
    } else {
      warnings_.push_back(
          fmt::format("the null level of ece_classwise is left out: it takes at most {} rows, and fewer "
                      "classes or redraws",
                      kMostDrawnRows));
    }
    metrics_["ece_classwise"] = metric(value, null);
    if (seen_.classes > kMostClassesShown) {
      warnings_.push_back(
          fmt::format("the table of classes is left out: it takes at most {} classes", kMostClassesShown));
      return;
    }
    const int bins = evaluation_.binning.bins;
    Json table = Json::array();
    for (int64_t k = 0; k < seen_.classes; ++k) {
      double probability = 0, error = 0;
      for (int64_t cell = k * bins; cell < (k + 1) * bins; ++cell) {
        probability += seen_.cells.probability[cell];
        error += std::abs(seen_.cells.probability[cell] - seen_.cells.labels[cell]);
      }
      const auto of_class = static_cast<double>(seen_.labels[k]);
      const auto predicted = static_cast<double>(seen_.predicted[k]);
      const auto right = static_cast<double>(seen_.right[k]);
      table.push_back({{"class", k},
                       {"name", evaluation_.class_names.empty() ? Json() : Json(evaluation_.class_names[k])},
                       {"rows", seen_.labels[k]},
                       {"predicted", seen_.predicted[k]},
                       {"recall", number(right / of_class)},
                       {"precision", number(right / predicted)},
                       {"frequency", of_class / n_},
                       {"mean_probability", probability / n_},
                       {"ece", error / n_}});
    }
    pictures_["by_class"] = table;
  }

  void rank(const Ranking& ranking) {
    Interval aurc, eaurc, augrc, auroc;
    const bool several = seen_.counted() > 1;
    const auto give_ends = [](Interval& interval, const std::vector<double>& pseudo, double most) {
      interval = within(jackknife_interval(interval.value, pseudo), 0, most);
    };
    side_by_side({[&] {
                    aurc.value = ranking.aurc();
                    eaurc.value = ranking.eaurc(aurc.value);
                    if (!several) return;
                    std::vector<double> pseudo = ranking.aurc_items();
                    give_ends(aurc, pseudo, 1);
                    give_ends(eaurc, ranking.eaurc_items(std::move(pseudo)), 1);
                  },
                  [&] {
                    augrc.value = ranking.augrc();
                    if (several) give_ends(augrc, ranking.augrc_items(), 0.5);
                  },
                  [&] {
                    auroc.value = ranking.auroc();
                    if (several) give_ends(auroc, ranking.auroc_items(), 1);
                  },
                  [&] { draw_ranking(ranking); }});
    metrics_["aurc"] = metric(aurc);
    metrics_["eaurc"] = metric(eaurc);
    metrics_["augrc"] = metric(augrc);
    metrics_["auroc"] = metric(auroc);
  }

  void draw_ranking(const Ranking& ranking) {
    Json curve = Json::array(), accuracy = Json::array(), coverage = Json::array();
    for (const RiskPoint& point : ranking.risk_coverage(kCoverages))
      curve.push_back({{"coverage", point.coverage}, {"risk", point.risk}});
    for (const double share : {0.5, 0.8, 0.9, 0.95})
      accuracy.push_back({{"coverage", share}, {"accuracy", ranking.accuracy_at(share)}});
    for (const double risk : {0.01, 0.02, 0.05})
      coverage.push_back({{"risk", risk}, {"coverage", ranking.coverage_at(risk)}});
    ranked_ = {{"risk_coverage", curve}, {"selective", {{"accuracy", accuracy}, {"coverage", coverage}}}};
  }

  void notes() {
    if (metrics_["auroc"]["value"].is_null())
      warnings_.push_back("auroc is unknown: it takes right rows and wrong ones");
    if (seen_.first_impossible_row >= 0) {
      warnings_.push_back(
          fmt::format("row {} is the first whose label has probability 0: the NLL is infinite, null in JSON",
                      seen_.first_impossible_row));
    }
    if (on_cells()) {
      warnings_.push_back(
          fmt::format("more than {} rows: labels are redrawn by cells of confidence. With so many rows any "
                      "model is told from a calibrated one; a small p does not say that the error matters",
                      kMostDrawnRows));
    }
  }

  Json conventions() const {
    return {{"bins", evaluation_.binning.bins},
            {"edges", evaluation_.binning.edges == Edges::left ? "left" : "right"},
            {"redraws", evaluation_.redraws},
            {"redrawn_by", on_cells() ? "cells" : "rows"},
            {"seed", evaluation_.seed},
            {"band_sd", kBandSd},
            {"input", evaluation_.reading.probabilities ? "probabilities" : "logits"}};
  }

  static double total(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  }

  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Logits& logits_;
  const Vector& labels_;
  const Evaluation& evaluation_;
  Progress progress_;
  Observations seen_;
  double n_;
  std::map<std::string, Json> metrics_;
  Json pictures_ = Json::object(), ranked_;
  std::vector<std::string> warnings_;
};

}  // namespace

const std::vector<std::string>& evaluation_metrics() {
  static const std::vector<std::string> kNames = {
      "accuracy",       "nll",           "brier",        "ece",   "mce",   "rmsce",
      "ece_equal_mass", "ece_classwise", "ece_debiased", "ks",    "smece", "gap",
      "entropy",        "confidence",    "aurc",         "eaurc", "augrc", "auroc"};
  return kNames;
}

Json evaluate(const Logits& logits, const Vector& labels, const Evaluation& evaluation, bool quiet) {
  if (logits.classes < 1) throw Error("logits", "no classes found, at least one is needed");
  return Summary(logits, labels, evaluation, quiet).json();
}

}  // namespace labelsmooth
