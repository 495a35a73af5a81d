// SPDX-License-Identifier: MIT
// Accuracy and calibration of the confidences, from the per-row table of items.h. Every function throws Error
// on an empty table.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <vector>   // std::vector

#include "evaluation/items.h"
#include "evaluation/ranking.h"

namespace labelsmooth {

/// Means over the rows, as fractions and nats.
double accuracy(const Items& items);
double nll(const Items& items);
double brier(const Items& items);
double confidence(const Items& items);
/// Mean confidence - accuracy: > 0 is over-confident.
double gap(const Items& items);

// --- Calibration: top-label, equal-width bins.

/// To which bin a confidence on an edge belongs: left is [lo, hi), the last bin closed (NumPy, netcal); right
/// is (lo, hi], the first closed (Guo et al.).
enum class Edges { left, right };
/// Of `bins` from 0 to 1, exactly: lo and hi are the doubles nearest b / bins.
int bin_of(double confidence, int bins, Edges edges = Edges::left);

struct Bin {
  int64_t count;
  double confidence, accuracy;  // means of the bin's rows; NaN where the bin is empty
  double null_sd;  // of `accuracy`, had the labels come from the predictions: the consistency band
};
std::vector<Bin> reliability(const Items& items, int bins = 15, Edges edges = Edges::left);

/// Expected calibration error: sum over the bins of count / N * |confidence - accuracy| (Guo et al. 2017).
/// Biased upwards: read it beside its null level.
double ece(const Items& items, int bins = 15);

/// The ECE that these predictions would show if they were calibrated: the labels are redrawn from
/// Categorical(p_i), which for the top label is Bernoulli(confidence_i), in steps of 2^-32. Exact for any
/// number of rows, with no cells; the same seed gives the same bits.
struct NullLevel {
  double mean, quantile95;  // of the redraws; the quantile is the smallest that 95 % of them do not exceed
  double p;                 // (1 + redraws that reach the observed ECE) / (redraws + 1)
  double excess;            // observed - mean, signed
};
NullLevel null_level(const Items& items, uint64_t seed, int bins = 15, int redraws = 1000);

}  // namespace labelsmooth
