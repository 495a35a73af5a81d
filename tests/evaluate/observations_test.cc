// SPDX-License-Identifier: MIT
// One pass, in blocks and parts, against the definitions in long double over all rows at once.
#include "evaluate/observations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>  // std::max_element
#include <cmath>      // std::abs, std::exp, std::isinf, std::log
#include <limits>     // std::numeric_limits
#include <random>     // std::mt19937
#include <string>     // std::string
#include <vector>     // std::vector

#include "error_of.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"

namespace labelsmooth {
namespace {

using ::testing::StartsWith;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

struct Data {
  int64_t classes;
  std::vector<double> logits;
  std::vector<int64_t> labels;

  int64_t rows() const { return static_cast<int64_t>(labels.size()); }
  Logits view() const { return Logits(logits.data(), rows(), classes); }
};

/// Sure rows, unsure ones and rows of equal logits; one in four does not count, at first several together.
Data drawn(int64_t rows, int64_t classes, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Data data{classes, {}, {}};
  for (int64_t i = 0; i < rows; ++i) {
    const double spread = i % 7 == 0 ? 0 : i % 3;
    for (int64_t k = 0; k < classes; ++k) data.logits.push_back(spread * normal(random));
    data.logits[i * classes + random() % classes] += i % 5 == 0 ? 0 : 4;
    data.labels.push_back(i < rows / 10 || random() % 4 == 0 ? -100
                                                             : static_cast<int64_t>(random() % classes));
  }
  return data;
}

Observations observed(const Data& data, const Binning& binning, int64_t block_elements = 1 << 12,
                      bool probabilities = false) {
  Progress progress("rows", 1, 1, true);
  const ProbabilityOptions options = {.probabilities = probabilities, .block_elements = block_elements};
  return observe(data.view(), data.labels, options, binning, progress);
}

/// p_k of a row, with e = exp(z - max).
std::vector<long double> softmax(const Data& data, int64_t row) {
  const double* z = &data.logits[row * data.classes];
  const long double max = *std::max_element(z, z + data.classes);
  std::vector<long double> p;
  long double sum = 0;
  for (int64_t k = 0; k < data.classes; ++k) sum += p.emplace_back(std::exp(z[k] - max));
  for (long double& one : p) one /= sum;
  return p;
}

void expect_moments(const Moments& found, long double sum, long double squares, double rows) {
  EXPECT_NEAR(found.sum, static_cast<double>(sum), 1e3 * kEpsilon * rows);
  EXPECT_NEAR(found.squares, static_cast<double>(squares), 1e4 * kEpsilon * rows);
}

void expect_definition(const Data& data, const Binning& binning) {
  const Observations seen = observed(data, binning);
  long double nll = 0, nll2 = 0, brier = 0, brier2 = 0, entropy = 0, entropy2 = 0, gap = 0, gap2 = 0;
  std::vector<long double> probability(data.classes * binning.bins);
  std::vector<double> of_labels(probability.size());
  std::vector<int64_t> labels(data.classes), predicted(data.classes), right(data.classes);
  size_t n = 0;
  for (int64_t i = 0; i < data.rows(); ++i) {
    if (data.labels[i] < 0) continue;
    const auto label = static_cast<size_t>(data.labels[i]);
    const std::vector<long double> p = softmax(data, i);
    const auto top = static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    long double row_brier = 0, row_entropy = 0;
    for (size_t k = 0; k < p.size(); ++k) {
      row_brier += (p[k] - (k == label)) * (p[k] - (k == label));
      row_entropy -= p[k] * std::log(p[k]);
      // The doubles themselves lie on edges, by ties of K equal logits: those are asked for their bin.
      probability[k * binning.bins + bin_of(static_cast<double>(p[k]), binning.bins, binning.edges)] += p[k];
    }
    of_labels[label * binning.bins + bin_of(static_cast<double>(p[label]), binning.bins, binning.edges)] += 1;
    ++labels[label], ++predicted[top], right[label] += top == label;
    nll -= std::log(p[label]), nll2 += std::log(p[label]) * std::log(p[label]);
    brier += row_brier, brier2 += row_brier * row_brier;
    entropy += row_entropy, entropy2 += row_entropy * row_entropy;
    gap += p[top] - (top == label), gap2 += (p[top] - (top == label)) * (p[top] - (top == label));
    ASSERT_LT(n, seen.items.correct.size());
    EXPECT_EQ(seen.items.correct[n], top == label);
    EXPECT_NEAR(seen.items.confidence[n], static_cast<double>(p[top]), 8 * kEpsilon);
    const double score = static_cast<double>(-std::log(1 - p[top]));
    EXPECT_TRUE(data.classes == 1 ? std::isinf(seen.items.score[n])
                                  : std::abs(seen.items.score[n] - score) <= 64 * kEpsilon * (1 + score));
    ++n;
  }
  ASSERT_EQ(seen.counted(), static_cast<int64_t>(n));
  EXPECT_EQ(seen.items.score.size(), n);
  EXPECT_EQ(seen.labels, labels);
  EXPECT_EQ(seen.predicted, predicted);
  EXPECT_EQ(seen.right, right);
  EXPECT_EQ(seen.cells.labels, of_labels);
  for (size_t cell = 0; cell < probability.size(); ++cell) {
    EXPECT_NEAR(seen.cells.probability[cell], static_cast<double>(probability[cell]),
                100 * kEpsilon * static_cast<double>(n))
        << "class " << cell / binning.bins << ", bin " << cell % binning.bins;
  }
  const auto rows = static_cast<double>(n);
  expect_moments(seen.nll, nll, nll2, rows);
  expect_moments(seen.brier, brier, brier2, rows);
  expect_moments(seen.entropy, entropy, entropy2, rows);
  expect_moments(seen.gap, gap, gap2, rows);
}

TEST(Observe, IsTheDefinition) {
  for (const std::string& name : usable_isas()) {
    set_isa(name);
    for (const int64_t classes : {1, 2, 3, 8, 17, 100}) {
      for (const int bins : {1, 2, 15, 200}) {
        for (const Edges edges : {Edges::left, Edges::right}) {
          SCOPED_TRACE(name + ", " + std::to_string(classes) + " classes, " + std::to_string(bins) + " bins");
          expect_definition(drawn(301, classes, 1), {bins, edges});
        }
      }
    }
  }
  set_isa("");
}

// Some 50 rows a part, so that rows that do not count leave gaps between parts.
TEST(Observe, IsTheDefinitionOverPartsAndBlocks) {
  set_threads(2);
  expect_definition(drawn(301, 5000, 6), {});
  set_threads(0);
}

TEST(Observe, TheSameBitsForAnyNumberOfThreads) {
  const Data data = drawn(20'000, 100, 2);
  set_threads(1);
  const Observations one = observed(data, {});
  for (const int count : {2, 3, 7}) {
    set_threads(count);
    const Observations several = observed(data, {}, int64_t{1} << (15 + count));  // blocks of other sizes too
    EXPECT_EQ(several.items.confidence, one.items.confidence);
    EXPECT_EQ(several.items.score, one.items.score);
    EXPECT_EQ(several.items.correct, one.items.correct);
    EXPECT_EQ(several.cells.probability, one.cells.probability);
    EXPECT_EQ(several.cells.labels, one.cells.labels);
    EXPECT_EQ(several.predicted, one.predicted);
    EXPECT_EQ(several.nll.sum, one.nll.sum);
    EXPECT_EQ(several.gap.squares, one.gap.squares);
  }
  set_threads(0);
}

// Whichever part meets one first.
TEST(Observe, NamesTheFirstRowThatIsRefused) {
  set_threads(3);
  for (const int64_t first : {0, 999, 2621, 2622, 12'345, 19'999}) {
    Data data = drawn(20'000, 100, 3);
    for (const int64_t row : {first, int64_t{19'999}}) {
      data.labels[row] = 0;
      data.logits[row * 100 + 7] = std::numeric_limits<double>::quiet_NaN();
    }
    EXPECT_THAT(error_of([&] { observed(data, {}, int64_t{1} << 23); }),
                StartsWith("logits: row " + std::to_string(first) + " holds NaN"));
  }
  set_threads(0);
}

TEST(Observe, NamesTheFirstImpossibleRow) {
  Data data = drawn(20'000, 100, 4);
  for (const int64_t row : {3000, 7000, 19'000}) {
    data.labels[row] = 5;
    data.logits[row * 100 + 5] = -std::numeric_limits<double>::infinity();
  }
  EXPECT_EQ(observed(data, {}).first_impossible_row, 3000);
}

TEST(Observe, ProbabilitiesAreThatOfTheirLogits) {
  const Data data = drawn(300, 10, 5);
  Data given = data;
  for (int64_t i = 0; i < data.rows(); ++i) {
    const std::vector<long double> p = softmax(data, i);
    for (int64_t k = 0; k < 10; ++k) given.logits[i * 10 + k] = static_cast<double>(p[k]);
  }
  const Observations a = observed(data, {}), b = observed(given, {}, 1 << 12, true);
  EXPECT_EQ(a.predicted, b.predicted);
  for (size_t cell = 0; cell < a.cells.probability.size(); ++cell)
    EXPECT_NEAR(a.cells.probability[cell], b.cells.probability[cell], 1e-11);
  for (size_t n = 0; n < a.items.score.size(); ++n) EXPECT_NEAR(a.items.score[n], b.items.score[n], 1e-11);
  EXPECT_NEAR(a.entropy.sum, b.entropy.sum, 1e-11);
}

}  // namespace
}  // namespace labelsmooth
