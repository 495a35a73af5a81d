// SPDX-License-Identifier: MIT
#include "evaluate/top_label.h"

#include <algorithm>  // std::clamp, std::max, std::min
#include <bit>        // std::bit_ceil
#include <cmath>      // std::abs, std::sqrt
#include <limits>     // std::numeric_limits
#include <utility>    // std::pair

#include "evaluation/sorted_order.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void add(BinSummary& bin, double confidence, double correct) {
  bin.count += 1;
  bin.confidence += confidence;
  bin.correct += correct;
  bin.variance += confidence * (1 - confidence);
}

}  // namespace

const std::array<const char*, TopLabelErrors::kCount>& TopLabelErrors::names() {
  static constexpr std::array<const char*, kCount> kNames = {"ece", "ece_equal_mass", "mce", "rmsce",
                                                             "ks",  "smece"};
  return kNames;
}

TopLabel::TopLabel(const Items& items, const Binning& binning)
    : rows_(static_cast<int64_t>(items.correct.size())) {
  for (int b = 0; b < binning.bins; ++b) {
    bins_.push_back(
        {static_cast<double>(b) / binning.bins, static_cast<double>(b + 1) / binning.bins, 0, 0, 0, 0});
    groups_.push_back({kNaN, kNaN, 0, 0, 0, 0});
  }
  cut(items, sorted_order(items.confidence), binning);
}

void TopLabel::cut(const Items& items, const std::vector<uint32_t>& order, const Binning& binning) {
  confidence_nodes_.resize(kSmoothCells + 1);
  density_nodes_.resize(kSmoothCells + 1);
  const bool by_row = rows_ <= kMostDrawnRows;
  if (by_row) sorted_.reserve(order.size());
  double sum = 0;
  int group = -1;
  int64_t group_end = 0;  // as numpy.array_split has it
  for (int64_t i = 0; i < rows_; ++i) {
    while (i == group_end) group_end += rows_ / binning.bins + (++group < rows_ % binning.bins);
    const double c = items.confidence[order[i]], correct = items.correct[order[i]];
    const SmoothPlace place = smooth_place(c);
    const int bin = bin_of(c, binning.bins, binning.edges);
    if (runs_.empty() || runs_.back().bin != bin || runs_.back().group != group ||
        runs_.back().place.node != place.node) {
      runs_.push_back({0, 0, bin, group, {place.node, 0}});
      right_.push_back(0);
    }
    Run& run = runs_.back();
    run.count += 1;
    run.confidence += c;
    run.place.fraction += place.fraction;  // divided below
    right_.back() += correct;
    add(bins_[bin], c, correct);
    if (groups_[group].count == 0) groups_[group].low = c;
    groups_[group].high = c;
    add(groups_[group], c, correct);
    for (auto [nodes, mass] : {std::pair{&density_nodes_, 1.0}, {&confidence_nodes_, c}}) {
      (*nodes)[place.node] += mass * (1 - place.fraction);
      (*nodes)[place.node + 1] += mass * place.fraction;
    }
    least_ = std::min(least_, c);
    greatest_ = std::max(greatest_, c);
    sum += c - correct;
    exact_ks_ = std::max(exact_ks_, std::abs(sum) / static_cast<double>(rows_));
    if (by_row) sorted_.push_back(c);
  }
  for (Run& run : runs_) run.place.fraction /= static_cast<double>(run.count);
}

TopLabelErrors TopLabel::errors(const std::vector<double>& right) const {
  const auto n = static_cast<double>(rows_);
  std::vector<double> by_bin(bins_.size()), by_group(groups_.size()), nodes = confidence_nodes_;
  double sum = 0, ks = 0;
  for (size_t r = 0; r < runs_.size(); ++r) {
    const Run& run = runs_[r];
    by_bin[run.bin] += right[r];
    by_group[run.group] += right[r];
    sum += run.confidence - right[r];
    ks = std::max(ks, std::abs(sum));
    nodes[run.place.node] -= right[r] * (1 - run.place.fraction);
    nodes[run.place.node + 1] -= right[r] * run.place.fraction;
  }
  double ece = 0, mce = 0, squares = 0, equal_mass = 0;
  for (size_t b = 0; b < bins_.size(); ++b) {
    const double gap = std::abs(bins_[b].confidence - by_bin[b]);
    equal_mass += std::abs(groups_[b].confidence - by_group[b]);
    if (bins_[b].count == 0) continue;
    ece += gap;
    mce = std::max(mce, gap / bins_[b].count);
    squares += gap * gap / bins_[b].count;
  }
  TopLabelErrors errors;
  for (double& node : nodes) node /= n;
  errors.smooth_residual = cosine_sums(nodes);
  const SmoothEce smooth = smooth_ece(errors.smooth_residual);
  errors.values = {ece / n, equal_mass / n, mce, std::sqrt(squares / n), ks / n, smooth.value};
  errors.sigma = smooth.sigma;
  return errors;
}

SmoothCurve::SmoothCurve(const TopLabel& top, double sigma, int points)
    : rows_(static_cast<double>(top.rows())),
      sigma_(sigma),
      least_(top.least_),
      greatest_(top.greatest_),
      points_(points),
      grid_(static_cast<int>(std::bit_ceil(static_cast<unsigned>(
          std::clamp(3 / sigma, static_cast<double>(points), static_cast<double>(kSmoothCells)))))),
      density_(smoothed(cosine_sums(top.density_nodes_), sigma, grid_)) {}

std::vector<double> SmoothCurve::accuracy(const TopLabelErrors& errors) const {
  std::vector<double> values = smoothed(errors.smooth_residual, sigma_, grid_);
  for (int i = 0; i <= grid_; ++i) {
    const double t = static_cast<double>(i) / grid_;
    // A hundredth of a row within sigma: less is rounding, between confidences far apart.
    const bool among = least_ <= t && t <= greatest_ && density_[i] * sigma_ > 0.01;
    values[i] = among ? std::clamp(t - rows_ * values[i] / density_[i], 0.0, 1.0) : kNaN;
  }
  return every(values);
}

std::vector<double> SmoothCurve::density() const {
  std::vector<double> values = density_;
  for (double& value : values) value = std::max(value, 0.0) / rows_;
  return every(values);
}

std::vector<double> SmoothCurve::every(const std::vector<double>& values) const {
  std::vector<double> kept;
  for (int i = 0; i <= points_; ++i) kept.push_back(values[i * (grid_ / points_)]);
  return kept;
}

}  // namespace labelsmooth
