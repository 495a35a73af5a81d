// SPDX-License-Identifier: MIT
// compare's statistics on data whose truth is known: whole comparisons, from logits to words, made thousands
// of times. And the same with a mistake planted, which these tests have to see.
#include <gtest/gtest.h>

#include <algorithm>   // std::shuffle
#include <cmath>       // std::exp, std::sqrt
#include <functional>  // std::function
#include <iostream>    // std::cout
#include <map>         // std::map
#include <random>      // std::mt19937_64
#include <set>         // std::set
#include <string>      // std::string

#include "compare/contrasts.h"
#include "evaluation/crossfit.h"

namespace labelsmooth::compare {
namespace {

constexpr int64_t kClasses = 3;

/// How a method makes logits: scale * (u + the seed's shift + noise), u the item's own logits.
struct Method {
  double scale, noise = 0.7, seed_sd = 0.15;
};

class World {
 public:
  World(int64_t items, uint64_t seed) : items_(items), random_(seed) {}

  /// New items for all the arms to come.
  void draw_items() {
    std::uniform_real_distribution<double> uniform;
    own_.resize(items_ * kClasses);
    labels_.resize(items_);
    for (int64_t i = 0; i < items_; ++i) {
      double total = 0, weight[kClasses];
      for (int64_t k = 0; k < kClasses; ++k) {
        own_[i * kClasses + k] = 1.5 * normal();
        total += weight[k] = std::exp(own_[i * kClasses + k]);
      }
      double rest = uniform(random_) * total;
      labels_[i] = 0;
      while (labels_[i] + 1 < kClasses && rest > weight[labels_[i]]) rest -= weight[labels_[i]++];
    }
    folds_ = random_folds(items_, random_());
  }

  Arm arm(const std::string& name, const Method& method, int runs) {
    Arm arm = {name, {}};
    for (int r = 0; r < runs; ++r) {
      double shift[kClasses];
      for (double& one : shift) one = method.seed_sd * normal();
      arm.runs.push_back(run(method, shift));
    }
    return arm;
  }
  /// One given model: the seed's shift is part of it.
  Run run(const Method& method, const double* shift) {
    std::vector<float> z(own_.size());
    for (size_t j = 0; j < z.size(); ++j) {
      z[j] = static_cast<float>(method.scale * (own_[j] + shift[j % kClasses] + method.noise * normal()));
    }
    const LogitBlocks blocks = {kClasses, [&](int64_t begin, int64_t end, std::vector<double>&) {
                                  return Logits(z.data() + begin * kClasses, end - begin, kClasses);
                                }};
    Run run;
    run.trained = evaluate(blocks, labels_, {}, {1});
    run.temperatures = cross_fit(blocks, labels_, folds_).temperatures;
    run.calibrated = evaluate(blocks, labels_, folds_, run.temperatures);
    return run;
  }

  std::mt19937_64& random() { return random_; }
  double normal() { return normal_(random_); }

 private:
  int64_t items_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::vector<double> own_;
  std::vector<int64_t> labels_;
  std::vector<uint8_t> folds_;
};

/// How often intervals cover the truth, and how the variance they claim compares with the actual one.
struct Tally {
  int tables = 0, covered = 0;
  double claimed = 0, sum = 0, squares = 0;

