// SPDX-License-Identifier: MIT
#include "compare/contrasts.h"

#include <algorithm>    // std::find_if, std::max, std::min
#include <string_view>  // std::string_view

#include "evaluation/metric_table.h"

namespace labelsmooth::compare {
namespace {

using Table = std::vector<std::vector<double>>;  // [seed][item]

constexpr Endpoint kEndpoints[] = {
    {"accuracy", "accuracy", false, false, true}, {"nll", "nll", false, false, true},
    {"nll_calibrated", "nll", true, true, true},  {"nll_against_calibrated", "nll", false, true, true},
    {"brier", "brier", false, false, false},      {"brier_calibrated", "brier", true, true, false},
    {"augrc", "augrc", false, false, false},      {"augrc_calibrated", "augrc", true, true, true},
    {"gap", "gap", false, false, false},          {"gap_calibrated", "gap", true, true, false}};

const Metric& metric_of(const Endpoint& endpoint) {
  return *std::find_if(kMetrics.begin(), kMetrics.end(), [&](const Metric& metric) {
    return std::string_view(metric.name) == endpoint.metric;
  });
}

// A metric on all runs of an arm.
struct Measured {
  double mean = 0;
  Table items;
};
Measured measured(const Arm& arm, const Metric& metric, bool with_t) {
  Measured result;
  for (const Run& run : arm.runs) {
    Measurement one = measurement(metric, with_t ? run.calibrated : run.trained);
    result.mean += one.value / static_cast<double>(arm.runs.size());
    result.items.push_back(std::move(one.items));
  }
  return result;
}

// Of each item the mean over the runs.
std::vector<double> mean_run(const Table& table) {
  std::vector<double> mean(table[0].size());
  for (const std::vector<double>& run : table) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += run[i] / static_cast<double>(table.size());
  }
  return mean;
}

void subtract(std::vector<double>& from, const std::vector<double>& what) {
  for (size_t i = 0; i < from.size(); ++i) from[i] -= what[i];
}

// A difference that is the same wherever it is looked at says nothing of where it was not.
Estimate without_false_certainty(Estimate estimate) {
  if (estimate.se != 0 || estimate.value == 0) return estimate;
  Estimate unknown;
  unknown.value = estimate.value;
  return unknown;
}

Estimate mcnemar_of(const std::vector<double>& difference) {
  int64_t gained = 0, lost = 0;
  for (const double d : difference) gained += d > .5, lost += d < -.5;  // 1 and -1 to rounding
  return mcnemar(gained, lost, static_cast<int64_t>(difference.size()));
}

void compare_pair(const Arm& reference, const Arm& model, uint64_t seed, int resamples,
                  std::vector<Contrast>& contrasts) {
  const size_t few = std::min(reference.runs.size(), model.runs.size());
  const size_t many = std::max(reference.runs.size(), model.runs.size());
  std::vector<Contrast> found;
  Table columns;  // for the bootstrap
  for (const Endpoint& endpoint : kEndpoints) {
    const Metric& metric = metric_of(endpoint);
    const Measured base = measured(reference, metric, endpoint.reference_t);
    Measured own = measured(model, metric, endpoint.model_t);
    Contrast contrast = {.name = model.name,
                         .endpoint = &endpoint,
                         .reference = base.mean,
                         .value = own.mean,
                         .estimate = {},
                         .method = "bootstrap",
                         .seeds = static_cast<int64_t>(few),
                         .runs = static_cast<int64_t>(many),
                         .margin = metric.relative ? metric.margin * base.mean : metric.margin};
    if (few == 1) {
      std::vector<double> difference = mean_run(own.items);
      subtract(difference, mean_run(base.items));
      if (many == 1 && metric.name == std::string_view("accuracy")) {
        contrast.method = "mcnemar";
        contrast.estimate = mcnemar_of(difference);
      }
      columns.push_back(std::move(difference));
    } else if (few == many) {
      for (size_t s = 0; s < few; ++s) subtract(own.items[s], base.items[s]);
      contrast.method = "crossed";
      contrast.estimate = crossed(own.items);
    } else {
      contrast.method = "crossed, unpaired";
      contrast.estimate = crossed_unpaired(own.items, base.items);
    }
    found.push_back(std::move(contrast));
  }
  const std::vector<Estimate> resampled =
      columns.empty() ? std::vector<Estimate>() : bootstrap(columns, seed, resamples);
  for (size_t c = 0; c < found.size(); ++c) {
    if (found[c].method == "bootstrap") found[c].estimate = resampled[c];
    if (found[c].method != "mcnemar") found[c].estimate = without_false_certainty(found[c].estimate);
    contrasts.push_back(std::move(found[c]));
  }
}

}  // namespace

std::span<const Endpoint> endpoints() { return kEndpoints; }

std::vector<Contrast> contrasts(std::span<const Arm> arms, uint64_t seed, int resamples) {
  std::vector<Contrast> all;
  for (const Arm& model : arms.subspan(1)) compare_pair(arms[0], model, seed, resamples, all);
  return all;
}

int64_t judge(std::vector<Contrast>& contrasts) {
  std::vector<double> p;
  for (const Contrast& contrast : contrasts) {
    if (contrast.endpoint->primary) p.push_back(contrast.estimate.p);
  }
  const std::vector<double> adjusted = holm(p);
  size_t next = 0;
  for (Contrast& contrast : contrasts) {
    if (!contrast.endpoint->primary) continue;
    contrast.p_holm = adjusted[next++];
    const Better better = metric_of(*contrast.endpoint).better;
    contrast.verdict =
        contrast.runs == 1
            ? effect(contrast.estimate, contrast.p_holm, contrast.margin, better)
            : verdict(contrast.estimate, contrast.p_holm, contrast.margin, better, contrast.seeds, true);
  }
  return static_cast<int64_t>(p.size());
}

nlohmann::json to_json(const Contrast& c) {
  const Estimate& e = c.estimate;
  return {{"name", c.name},
          {"metric", c.endpoint->name},
          {"reference", c.reference},
          {"value", c.value},
          {"difference", e.value},
          {"se", e.se},
          {"df", e.df},
          {"low", e.low},
          {"high", e.high},
          {"low90", e.low90},
          {"high90", e.high90},
          {"p", e.p},
          {"p_holm", c.p_holm},
          {"margin", c.margin > 0 ? nlohmann::json(c.margin) : nlohmann::json()},
          {"primary", c.endpoint->primary},
          {"seeds", c.seeds},
          {"method", c.method},
          {"scope", c.seeds == 1 ? "these models" : "method"},
          {"verdict", c.verdict}};
}

}  // namespace labelsmooth::compare
