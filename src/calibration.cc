// SPDX-License-Identifier: MIT
#include "labelsmooth/calibration.h"

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::abs, std::sqrt
#include <cstring>    // std::memcpy
#include <limits>     // std::numeric_limits
#include <string>     // std::to_string

#include "probabilities.h"

namespace labelsmooth {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr char kMagic[8] = {'l', 's', 'c', 'a', 'l', 'i', 'b', '1'};
constexpr double kMostCount = 0x1p53;

// The cell j with j / kCells <= c, the highest such; 1 lies in the last.
int cell_of(double c) {
  constexpr int kCells = CalibrationStats::kCells;
  int j = std::min(static_cast<int>(c * kCells), kCells - 1);
  if (j + 1 < kCells && c >= static_cast<double>(j + 1) / kCells) ++j;  // c * kCells may round across an edge
  if (c < static_cast<double>(j) / kCells) --j;
  return j;
}

void add_to(Moments& moments, double x) {
  moments.sum += x;
  moments.squares += x * x;
}

int64_t count_of(double x) {
  if (!(x >= 0 && x <= kMostCount && x == static_cast<double>(static_cast<int64_t>(x))))
    throw Error("flat", std::to_string(x) + " found where a count is needed");
  return static_cast<int64_t>(x);
}

}  // namespace

CalibrationStats::CalibrationStats() : count_(kCells), correct_(kCells), confidence_(kCells) {}

void CalibrationStats::add(const Logits& logits, const Vector& labels, const AddOptions& options) {
  CalibrationStats next;  // joins only when all of it is good
  for_each_block(logits, labels,
                 {.ignore_index = options.ignore_index, .scale = options.scale, .scores = false},
                 [&next](const ProbabilityBlock& block) {
                   for (int64_t i = 0; i < block.rows; ++i) {
                     if (!block.counts(i)) continue;
                     const bool correct = block.correct(i);
                     const int cell = cell_of(block.confidence[i]);
                     ++next.counted_;
                     next.right_ += correct;
                     ++next.count_[cell];
                     next.correct_[cell] += correct;
                     next.confidence_[cell] += block.confidence[i];
                     add_to(next.nll_, block.nll[i]);
                     add_to(next.brier_, block.brier[i]);
                     add_to(next.gap_, block.confidence[i] - correct);
                     add_to(next.entropy_, block.entropy[i]);
                   }
                 });
  merge(next);
}

void CalibrationStats::merge(const CalibrationStats& other) {
  for (int j = 0; j < kCells; ++j) {
    count_[j] += other.count_[j];
    correct_[j] += other.correct_[j];
    confidence_[j] += other.confidence_[j];
  }
  counted_ += other.counted_;
  right_ += other.right_;
  for (const auto moments : {&CalibrationStats::nll_, &CalibrationStats::brier_, &CalibrationStats::gap_,
                             &CalibrationStats::entropy_}) {
    (this->*moments).sum += (other.*moments).sum;
    (this->*moments).squares += (other.*moments).squares;
  }
}

double CalibrationStats::mean(const Moments& moments) const {
  return moments.sum / static_cast<double>(counted_);
}

double CalibrationStats::error(const Moments& moments) const {
  if (counted_ < 2) return kNan;
  const auto n = static_cast<double>(counted_);
  const double squares = moments.squares - moments.sum * moments.sum / n;
  return std::sqrt(std::max(squares, 0.0) / (n * (n - 1)));
}

double CalibrationStats::accuracy() const {
  return static_cast<double>(right_) / static_cast<double>(counted_);
}
double CalibrationStats::nll() const { return mean(nll_); }
double CalibrationStats::brier() const { return mean(brier_); }
double CalibrationStats::confidence() const { return gap() + accuracy(); }
double CalibrationStats::entropy() const { return mean(entropy_); }
double CalibrationStats::gap() const { return mean(gap_); }
double CalibrationStats::nll_error() const { return error(nll_); }
double CalibrationStats::brier_error() const { return error(brier_); }
double CalibrationStats::gap_error() const { return error(gap_); }