  void add(const Estimate& e, double truth) {
    ++tables;
    covered += e.low <= truth && truth <= e.high;
    claimed += e.se * e.se;
    sum += e.value - truth;
    squares += (e.value - truth) * (e.value - truth);
  }
  double coverage() const { return covered / static_cast<double>(tables); }
  double ratio() const { return claimed / (squares - sum * sum / tables); }
  double error() const { return 4 * std::sqrt(.05 * .95 / tables); }  // four standard errors of the coverage
  bool honest() const { return std::abs(coverage() - .95) <= error() && ratio() > .8 && ratio() < 1.25; }
};
std::ostream& operator<<(std::ostream& out, const Tally& tally) {
  return out << "coverage " << tally.coverage() << ", claimed / actual variance " << tally.ratio()
             << ", bias " << tally.sum / tally.tables;
}

using Analysis = std::function<std::vector<Contrast>(World&, std::vector<Arm>)>;
std::vector<Contrast> as_planned(World&, const std::vector<Arm>& arms) { return contrasts(arms, 0, 399); }

struct Trial {
  int tables;
  int64_t items;
  int hard_runs, smooth_runs;
  double seed_sd = .15;
  uint64_t seed = 1;
};

/// Two methods that differ in scale alone, so that one temperature does all: with T on both every endpoint
/// has the truth 0, and accuracy too.
std::map<std::string, Tally> simulate(const Trial& trial, const Analysis& analysis = as_planned) {
  const std::set<std::string> truth_is_zero = {"accuracy", "nll_calibrated", "brier_calibrated",
                                               "augrc_calibrated", "gap_calibrated"};
  World world(trial.items, trial.seed);
  const Method hard = {.scale = 2.5, .seed_sd = trial.seed_sd},
               smooth = {.scale = .8, .seed_sd = trial.seed_sd};
  std::map<std::string, Tally> tallies;
  for (int t = 0; t < trial.tables; ++t) {
    world.draw_items();
    const std::vector<Arm> arms = {world.arm("hard", hard, trial.hard_runs),
                                   world.arm("smooth", smooth, trial.smooth_runs)};
    for (const Contrast& one : analysis(world, arms)) {
      if (truth_is_zero.contains(one.endpoint->name)) tallies[one.endpoint->name].add(one.estimate, 0);
    }
  }
  return tallies;
}

void expect_honest(const std::map<std::string, Tally>& tallies) {
  ASSERT_EQ(tallies.size(), 5u);
  for (const auto& [endpoint, tally] : tallies) {
    std::cout << "  " << endpoint << ": " << tally << "\n";
    if (endpoint == "gap_calibrated") {
      // Too wide: the temperature follows the very rows whose gap it closes, which the interval does not
      // know.
      EXPECT_GT(tally.coverage(), .95 - tally.error()) << tally;
      EXPECT_GT(tally.ratio(), .8) << tally;
      continue;
    }
    EXPECT_TRUE(tally.honest()) << endpoint << ": " << tally;
  }
}

TEST(Simulation, FiveSeedsCover) { expect_honest(simulate({500, 150, 5, 5})); }
TEST(Simulation, TenSeedsCover) { expect_honest(simulate({300, 150, 10, 10})); }
TEST(Simulation, UnequalSeedsCover) { expect_honest(simulate({400, 150, 5, 8})); }
// Two given models: their shifts are part of them, and the rows alone are drawn.
TEST(Simulation, SingleRunsCover) { expect_honest(simulate({1500, 150, 1, 1, 0})); }
TEST(Simulation, OneRunAgainstSeveralCovers) { expect_honest(simulate({600, 150, 1, 4, 0})); }

// ---- Mistakes that the simulation has to see ----

TEST(Planted, RowsThatAreNotPaired) {
  const auto unpaired = [](World& world, std::vector<Arm> arms) {
    std::vector<int64_t> rows(arms[1].rows());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    std::shuffle(rows.begin(), rows.end(), world.random());
    arms[1] = slice(arms[1], rows);
    return contrasts(arms, 0, 399);
  };
  for (const int runs : {1, 5}) {
    const std::map<std::string, Tally> tallies = simulate({200, 150, runs, runs}, unpaired);
    for (const char* endpoint : {"accuracy", "nll_calibrated", "augrc_calibrated"}) {
      EXPECT_FALSE(tallies.at(endpoint).honest()) << runs << " " << endpoint << ": " << tallies.at(endpoint);
      EXPECT_GT(tallies.at(endpoint).ratio(), 1.5);
    }
  }
}

/// The runs' mean for each row, as if it were one run.
Arm without_seeds(const Arm& arm) {
  Arm mean = slice(arm, {});
  mean.runs.resize(1);
  for (const auto items : {&Run::trained, &Run::calibrated}) {
    mean.runs[0].*items = arm.runs[0].*items;
    for (const auto column : {&Items::correct, &Items::nll, &Items::brier, &Items::confidence}) {
      std::vector<double>& sum = mean.runs[0].*items.*column;
      for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] = 0;
        for (const Run& run : arm.runs)
          sum[i] += (run.*items.*column)[i] / static_cast<double>(arm.runs.size());
      }
    }
  }
  return mean;
}

