// SPDX-License-Identifier: MIT
#include "evaluation/metric_table.h"

#include "evaluation/metrics.h"

namespace labelsmooth {
namespace {

std::vector<double> gap_items(const Items& items) {
  std::vector<double> gaps(items.correct.size());
  for (size_t i = 0; i < gaps.size(); ++i) gaps[i] = items.confidence[i] - items.correct[i];
  return gaps;
}

}  // namespace

const std::array<Metric, 7> kMetrics = {{
    {"accuracy", Better::higher, .005, false, accuracy, [](const Items& x) { return x.correct; }},
    {"nll", Better::lower, .01, false, nll, [](const Items& x) { return x.nll; }},
    {"brier", Better::lower, 0, false, brier, [](const Items& x) { return x.brier; }},
    {"gap", Better::lower, 0, false, gap, gap_items},
    {"aurc", Better::lower, 0, false, aurc, aurc_items},
    {"augrc", Better::lower, .05, true, augrc, augrc_items},
    {"auroc", Better::higher, 0, false, auroc, auroc_items},
}};

Measurement measurement(const Metric& metric, const Items& items) {
  Measurement result = {metric.value(items), metric.items(items)};
  double mean = 0;
  for (const double item : result.items) mean += item / static_cast<double>(result.items.size());
  for (double& item : result.items) item += result.value - mean;
  return result;
}

}  // namespace labelsmooth
