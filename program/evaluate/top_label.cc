// SPDX-License-Identifier: MIT
#include "evaluate/top_label.h"

#include <algorithm>  // std::clamp, std::max
#include <bit>        // std::bit_ceil
#include <cmath>      // std::abs, std::sqrt
#include <limits>     // std::numeric_limits

#include "evaluation/sorted_order.h"

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void add(const BinSummary& run, BinSummary& to) {
  to.count += run.count;
  to.confidence += run.confidence;
  to.correct += run.correct;
  to.variance += run.variance;
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
  int64_t i = 0;
  for (int group = 0; i < rows_; ++group) {
    const int64_t end =
        i + rows_ / binning.bins + (group < rows_ % binning.bins);  // as numpy.array_split has it
    groups_[group].low = items.confidence[order[i]];
    groups_[group].high = items.confidence[order[end - 1]];
    while (i < end) {
      const double first = items.confidence[order[i]];
      const int bin = bin_of(first, binning.bins, binning.edges);
      const int node = smooth_place(first).node;
      BinSummary run = {};
      double fraction = 0, beyond = 0;  // sums of the rows' mass on the next node, 1 and c a row
      for (; i < end; ++i) {
        const double c = items.confidence[order[i]], correct = items.correct[order[i]];
        const SmoothPlace place = smooth_place(c);
        if (place.node != node || (c != first && bin_of(c, binning.bins, binning.edges) != bin)) break;
        add({kNaN, kNaN, 1, c, correct, c * (1 - c)}, run);
        fraction += place.fraction;
        beyond += c * place.fraction;
        sum += c - correct;
        exact_ks_ = std::max(exact_ks_, std::abs(sum) / static_cast<double>(rows_));
        if (by_row) sorted_.push_back(c);
      }
      runs_.push_back(
          {static_cast<int64_t>(run.count), run.confidence, bin, group, {node, fraction / run.count}});
      right_.push_back(run.correct);
      add(run, bins_[bin]);
      add(run, groups_[group]);
      density_nodes_[node] += run.count - fraction;
      density_nodes_[node + 1] += fraction;
      confidence_nodes_[node] += run.confidence - beyond;
      confidence_nodes_[node + 1] += beyond;
    }
  }
  least_ = items.confidence[order.front()];
  greatest_ = items.confidence[order.back()];
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
