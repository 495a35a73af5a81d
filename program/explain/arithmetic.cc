// SPDX-License-Identifier: MIT
#include "explain/arithmetic.h"

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::exp, std::log

#include "labelsmooth/cross_entropy.h"
#include "smoothing_of.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

struct Row {
  double loss, nll, lse;
  std::vector<double> gradient;
};

Row row_of(const std::vector<double>& logits, int64_t label, const Smoothing& smoothing) {
  const auto classes = static_cast<int64_t>(logits.size());
  Row row = {0, 0, 0, std::vector<double>(logits.size())};
  const Gradient gradient(row.gradient.data(), 1, classes);
  const Parts parts = {.lse = {&row.lse, 1}};
  const Result result = cross_entropy({logits.data(), 1, classes}, std::vector{label}, gradient,
                                      {.smoothing = smoothing, .ignore_index = {}}, parts);
  row.loss = result.loss;
  row.nll = result.nll;
  return row;
}

std::vector<double> logs(std::vector<double> values) {
  for (double& value : values) value = std::log(value);
  return values;
}

// The label's probability as it is, the rest spread evenly over the other classes. Needs two classes.
std::vector<double> spread_evenly(const std::vector<double>& probabilities, int64_t label) {
  double rest = 0;
  for (size_t k = 0; k < probabilities.size(); ++k)
    rest += k == static_cast<size_t>(label) ? 0 : probabilities[k];
  std::vector<double> even(probabilities.size(), rest / static_cast<double>(probabilities.size() - 1));
  even[label] = probabilities[label];
  return even;
}

json entry(const Sample& sample, const std::vector<double>& probabilities, const std::string& rule,
           const Strings& say) {
  json result = {{"rule", rule}};
  for (const char* key :
       {"target", "mass", "loss", "loss_minus_hard", "loss_even", "effective_smoothing", "scale",
        "optimum_probability", "optimum_gap", "optimum_gradient", "floor", "gradient", "reason"}) {
    result[key] = nullptr;
  }
  const auto classes = static_cast<int64_t>(sample.logits.size());
  const Smoothing smoothing = smoothing_of(rule, rule == "none" ? 0 : sample.smoothing);
  try {
    const std::vector<double> q = target(smoothing, classes, sample.label);
    const Row row = row_of(sample.logits, sample.label, smoothing);
    result["target"] = q;
    result["mass"] = mass(smoothing, classes);
    result["loss"] = row.loss;
    result["loss_minus_hard"] = row.loss - row.nll;
    result["gradient"] = row.gradient;
    if (classes > 1) {
      result["loss_even"] =
          row_of(logs(spread_evenly(probabilities, sample.label)), sample.label, smoothing).loss;
    }
    const Equivalent equivalent = as_uniform(smoothing, classes);
    result["effective_smoothing"] = equivalent.amount;
    result["scale"] = equivalent.scale;
    const Optimum best = optimum(smoothing, classes, sample.label);
    result["optimum_probability"] = best.probability;
    result["optimum_gap"] = best.gap;
    result["floor"] = best.floor;
    double steepest = 0;
    for (const double g : row_of(logs(q), sample.label, smoothing).gradient)
      steepest = std::max(steepest, std::abs(g));
    result["optimum_gradient"] = steepest;
  } catch (const Error&) {  // others with one class; flip of 1 with one class
    result["reason"] = say("reason." + rule);
  }
  return result;
}

}  // namespace

Sample document_sample() { return {logs({0.1, 0.1, 0.1, 0.36, 0.34}), 3, 0.1, "document"}; }

json arithmetic(const Sample& sample, const Strings& say) {
  const Row hard = row_of(sample.logits, sample.label, {});
  std::vector<double> probabilities = sample.logits;
  for (double& value : probabilities) value = std::exp(value - hard.lse);
  json rules = json::array();
  for (const char* rule : {"none", "uniform", "others", "flip", "additive"}) {
    rules.push_back(entry(sample, probabilities, rule, say));
  }
  return {{"classes", sample.logits.size()},
          {"label", sample.label},
          {"smoothing", sample.smoothing},
          {"prediction", sample.prediction},
          {"probabilities", probabilities},
          // the loss of a target with no label part is the mean of -ln p
          {"geometric_mean", std::exp(-row_of(sample.logits, sample.label, uniform(1)).loss)},
          {"rules", rules}};
}

}  // namespace labelsmooth
