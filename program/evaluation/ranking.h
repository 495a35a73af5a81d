// SPDX-License-Identifier: MIT
// How well the confidences rank right rows before wrong ones: by score, the highest first, equal scores by
// row.
#pragma once

#include <cstdint>  // uint8_t, uint32_t
#include <vector>   // std::vector

#include "evaluation/items.h"

namespace labelsmooth {

struct RiskPoint {
  double coverage, risk;  // n / N and errors(n) / n
};

/// N rows in that order; errors(n) counts the wrong ones among the n highest. Memory: 13 bytes a row, while
/// it sorts 29.
class Ranking {
 public:
  /// Throws Error on an empty table. Reads `correct` and `score` alone.
  explicit Ranking(const Items& items) : Ranking(items.score, items.correct) {}
  Ranking(std::vector<double> score, const std::vector<double>& correct);

  /// Mean over n = 1..N of errors(n) / n (Geifman and El-Yaniv). Other tools take the trapezoid over
  /// coverages 1/N..1: (N * this - (first + last) / 2) / (N - 1).
  double aurc() const;
  /// aurc less that of the best order of the same errors, all of them last: separates ranking from accuracy.
  double eaurc() const { return eaurc(aurc()); }
  double eaurc(double aurc) const;
  /// Mean over n = 1..N of errors(n) / N (Traub et al. 2024), in that same convention. Without ties it equals
  /// (1 - AUROC) * acc * (1 - acc) + (1 - acc)^2 / 2 + (1 - acc) / (2N).
  double augrc() const;
  /// P(score of a right row > score of a wrong one), equal scores 1/2 (Mann and Whitney); NaN if all are
  /// right or all wrong.
  double auroc() const;

  /// Jackknife pseudo-values N * theta - (N - 1) * theta(without the row), one per row in this order, for the
  /// standard error of theta. Throw Error below two rows. Their mean is theta less its bias of order 1/N, so
  /// it differs from theta in the last digits.
  std::vector<double> aurc_items() const;
  std::vector<double> eaurc_items(std::vector<double> aurc_items) const;  // made of those
  std::vector<double> augrc_items() const;
  /// All NaN with fewer than two right or two wrong rows: without one of them there is no AUROC.
  std::vector<double> auroc_items() const;
  /// Those in the order of the table.
  std::vector<double> by_row(const std::vector<double>& by_rank) const;

  /// The curve at min(points, N) coverages, evenly spaced and ending at 1.
  std::vector<RiskPoint> risk_coverage(int points) const;
  /// Accuracy of the ceil(coverage * N) highest.
  double accuracy_at(double coverage) const;
  /// The largest coverage whose risk is at most `risk`; 0 where there is none.
  double coverage_at(double risk) const;

 private:
  int64_t rows() const { return static_cast<int64_t>(wrong_.size()); }
  void need_two() const;
  double ordered_pairs() const;  // of a right row above a wrong one, ties 1/2
  template <class Body>
  void each_coverage(const Body& body) const;
  template <class Body>
  void each_score(const Body& body) const;

  // By rank.
  std::vector<double> score_;
  std::vector<uint8_t> wrong_;
  std::vector<uint32_t> row_;
  int64_t errors_ = 0;
};

/// Of a table, sorted each time; pseudo-values in the order of its rows.
double aurc(const Items& items);
double augrc(const Items& items);
double auroc(const Items& items);
std::vector<double> aurc_items(const Items& items);
std::vector<double> augrc_items(const Items& items);
std::vector<double> auroc_items(const Items& items);
std::vector<RiskPoint> risk_coverage(const Items& items, int points);

}  // namespace labelsmooth
