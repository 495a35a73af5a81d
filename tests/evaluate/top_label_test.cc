// SPDX-License-Identifier: MIT
// Cuts of the sorted confidences against the definitions, row by row.
#include "evaluate/top_label.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::max, std::stable_sort
#include <cmath>      // std::abs, std::nextafter, std::sqrt
#include <limits>     // std::numeric_limits
#include <numeric>    // std::iota
#include <random>     // std::mt19937
#include <string>     // std::to_string
#include <vector>     // std::vector

namespace labelsmooth {
namespace {

/// On and about the edges of bins and cells, 0, 1, a given probability that rounding left above 1, and ties.
Items edgy(int rows, int bins, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform;
  Items items;
  for (int i = 0; i < rows; ++i) {
    double c = uniform(random);
    switch (random() % 8) {
      case 0:
        c = static_cast<double>(random() % (bins + 1)) / bins;
        break;
      case 1:
        c = static_cast<double>(random() % (kSmoothCells + 1)) / kSmoothCells;
        break;
      case 2:
        c = std::nextafter(static_cast<double>(random() % (bins + 1)) / bins, random() % 2);
        break;
      case 3:
        c = random() % 2 == 0 ? 1 : 1 + 5e-7;
        break;
      default:
        break;
    }
    items.confidence.push_back(c);
    items.correct.push_back(uniform(random) < 0.7);
  }
  return items;
}

struct Naive {
  std::vector<double> count, confidence, correct;
};

void expect_bins(const std::vector<BinSummary>& found, const Naive& naive, const std::string& what) {
  ASSERT_EQ(found.size(), naive.count.size());
  for (size_t b = 0; b < found.size(); ++b) {
    EXPECT_EQ(found[b].count, naive.count[b]) << what << b;
    EXPECT_EQ(found[b].correct, naive.correct[b]) << what << b;
    // Both are sums, in other orders.
    const double epsilon = std::numeric_limits<double>::epsilon();
    EXPECT_NEAR(found[b].confidence, naive.confidence[b], naive.count[b] * epsilon * naive.confidence[b])
        << what << b;
  }
}

TEST(TopLabel, IsTheDefinition) {
  for (const int rows : {1, 2, 14, 16, 500, 5000}) {
    for (const int bins : {1, 2, 15, 49, 200}) {
      for (const Edges edges : {Edges::left, Edges::right}) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(bins) + " bins");
        const Items items = edgy(rows, bins, rows + bins);
        const TopLabel top(items, {bins, edges});
        std::vector<int> order(rows);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [&](int a, int b) { return items.confidence[a] < items.confidence[b]; });
        const std::vector<double> zeros(bins);
        Naive by_bin{zeros, zeros, zeros}, by_group = by_bin;
        double sum = 0, ks = 0;
        int next = 0;
        for (int g = 0; g < bins; ++g) {
          for (int n = 0; n < rows / bins + (g < rows % bins ? 1 : 0); ++n, ++next) {
            const double c = items.confidence[order[next]], right = items.correct[order[next]];
            const int b = bin_of(c, bins, edges);
            by_bin.count[b] += 1, by_bin.confidence[b] += c, by_bin.correct[b] += right;
            by_group.count[g] += 1, by_group.confidence[g] += c, by_group.correct[g] += right;
            sum += c - right;
            ks = std::max(ks, std::abs(sum) / rows);
            EXPECT_EQ(top.sorted()[next], c);
          }
        }
        expect_bins(top.bins(), by_bin, "bin ");
        expect_bins(top.groups(), by_group, "group ");
        EXPECT_NEAR(top.exact_ks(), ks, 1e-13);

        // No bin, group or cell of the smoothing's grid cuts a run.
        size_t row = 0;
        for (const labelsmooth::Run& run : top.runs()) {
          for (int64_t n = 0; n < run.count; ++n, ++row) {
            EXPECT_EQ(bin_of(top.sorted()[row], bins, edges), run.bin);
            EXPECT_EQ(smooth_place(top.sorted()[row]).node, run.place.node);
          }
        }
        EXPECT_EQ(row, static_cast<size_t>(rows));

        double ece = 0, equal_mass = 0, mce = 0, squares = 0;
        for (int b = 0; b < bins; ++b) {
          const double gap = std::abs(by_bin.confidence[b] - by_bin.correct[b]);
          ece += gap / rows;
          equal_mass += std::abs(by_group.confidence[b] - by_group.correct[b]) / rows;
          if (by_bin.count[b] == 0) continue;
          mce = std::max(mce, gap / by_bin.count[b]);
          squares += gap * gap / by_bin.count[b] / rows;
        }
        SmoothEce smooth;
        const TopLabelErrors errors = top.errors(top.right(), smooth);
        for (const int r : {0, kAbreast - 1}) {
          EXPECT_NEAR(errors.values[0].of[r], ece, 1e-13);
          EXPECT_NEAR(errors.values[1].of[r], equal_mass, 1e-13);
          EXPECT_NEAR(errors.values[2].of[r], mce, 1e-12);
          EXPECT_NEAR(errors.values[3].of[r], std::sqrt(squares), 1e-13);
        }
      }
    }
  }
}

// Redraw r has right rows of its own; what it comes to is what eight times the same come to.
TEST(TopLabel, EightGoSideBySideAlone) {
  const Items items = edgy(3000, 15, 9);
  const TopLabel top(items, {});
  std::mt19937 random(10);
  std::vector<Abreast> together = top.right();
  for (size_t run = 0; run < together.size(); ++run) {
    for (double& right : together[run].of)
      right = static_cast<double>(random() % static_cast<uint32_t>(top.runs()[run].count + 1));
  }
  SmoothEce smooth;
  const TopLabelErrors errors = top.errors(together, smooth);
  for (int r = 0; r < kAbreast; ++r) {
    std::vector<Abreast> alone = together;
    for (Abreast& run : alone) run.of[0] = run.of[r];
    const TopLabelErrors own = top.errors(alone, smooth);
    for (int e = 0; e < TopLabelErrors::kCount; ++e)
      EXPECT_EQ(errors.values[e].of[r], own.values[e].of[0]) << TopLabelErrors::names()[e];
    EXPECT_EQ(errors.sigma.of[r], own.sigma.of[0]);
  }
}

}  // namespace
}  // namespace labelsmooth
