// SPDX-License-Identifier: MIT
// Accuracy, calibration and ranking of the confidences, from the per-row table of items.h. Every function
// throws Error on an empty table.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <vector>   // std::vector

#include "evaluation/items.h"

namespace labelsmooth {

/// Means over the rows, as fractions and nats.
double accuracy(const Items& items);
double nll(const Items& items);
double brier(const Items& items);
double confidence(const Items& items);
/// Mean confidence - accuracy: > 0 is over-confident.
double gap(const Items& items);

// --- Calibration: top-label, equal-width bins [b / B, (b + 1) / B), the last one closed.

struct Bin {
  int64_t count;
  double confidence, accuracy;  // means of the bin's rows; NaN where the bin is empty
  double null_sd;  // of `accuracy`, had the labels come from the predictions: the consistency band
};
std::vector<Bin> reliability(const Items& items, int bins = 15);

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

// --- Ranking: by score, the highest first, equal scores by row.

/// Mean over n = 1..N of errors(n) / n, errors(n) counted among the n highest (Geifman and El-Yaniv). Other
/// tools take the trapezoid over coverages 1/N..1: (N * this - (first + last) / 2) / (N - 1).
double aurc(const Items& items);
/// Mean over n = 1..N of errors(n) / N (Traub et al. 2024), in that same convention. Without ties it equals
/// (1 - AUROC) * acc * (1 - acc) + (1 - acc)^2 / 2 + (1 - acc) / (2N).
double augrc(const Items& items);
/// P(score of a right row > score of a wrong one), equal scores 1/2 (Mann and Whitney); NaN if all are right
/// or all wrong.
double auroc(const Items& items);

struct RiskPoint {
  double coverage, risk;  // n / N and errors(n) / n
};
/// The curve at min(points, N) coverages, evenly spaced and ending at 1.
std::vector<RiskPoint> risk_coverage(const Items& items, int points);

/// Jackknife pseudo-values N * theta - (N - 1) * theta(without row i), one per row, for the standard error of
/// theta; at least two rows; O(N log N). Their mean is theta less its bias of order 1/N, so it differs from
/// theta in the last digits.
std::vector<double> aurc_items(const Items& items);
std::vector<double> augrc_items(const Items& items);
/// All NaN with fewer than two right or two wrong rows: without one of them there is no AUROC.
std::vector<double> auroc_items(const Items& items);

}  // namespace labelsmooth