TEST(Planted, SeedsThatAreAveragedAway) {
  const auto dropped = [](World&, const std::vector<Arm>& arms) {
    return contrasts(std::vector<Arm>{without_seeds(arms[0]), without_seeds(arms[1])}, 0, 399);
  };
  const Trial trial = {150, 250, 5, 5, .5};
  const std::map<std::string, Tally> wrong = simulate(trial, dropped), right = simulate(trial);
  for (const char* endpoint : {"nll_calibrated", "brier_calibrated"}) {
    EXPECT_FALSE(wrong.at(endpoint).honest()) << endpoint << ": " << wrong.at(endpoint);
    EXPECT_LT(wrong.at(endpoint).coverage(), .88) << endpoint;
    EXPECT_TRUE(right.at(endpoint).honest()) << endpoint << ": " << right.at(endpoint);
  }
}

// ---- Words ----

struct Words {
  int tables = 0, false_words = 0, uncorrected = 0;
  double share() const { return false_words / static_cast<double>(tables); }
};

/// Arms of one method: no difference anywhere. nll_against_calibrated has a truth of its own and only counts
/// in the family.
Words no_effect(int tables, int runs, int models, uint64_t seed) {
  World world(120, seed);
  Words words;
  for (int t = 0; t < tables; ++t) {
    world.draw_items();
    std::vector<Arm> arms;
    for (int m = 0; m <= models; ++m) {
      arms.push_back(world.arm(std::to_string(m), {.scale = 1, .seed_sd = runs == 1 ? 0 : .3}, runs));
    }
    std::vector<Contrast> all = contrasts(arms, 0, 399);
    EXPECT_EQ(judge(all), 5 * models);
    bool word = false, raw = false;
    for (const Contrast& one : all) {
      if (one.endpoint->name == std::string("nll_against_calibrated")) continue;
      word |= one.verdict == "helps" || one.verdict == "hurts";
      raw |= one.endpoint->primary && one.estimate.p < .05;
    }
    ++words.tables, words.false_words += word, words.uncorrected += raw;
  }
  std::cout << "  " << runs << " runs, " << models << " models: a false word in " << words.share()
            << " of families, without Holm in " << words.uncorrected / static_cast<double>(tables) << "\n";
  return words;
}

/// One family in twenty, and three standard errors.
double most(int tables) { return .05 + 3 * std::sqrt(.05 * .95 / tables); }

TEST(FalseWords, OfTwoModels) { EXPECT_LE(no_effect(600, 1, 1, 21).share(), most(600)); }
TEST(FalseWords, OfFiveSeeds) { EXPECT_LE(no_effect(250, 5, 1, 22).share(), most(250)); }
TEST(FalseWords, OfSeveralModels) {
  const Words words = no_effect(400, 1, 3, 23);
  EXPECT_LE(words.share(), most(400));
  // without the correction it is another matter: the test would see that it is gone
  EXPECT_GT(words.uncorrected / 400., most(400));
}
TEST(FalseWords, OfFewSeedsThereAreNone) { EXPECT_EQ(no_effect(200, 3, 1, 24).false_words, 0); }

TEST(Words, TellATemperatureFromAMethod) {
  World world(2000, 31);
  int as_trained = 0, calibrated = 0, better = 0;
  for (int t = 0; t < 12; ++t) {
    world.draw_items();
    const std::vector<Arm> arms = {world.arm("hard", {2.5}, 5), world.arm("cooler", {.8}, 5),
                                   world.arm("better", {.8, .3}, 5)};
    std::vector<Contrast> all = contrasts(arms, 0, 399);
    judge(all);
    for (const Contrast& one : all) {
      const std::string endpoint = one.endpoint->name;
      const bool helps = one.verdict == "helps", cooler = one.name == "cooler";
      as_trained += cooler && endpoint == "nll" && helps;
      calibrated += cooler && endpoint == "nll_calibrated" && helps;
      better += !cooler && (endpoint == "nll_calibrated" || endpoint == "accuracy") && helps;
    }
  }
  EXPECT_EQ(as_trained, 12);  // one temperature would have done it
  EXPECT_LE(calibrated, 2);
  EXPECT_GE(better, 22);  // and no temperature would
}

}  // namespace
}  // namespace labelsmooth::compare
