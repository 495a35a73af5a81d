// SPDX-License-Identifier: MIT
#include "evaluate/top_label.h"

#include <algorithm>  // std::clamp, std::max
#include <cmath>      // std::abs, std::sqrt
#include <limits>     // std::numeric_limits
#include <utility>    // std::exchange, std::move

namespace labelsmooth {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Abreast all(double x) {
  Abreast eight;
  for (double& one : eight.of) one = x;
  return eight;
}

void add(const BinSummary& run, BinSummary& to) {
  to.count += run.count;
  to.confidence += run.confidence;
  to.correct += run.correct;
  to.variance += run.variance;
}

/// What `total` has grown since `before`, which is then `total`: whole numbers, so exact.
void add_since(const Abreast& total, Abreast& before, Abreast& to) {
  for (int r = 0; r < kAbreast; ++r) to.of[r] += total.of[r] - before.of[r];
  before = total;
}

/// Confidences from one on that share its bin and its cell of the smoothing's grid.
struct Cell {
  int bin, node;
  double end;
  bool closed;  // end itself is among them

  bool holds(double c) const { return c < end || (closed && c == end); }
};
Cell cell_of(double first, const Binning& binning) {
  constexpr double kNoEnd = std::numeric_limits<double>::infinity();  // given probabilities may exceed 1
  Cell cell = {bin_of(first, binning.bins, binning.edges), smooth_place(first).node, kNoEnd, true};
  const double bin_end = static_cast<double>(cell.bin + 1) / binning.bins;
  const double node_end = static_cast<double>(cell.node + 1) / kSmoothCells;
  if (node_end < 1 && node_end <= bin_end) {
    cell.end = node_end, cell.closed = false;
  } else if (bin_end < 1) {
    cell.end = bin_end, cell.closed = binning.edges == Edges::right;
  }
  return cell;
}

}  // namespace

const std::array<const char*, TopLabelErrors::kCount>& TopLabelErrors::names() {
  static constexpr std::array<const char*, kCount> kNames = {"ece", "ece_equal_mass", "mce", "rmsce",
                                                             "ks",  "smece"};
  return kNames;
}

TopLabel::TopLabel(std::vector<double> confidence, const std::vector<double>& correct, const Binning& binning)
    : rows_(static_cast<int64_t>(correct.size())) {
  for (int b = 0; b < binning.bins; ++b) {
    bins_.push_back(
        {static_cast<double>(b) / binning.bins, static_cast<double>(b + 1) / binning.bins, 0, 0, 0, 0});
    groups_.push_back({kNaN, kNaN, 0, 0, 0, 0});
  }
  cut(SortedRows(std::move(confidence), correct, First::least), binning);
}

void TopLabel::cut(const SortedRows& sorted, const Binning& binning) {
  confidence_nodes_.resize(kSmoothCells + 1);
  density_nodes_.resize(kSmoothCells + 1);
  const bool by_row = rows_ <= kMostDrawnRows;
  if (by_row) sorted_.reserve(sorted.size());
  double sum = 0, ks = 0;
  int64_t i = 0;
  for (int group = 0; i < rows_; ++group) {
    const int64_t end =
        i + rows_ / binning.bins + (group < rows_ % binning.bins);  // as numpy.array_split has it
    groups_[group].low = sorted.key(i);
    groups_[group].high = sorted.key(end - 1);
    while (i < end) {
      const Cell cell = cell_of(sorted.key(i), binning);
      BinSummary run = {};
      double fraction = 0, beyond = 0;  // sums of the rows' mass on the next node, 1 and c a row
      for (; i < end; ++i) {
        const double c = sorted.key(i), right = sorted.correct(i) ? 1 : 0;
        if (!cell.holds(c)) break;
        const double place = c * kSmoothCells - cell.node;
        add({kNaN, kNaN, 1, c, right, c * (1 - c)}, run);
        fraction += place;
        beyond += c * place;
        sum += c - right;
        ks = std::max(ks, std::abs(sum));
        if (by_row) sorted_.push_back(c);
      }
      runs_.push_back({static_cast<int64_t>(run.count),
                       run.confidence,
                       cell.bin,
                       group,
                       {cell.node, fraction / run.count}});
      right_.push_back(all(run.correct));
      add(run, bins_[cell.bin]);
      add(run, groups_[group]);
      density_nodes_[cell.node] += run.count - fraction;
      density_nodes_[cell.node + 1] += fraction;
      confidence_nodes_[cell.node] += run.confidence - beyond;
      confidence_nodes_[cell.node + 1] += beyond;
    }
  }
  exact_ks_ = ks / static_cast<double>(rows_);
  least_ = sorted.key(0);
  greatest_ = sorted.key(sorted.size() - 1);
}

