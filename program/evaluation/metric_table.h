// SPDX-License-Identifier: MIT
// Metrics as means over test items, with the margins of docs/analysis.md.
#pragma once

#include <array>   // std::array
#include <vector>  // std::vector

#include "evaluation/inference.h"
#include "evaluation/items.h"

namespace labelsmooth {

struct Metric {
  const char* name;
  Better better;
  double margin;  // the least difference that matters; relative to the reference where `relative`; 0: none
  bool relative;
  double (*value)(const Items&);
  std::vector<double> (*items)(const Items&);
};

/// Metrics without a margin are never in the primary family, so they are never judged.
extern const std::array<Metric, 7> kMetrics;  // accuracy nll brier gap aurc augrc auroc

/// A metric on one run: its value, and its items.
struct Measurement {
  double value;
  std::vector<double> items;
};
/// The items' mean is moved from the jackknife's, which lacks a bias of order 1/N, to the metric itself, so
/// that differences are those of the runs' figures.
Measurement measurement(const Metric& metric, const Items& items);

}  // namespace labelsmooth
