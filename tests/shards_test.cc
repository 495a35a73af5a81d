// SPDX-License-Identifier: MIT
// Classes spread over shards: the same pipeline, the same merge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>  // std::reverse, std::next_permutation
#include <cstring>    // std::memcmp
#include <vector>     // std::vector

#include "batch.h"

namespace labelsmooth {
namespace {

using ::testing::HasSubstr;

// One rank per pair of cuts; each holds its own copy of its columns.
template <class T>
struct Rank {
  int64_t begin, classes;
  std::vector<T> z, dz;
  std::vector<RowSummary> summaries;
  Logits logits(const Batch<T>& batch) const {
    return Logits(z.data(), batch.rows, classes).shard(begin, batch.classes);
  }
};

template <class T>
std::vector<Rank<T>> split(const Batch<T>& batch, const std::vector<int64_t>& cuts, const Options& options) {
  std::vector<Rank<T>> ranks;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    Rank<T> rank = {cuts[i], cuts[i + 1] - cuts[i], {}, {}, std::vector<RowSummary>(batch.rows)};
    for (int64_t row = 0; row < batch.rows; ++row) {
      const auto from = batch.z.begin() + row * batch.classes;
      rank.z.insert(rank.z.end(), from + cuts[i], from + cuts[i + 1]);
    }
    rank.dz.resize(rank.z.size());
    summarize(rank.logits(batch), batch.labels, options, rank.summaries);
    ranks.push_back(std::move(rank));
  }
  return ranks;
}

template <class T>
std::vector<Shard> shards_of(const std::vector<Rank<T>>& ranks) {
  std::vector<Shard> shards;
  for (const auto& rank : ranks) shards.push_back({rank.begin, rank.classes, rank.summaries});
  return shards;
}

template <class T>
void expect_equals_whole(const Batch<T>& batch, const std::vector<int64_t>& cuts, const Options& options) {
  auto ranks = split(batch, cuts, options);
  std::vector<Shard> shards = shards_of(ranks);
  std::vector<T> whole_dz(batch.z.size());
  const Result whole =
      cross_entropy(batch.logits(), batch.labels, {whole_dz.data(), batch.rows, batch.classes}, options);

  std::vector<RowSummary> first;
  for (auto& rank : ranks) {
    std::next_permutation(shards.begin(), shards.end(),
                          [](const Shard& x, const Shard& y) { return x.class_begin < y.class_begin; });
    std::vector<RowSummary> merged(batch.rows);
    merge_shards(shards, batch.classes, merged);
    const Result result = finish(merged, batch.classes, batch.labels, options);
    EXPECT_NEAR(result.loss, whole.loss, 1e-6 * (1 + std::abs(whole.loss)));
    EXPECT_EQ(result.correct, whole.correct);
    if (first.empty()) first = merged;
    EXPECT_EQ(std::memcmp(first.data(), merged.data(), merged.size() * sizeof(RowSummary)), 0)
        << "ranks differ in bits";

    gradient(rank.logits(batch), batch.labels, merged, options, {rank.dz.data(), batch.rows, rank.classes});
    for (int64_t row = 0; row < batch.rows; ++row) {
      for (int64_t k = 0; k < rank.classes; ++k) {
        const double of_whole = whole_dz[row * batch.classes + rank.begin + k];
        ASSERT_NEAR(rank.dz[row * rank.classes + k], of_whole, 1e-6 * (1e-2 + std::abs(of_whole)));
      }
    }
  }
}

TEST(Shards, EqualTheWholeAndOneAnother) {
  std::vector<double> weights, prior;
  for (int k = 0; k < 101; ++k) weights.push_back(.5 + k % 3), prior.push_back(k == 0 ? 0 : .01);
  for_each_isa([&] {
    Batch<float> batch(9, 101, 3);
    batch.labels[4] = -100;
    for (const auto& cuts :
         {std::vector<int64_t>{0, 50, 101}, {0, 7, 64, 101}, {0, 33, 33, 101}, {0, 0, 101}, {0, 101, 101}}) {
      for (const Smoothing& rule : {Smoothing{}, uniform(.1), others(.1), flip(.1), uniform(.1, prior)}) {
        expect_equals_whole(batch, cuts, {.smoothing = rule});
        expect_equals_whole(batch, cuts, {.smoothing = rule, .class_weights = weights});
      }
    }
  });
}

TEST(Shards, OverSeveralChunks) {
  const Batch<float> batch(2, 70000, 5);
  expect_equals_whole(batch, {0, 32768, 70000}, {.smoothing = uniform(.1)});
  expect_equals_whole(batch, {0, 1, 40000, 70000}, {.smoothing = uniform(.1)});
}

// Two shards, the second a single chunk: the same fold as the whole, so the same bits.
TEST(Shards, CutAtTheLastChunkHasTheBitsOfTheWhole) {
  const Batch<float> batch(2, 70000, 7);
  const Options options = {.smoothing = uniform(.1)};
  const auto ranks = split(batch, {0, 65536, 70000}, options);
  std::vector<RowSummary> merged(2), whole(2);
  merge_shards(shards_of(ranks), 70000, merged);
  summarize(batch.logits(), batch.labels, options, whole);
  EXPECT_EQ(std::memcmp(merged.data(), whole.data(), sizeof(RowSummary) * 2), 0);
}

TEST(Shards, SpecialRows) {
  const float inf = std::numeric_limits<float>::infinity();
  Batch<float> batch(4, 30, 9);
  batch.at(0, 29) = std::nanf("");
  for (int k = 0; k < 15; ++k) batch.at(1, k) = -inf;  // a whole shard impossible
  batch.labels[1] = 20;
  for (int k = 0; k < 30; ++k) batch.at(2, k) = -inf;
  batch.labels[3] = 3;
  batch.at(3, 3) = -inf;
  const auto ranks = split(batch, {0, 15, 30}, {});
  std::vector<RowSummary> merged(4);
  merge_shards(shards_of(ranks), 30, merged);
  std::vector<double> loss(4), whole(4);
  const Result result = finish(merged, 30, batch.labels, {}, {.loss = loss});
  cross_entropy(batch.logits(), batch.labels, {}, {.loss = whole});
  EXPECT_TRUE(std::isnan(loss[0]) && std::isnan(loss[2]));
  EXPECT_NEAR(loss[1], whole[1], 1e-6);
  EXPECT_EQ(loss[3], inf);
  EXPECT_EQ(result.first_impossible_row, 3);
  std::vector<float> dz(60, 7);
  gradient(ranks[0].logits(batch), batch.labels, merged, {}, {dz.data(), 4, 15});
  EXPECT_TRUE(std::isnan(dz[0])) << "NaN in another shard reaches this one";
  EXPECT_EQ(dz[15], 0) << "impossible classes have no gradient";
}

// A label with logit -inf in a chunk that is all -inf, before a chunk that is not.
TEST(Shards, ImpossibleLabelInAnImpossibleChunk) {
  Batch<float> batch(1, 40000, 13);
  for (int k = 0; k < 32768; ++k) batch.at(0, k) = -std::numeric_limits<float>::infinity();
  batch.labels[0] = 5;
  EXPECT_EQ(cross_entropy(batch.logits(), batch.labels).loss, std::numeric_limits<double>::infinity());
}

TEST(Shards, OverlapAndGapAreRefused) {
  const std::vector<RowSummary> rows(2);
  std::vector<RowSummary> merged(2);
  const auto error = [&](const std::vector<std::pair<int64_t, int64_t>>& ranges) {
    std::vector<Shard> shards;
    for (const auto& [begin, classes] : ranges) shards.push_back({begin, classes, rows});
    try {
      merge_shards(shards, 10, merged);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error({{0, 4}, {4, 6}}), "no error");
  EXPECT_EQ(error({{4, 6}, {0, 4}, {4, 0}}), "no error");
  EXPECT_THAT(error({{0, 5}, {4, 6}}), HasSubstr("shards: overlap between class 4 and 5"));
  EXPECT_THAT(error({{0, 4}, {0, 10}}), HasSubstr("overlap"));
  EXPECT_THAT(error({{0, 3}, {4, 6}}), HasSubstr("shards: gap between class 3 and 4"));
  EXPECT_THAT(error({{0, 4}, {4, 5}}), HasSubstr("9 classes covered, there are 10"));
  EXPECT_THAT(error({{0, 4}, {4, 7}}), HasSubstr("class 10 found, there are 10"));
  EXPECT_EQ(error({{0, -1}}), "shards: a shard of -1 classes found");
  const std::vector<RowSummary> three(3);
  const std::vector<Shard> uneven = {{0, 4, rows}, {4, 6, three}};
  EXPECT_THROW(merge_shards(uneven, 10, merged), Error);
}

TEST(Shards, PartsOfARowAreNotFinished) {
  const Batch<float> batch(2, 10, 11);
  const auto ranks = split(batch, {0, 6, 10}, {});
  try {
    finish(ranks[0].summaries, 10, batch.labels, {});
    ADD_FAILURE() << "a partial summary was finished";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "summaries: row 0 covers 6 of 10 classes");
  }
  std::vector<RowSummary> summaries(2);
  EXPECT_THROW(summarize(batch.logits().shard(5, 12), batch.labels, {}, summaries), Error);
  EXPECT_THROW(summarize(batch.logits().shard(-1, 12), batch.labels, {}, summaries), Error);
  EXPECT_THROW(summarize(batch.logits().shard(INT64_MAX, 12), batch.labels, {}, summaries), Error);
  std::vector<RowSummary> three(3);
  EXPECT_THROW(summarize(batch.logits(), batch.labels, {}, three), Error);
  std::vector<float> dz(12);
  EXPECT_THROW(gradient(batch.logits(), batch.labels, ranks[0].summaries, {}, {dz.data(), 2, 10}), Error);
  summarize(batch.logits(), batch.labels, {}, summaries);
  EXPECT_THROW(gradient(batch.logits(), batch.labels, summaries, {}, {dz.data(), 2, 6}), Error);
  const std::vector<int64_t> none;
  for (const int64_t classes : {INT64_MIN, INT64_MIN + 1, int64_t{-1}, int64_t{0}})
    EXPECT_THROW(finish({}, classes, none, {}), Error) << classes;
  EXPECT_THROW(finish(summaries, 10, batch.labels, {.smoothing = uniform(.1)}), Error) << "no prior's sums";
  std::vector<double> short_part(1);
  EXPECT_THROW(finish(summaries, 10, batch.labels, {}, {.nll = short_part}), Error);
}

}  // namespace
}  // namespace labelsmooth