TopLabelErrors TopLabel::errors(const std::vector<Abreast>& right, SmoothEce& smooth) const {
  const auto n = static_cast<double>(rows_);
  std::vector<Abreast>& nodes = smooth.residuals();
  for (size_t j = 0; j < nodes.size(); ++j) nodes[j] = all(confidence_nodes_[j]);
  std::vector<Abreast> by_bin(bins_.size()), by_group(groups_.size());
  // Neighbouring runs mostly share bin, group and node: what is theirs waits in a register.
  Abreast total, before_bin, before_group, here, beyond, ks;
  double confidence = 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    const Run& run = runs_[i];
    confidence += run.confidence;
    const Abreast& count = right[i];
    for (int r = 0; r < kAbreast; ++r) {
      total.of[r] += count.of[r];
      ks.of[r] = std::max(ks.of[r], std::abs(confidence - total.of[r]));
      const double next = count.of[r] * run.place.fraction;
      here.of[r] += count.of[r] - next;
      beyond.of[r] += next;
    }
    const bool last = i + 1 == runs_.size();
    if (last || runs_[i + 1].bin != run.bin) add_since(total, before_bin, by_bin[run.bin]);
    if (last || runs_[i + 1].group != run.group) add_since(total, before_group, by_group[run.group]);
    const int node = run.place.node, next_node = last ? -1 : runs_[i + 1].place.node;
    if (next_node == node) continue;
    for (int r = 0; r < kAbreast; ++r) nodes[node].of[r] -= here.of[r];
    here = std::exchange(beyond, {});
    if (next_node == node + 1) continue;
    for (int r = 0; r < kAbreast; ++r) nodes[node + 1].of[r] -= here.of[r];
    here = {};
  }
  for (Abreast& node : nodes) {
    for (double& one : node.of) one /= n;
  }
  smooth.take();
  const SmoothEce::Solution solution = smooth.solve();
  TopLabelErrors errors;
  errors.sigma = solution.sigma;
  for (int r = 0; r < kAbreast; ++r) {
    double ece = 0, mce = 0, squares = 0, equal_mass = 0;
    for (size_t b = 0; b < bins_.size(); ++b) {
      const double gap = std::abs(bins_[b].confidence - by_bin[b].of[r]);
      equal_mass += std::abs(groups_[b].confidence - by_group[b].of[r]);
      if (bins_[b].count == 0) continue;
      ece += gap;
      mce = std::max(mce, gap / bins_[b].count);
      squares += gap * gap / bins_[b].count;
    }
    const std::array<double, TopLabelErrors::kCount> values = {
        ece / n, equal_mass / n, mce, std::sqrt(squares / n), ks.of[r] / n, solution.value.of[r]};
    for (size_t e = 0; e < values.size(); ++e) errors.values[e].of[r] = values[e];
  }
  return errors;
}

SmoothCurve::SmoothCurve(const TopLabel& top, double sigma, int points)
    : rows_(static_cast<double>(top.rows())),
      sigma_(sigma),
      least_(top.least_),
      greatest_(top.greatest_),
      points_(points) {
  SmoothEce smooth;
  for (size_t j = 0; j < top.density_nodes_.size(); ++j) smooth.residuals()[j] = all(top.density_nodes_[j]);
  smooth.take();
  for (const Abreast& at : smooth.smoothed(all(sigma), points)) density_.push_back(at.of[0]);
}

std::vector<Abreast> SmoothCurve::accuracy(SmoothEce& smooth) const {
  std::vector<Abreast> values = smooth.smoothed(all(sigma_), points_);
  for (int i = 0; i <= points_; ++i) {
    const double t = static_cast<double>(i) / points_;
    // A hundredth of a row within sigma: less is rounding, between confidences far apart.
    const bool among = least_ <= t && t <= greatest_ && density_[i] * sigma_ > 0.01;
    for (double& value : values[i].of)
      value = among ? std::clamp(t - rows_ * value / density_[i], 0.0, 1.0) : kNaN;
  }
  return values;
}

std::vector<double> SmoothCurve::density() const {
  std::vector<double> values = density_;
  for (double& value : values) value = std::max(value, 0.0) / rows_;
  return values;
}

}  // namespace labelsmooth