std::vector<ReliabilityBin> CalibrationStats::reliability(int bins) const {
  if (bins < 1 || kCells % bins != 0)
    throw Error("bins", std::to_string(bins) + " found, divisors of 3840 are allowed");
  std::vector<ReliabilityBin> result;
  for (int b = 0; b < bins; ++b) {
    int64_t count = 0, correct = 0;
    double confidence = 0;
    for (int j = b * (kCells / bins); j < (b + 1) * (kCells / bins); ++j) {
      count += count_[j];
      correct += correct_[j];
      confidence += confidence_[j];
    }
    const auto n = static_cast<double>(count);  // 0 / 0 is the NaN of an empty bin
    result.push_back({static_cast<double>(b) / bins, static_cast<double>(b + 1) / bins, count, confidence / n,
                      static_cast<double>(correct) / n});
  }
  return result;
}

double CalibrationStats::ece(int bins) const {
  double sum = counted_ == 0 ? kNan : 0;
  for (const ReliabilityBin& bin : reliability(bins)) {
    if (bin.count > 0) sum += static_cast<double>(bin.count) * std::abs(bin.confidence - bin.accuracy);
  }
  return sum / static_cast<double>(counted_);
}

double CalibrationStats::max_error(int bins) const {
  double most = counted_ == 0 ? kNan : 0;
  for (const ReliabilityBin& bin : reliability(bins)) {
    if (bin.count > 0) most = std::max(most, std::abs(bin.confidence - bin.accuracy));
  }
  return most;
}

double CalibrationStats::rms_error(int bins) const {
  double sum = counted_ == 0 ? kNan : 0;
  for (const ReliabilityBin& bin : reliability(bins)) {
    const double gap = bin.confidence - bin.accuracy;
    if (bin.count > 0) sum += static_cast<double>(bin.count) * gap * gap;
  }
  return std::sqrt(sum / static_cast<double>(counted_));
}

std::vector<double> CalibrationStats::flat() const {
  std::vector<double> flat(count_.begin(), count_.end());
  flat.insert(flat.end(), correct_.begin(), correct_.end());
  flat.insert(flat.end(), confidence_.begin(), confidence_.end());
  flat.push_back(static_cast<double>(counted_));
  flat.push_back(static_cast<double>(right_));
  for (const Moments& moments : {nll_, brier_, gap_, entropy_}) {
    flat.push_back(moments.sum);
    flat.push_back(moments.squares);
  }
  return flat;
}

CalibrationStats CalibrationStats::from_flat(std::span<const double> flat) {
  if (static_cast<int64_t>(flat.size()) != kFlatSize) {
    throw Error("flat",
                std::to_string(flat.size()) + " values found, " + std::to_string(kFlatSize) + " are needed");
  }
  CalibrationStats stats;
  int64_t counted = 0, right = 0;
  for (int j = 0; j < kCells; ++j) {
    stats.count_[j] = count_of(flat[j]);
    stats.correct_[j] = count_of(flat[kCells + j]);
    stats.confidence_[j] = flat[2 * kCells + j];
    counted += stats.count_[j];
    right += stats.correct_[j];
  }
  const double* next = flat.data() + 3 * kCells;
  stats.counted_ = count_of(*next++);
  stats.right_ = count_of(*next++);
  if (stats.counted_ != counted || stats.right_ != right)
    throw Error("flat", "counts that do not add up found, those of flat() and their sums are allowed");
  for (Moments* moments : {&stats.nll_, &stats.brier_, &stats.gap_, &stats.entropy_}) {
    moments->sum = *next++;
    moments->squares = *next++;
  }
  return stats;
}

std::vector<std::byte> CalibrationStats::to_bytes() const {
  const std::vector<double> values = flat();
  std::vector<std::byte> bytes(sizeof kMagic + values.size() * sizeof(double));
  std::memcpy(bytes.data(), kMagic, sizeof kMagic);
  std::memcpy(bytes.data() + sizeof kMagic, values.data(), values.size() * sizeof(double));
  return bytes;
}

CalibrationStats CalibrationStats::from_bytes(std::span<const std::byte> bytes) {
  constexpr size_t kBytes = sizeof kMagic + kFlatSize * sizeof(double);
  if (bytes.size() != kBytes || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    throw Error("bytes", std::to_string(bytes.size()) + " bytes found, the " + std::to_string(kBytes) +
                             " of version 1 of CalibrationStats are needed");
  }
  std::vector<double> values(kFlatSize);
  std::memcpy(values.data(), bytes.data() + sizeof kMagic, values.size() * sizeof(double));
  return from_flat(values);
}

}  // namespace labelsmooth
