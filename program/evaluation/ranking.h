// SPDX-License-Identifier: MIT
// How well the confidences rank right rows before wrong ones: by score, the highest first, equal scores by
// row. Reads `correct` and `score` alone; every function throws Error on an empty table. Memory beside it: 12
// bytes a row.
#pragma once

#include <vector>  // std::vector

#include "evaluation/items.h"

namespace labelsmooth {

/// Puts the rows of these two columns in that order once, which the functions below then need not do again.
void sort_by_score(Items& items);

/// Mean over n = 1..N of errors(n) / n, errors(n) counted among the n highest (Geifman and El-Yaniv). Other
/// tools take the trapezoid over coverages 1/N..1: (N * this - (first + last) / 2) / (N - 1).
double aurc(const Items& items);
/// aurc less that of the best order of the same errors, all of them last: separates ranking from accuracy.
double eaurc(const Items& items);
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
/// Accuracy of the ceil(coverage * N) highest.
double accuracy_at(const Items& items, double coverage);
/// The largest coverage whose risk is at most `risk`; 0 where there is none.
double coverage_at(const Items& items, double risk);

/// Jackknife pseudo-values N * theta - (N - 1) * theta(without row i), one per row, for the standard error of
/// theta; at least two rows; O(N log N). Their mean is theta less its bias of order 1/N, so it differs from
/// theta in the last digits.
std::vector<double> aurc_items(const Items& items);
std::vector<double> eaurc_items(const Items& items);
std::vector<double> augrc_items(const Items& items);
/// All NaN with fewer than two right or two wrong rows: without one of them there is no AUROC.
std::vector<double> auroc_items(const Items& items);

}  // namespace labelsmooth
