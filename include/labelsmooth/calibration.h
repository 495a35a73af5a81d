// SPDX-License-Identifier: MIT
// Calibration of a model's confidences: statistics that add up over shards, and the temperature.
//
//   CalibrationStats stats;
//   stats.add({z, rows, classes}, labels);  // any number of times, on any number of machines
//   all_reduce_sum(flat = stats.flat());    // MPI, torch.distributed, Spark, Ray: a plain sum
//   double ece = CalibrationStats::from_flat(flat).ece(15);
//
// The confidence of a row is its largest probability (top-label calibration), its prediction the class that
// has it, the lowest index on ties. All in f64, whatever the logits' type.
#pragma once

#include <cstddef>   // std::byte
#include <cstdint>   // int64_t
#include <optional>  // std::optional
#include <span>      // std::span
#include <vector>    // std::vector

#include "labelsmooth/export.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

/// The rows whose confidence lies in [lo, hi), of the last bin in [lo, hi]. Means are NaN where there are
/// none.
struct ReliabilityBin {
  double low, high;
  int64_t count;
  double confidence, accuracy;  // means
};

/// A sum and a sum of squares, for a mean and its standard error.
struct Moments {
  double sum = 0, squares = 0;
};

/// What a set of rows contributes to every binned measure of calibration. Merged shards are the whole: counts
/// to the bit, and so accuracy and what bins hold; sums to rounding, some 1e-16 of the sum a merge, so merge
/// in the same order for the same bits.
class LABELSMOOTH_API CalibrationStats {
 public:
  /// Confidence cells [j / 3840, (j + 1) / 3840), the last closed: bins of every divisor of 3840 (10, 12, 15,
  /// 16, 20, ...) are unions of cells, hence exact.
  static constexpr int kCells = 3840;

  struct AddOptions {
    std::optional<int64_t> ignore_index = -100;  // rows with this label do not count
    double scale = 1;                            // of the logits: 1 / temperature
  };

  CalibrationStats();
  /// logits (rows, classes) f32, f64, f16 or bf16, any strides; labels (rows,) of any integer type. Reads
  /// every logit once. Nothing is added where it throws Error: labels outside [0, classes); a counted row
  /// with NaN or +inf, or -inf alone. A label whose logit is -inf makes the NLL +inf.
  void add(const Logits& logits, const Vector& labels, const AddOptions& options);
  void add(const Logits& logits, const Vector& labels) { add(logits, labels, AddOptions()); }
  /// The rows of both.
  void merge(const CalibrationStats& other);

  int64_t counted() const { return counted_; }
  /// Means over the counted rows, NaN where there are none; fractions and nats.
  double accuracy() const;
  double nll() const;
  double brier() const;  // of the sum over the classes, 0 to 2
  double confidence() const;
  double entropy() const;  // of the predicted distributions
  double gap() const;      // confidence - accuracy: above 0 is over-confident
  /// Standard errors of those means; NaN below two rows.
  double nll_error() const;
  double brier_error() const;
  double gap_error() const;

  /// Equal-width bins; throws Error unless `bins` divides 3840.
  std::vector<ReliabilityBin> reliability(int bins = 15) const;
  /// Expected, greatest, and root mean square calibration error over those bins, each weighted by its count
  /// (max_error: over those that are not empty). Biased upwards by noise. NaN without rows.
  double ece(int bins = 15) const;
  double max_error(int bins = 15) const;
  double rms_error(int bins = 15) const;

  /// All of it as doubles, whose element-wise sum is that of merge(); counts are exact up to 2^53.
  static constexpr int64_t kFlatSize = 3 * kCells + 10;
  std::vector<double> flat() const;
  /// Throws Error on another size, and on counts that are no counts.
  static CalibrationStats from_flat(std::span<const double> flat);
  /// The same with a version in front, in this machine's byte order, which from_bytes checks.
  std::vector<std::byte> to_bytes() const;
  static CalibrationStats from_bytes(std::span<const std::byte> bytes);

 private:
  double mean(const Moments& moments) const;
  double error(const Moments& moments) const;

  std::vector<int64_t> count_, correct_;  // (kCells,)
  std::vector<double> confidence_;        // sums, (kCells,)
  int64_t counted_ = 0, right_ = 0;
  Moments nll_, brier_, gap_, entropy_;
};

struct TemperatureOptions {
  std::optional<int64_t> ignore_index = -100;
  /// A set on which the model is always right (always wrong) wants T = 0 (infinity).
  double least = 1.0 / 20, most = 20;
};

struct TemperatureFit {
  double temperature;  // divides the logits; 1 where the NLL does not depend on it: one class, equal logits
  double low, high;    // 95 %, from the sandwich variance of log T; NaN at a bound, and where T says nothing
  double log_error;    // standard error of log T
  double nll_before, nll_after;  // mean, nats, at T = 1 and at the fitted T
  double entropy_after;          // mean predictive entropy; at an optimum within the bounds it is nll_after
  int64_t counted;
  bool at_bound;  // the NLL still falls at the bound
};

/// The T with the least mean NLL of softmax(z / T) (Guo et al. 2017). The NLL is convex in 1 / T, with slope
/// (mean NLL - mean entropy) T there, so the optimum is where the two are equal. About 12 passes over the
/// logits, in f64; memory 16 bytes a row. Throws Error: labels outside [0, classes), no counted row, a
/// counted row with NaN or +inf, or -inf alone, a label whose logit is -inf, bounds that are not 0 < least <
/// most.
LABELSMOOTH_API TemperatureFit fit_temperature(const Logits& logits, const Vector& labels,
                                               const TemperatureOptions& options = {});

}  // namespace labelsmooth
