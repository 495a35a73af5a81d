// SPDX-License-Identifier: MIT
// Errors of the confidences, as functions of which rows are right: for the labels as they are and as redrawn.
#pragma once

#include <array>    // std::array
#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "evaluate/observations.h"
#include "evaluate/smooth_ece.h"
#include "evaluation/sorted_rows.h"

namespace labelsmooth {

/// Beyond these rows the labels are redrawn by runs, at most some 4,100 cells of confidence, and not by rows.
inline constexpr int64_t kMostDrawnRows = 200'000;

/// The biased measures of eight sets of labels: noise alone makes them positive.
struct TopLabelErrors {
  static constexpr int kCount = 6;
  static const std::array<const char*, kCount>& names();  // ece ece_equal_mass mce rmsce ks smece
  std::array<Abreast, kCount> values = {};
  Abreast sigma;  // at which smece is taken
};

/// Rows of neighbouring confidence that no bin, group or cell of the smoothing's grid cuts.
struct Run {
  int64_t count;
  double confidence;  // the sum
  int bin, group;     // equal width, equal mass
  SmoothPlace place;  // of the mean confidence
};

/// A bin or a group with what the labels say.
struct BinSummary {
  double low, high;                             // the edges, or of a group its least and greatest confidence
  double count, confidence, correct, variance;  // sums
};

class TopLabel {
 public:
  /// One row or more, sorted by (confidence, row), cut into `bins` bins of equal width and as many groups of
  /// equal size: of N rows the first N mod bins groups have one more.
  TopLabel(std::vector<double> confidence, const std::vector<double>& correct, const Binning& binning);
  TopLabel(const Items& items, const Binning& binning) : TopLabel(items.confidence, items.correct, binning) {}

  int64_t rows() const { return rows_; }
  const std::vector<Run>& runs() const { return runs_; }
  /// Right rows of each run, eight times the same.
  const std::vector<Abreast>& right() const { return right_; }
  const std::vector<BinSummary>& bins() const { return bins_; }
  const std::vector<BinSummary>& groups() const { return groups_; }
  /// The confidence of every row, the least first; none beyond kMostDrawnRows.
  const std::vector<double>& sorted() const { return sorted_; }
  double exact_ks() const { return exact_ks_; }

  /// With `right` right rows in each run, whose residuals `smooth` then holds. ks is over the ends of runs;
  /// it can fall short of exact_ks() by what a run holds.
  TopLabelErrors errors(const std::vector<Abreast>& right, SmoothEce& smooth) const;

 private:
  friend class SmoothCurve;
  void cut(const SortedRows& sorted, const Binning& binning);

  int64_t rows_;
  std::vector<Run> runs_;
  std::vector<Abreast> right_;
  std::vector<double> sorted_;
  std::vector<BinSummary> bins_, groups_;
  std::vector<double> confidence_nodes_, density_nodes_;
  double exact_ks_ = 0, least_ = 1, greatest_ = 0;  // confidences
};

/// The confidence t less the mean gap f - y about it, smoothed by `sigma`: on the diagonal for calibrated
/// models at any sigma, which a smoothed y is not. At t = i / points for i = 0..points, a power of two.
class SmoothCurve {
 public:
  SmoothCurve(const TopLabel& top, double sigma, int points);
  /// Of the labels whose residuals `smooth` holds. NaN below the least confidence, above the greatest, and
  /// where none is near.
  std::vector<Abreast> accuracy(SmoothEce& smooth) const;
  /// Rows by unit of confidence, divided by their number.
  std::vector<double> density() const;

 private:
  double rows_, sigma_, least_, greatest_;
  int points_;
  std::vector<double> density_;  // at the points
};

}  // namespace labelsmooth
