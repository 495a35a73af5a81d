// SPDX-License-Identifier: MIT
// The presets are those of docs/analysis.md, run for run.
#include "study/grid.h"

#include <gtest/gtest.h>

#include <map>     // std::map
#include <set>     // std::set
#include <string>  // std::string
#include <tuple>   // std::tuple

#include "errors.h"

namespace labelsmooth {
namespace {

// setting, noise kind, noise, rule, amount -> how many seeds
using Plan = std::map<std::tuple<std::string, std::string, double, std::string, double>, int>;
const char* const kSymmetric = "symmetric";

Plan plan_of(const std::vector<RunConfig>& runs) {
  Plan plan;
  for (const RunConfig& run : runs) {
    ++plan[{setting_of(run), name(run.noise.kind), run.noise.rate, rule_of(run), run.smoothing.amount}];
  }
  return plan;
}

const char* rule_at(double amount) { return amount == 0 ? "none" : "uniform"; }

TEST(Grid, QuickIsThePlan) {
  const auto runs = preset_runs("quick", Rule::uniform, 1);
  EXPECT_EQ(runs.size(), 66);
  Plan plan;
  for (const double amount : {0., .05, .1, .2}) {
    for (const double noise : {0., .1, .4}) {
      plan[{"over-trained-wd0.005", kSymmetric, noise, rule_at(amount), amount}] = 3;
    }
    for (const double noise : {0., .1})
      plan[{"over-trained", kSymmetric, noise, rule_at(amount), amount}] = 3;
  }
  for (const double amount : {0., .1}) plan[{"normal", kSymmetric, 0, rule_at(amount), amount}] = 3;
  EXPECT_EQ(plan_of(runs), plan);
}

TEST(Grid, FullIsThePlan) {
  const auto runs = preset_runs("full", Rule::uniform, 1);
  EXPECT_EQ(runs.size(), 830);
  Plan plan;
  for (const char* setting : {"over-trained", "over-trained-wd0.005"}) {
    for (const double amount : {0., .02, .05, .1, .2, .4}) {
      for (const double noise : {0., .05, .1, .2, .4}) {
        plan[{setting, kSymmetric, noise, rule_at(amount), amount}] = 10;
      }
      plan[{setting, "class-dependent", .1, rule_at(amount), amount}] = 10;
    }
  }
  for (const double amount : {0., .05, .1, .2}) {
    for (const double noise : {0., .1}) plan[{"normal", kSymmetric, noise, rule_at(amount), amount}] = 10;
  }
  for (const char* rule : {"flip", "additive", "sampled"})
    plan[{"over-trained", kSymmetric, 0, rule, .1}] = 10;
  EXPECT_EQ(plan_of(runs), plan);
}

TEST(Grid, TheSettingsAreThePlans) {
  for (const char* preset : {"quick", "full"}) {
    for (const RunConfig& run : preset_runs(preset, Rule::uniform, 1)) {
      const bool normal = run.setting == "normal";
      EXPECT_EQ(run.train_size, normal ? 50000 : 2000);
      EXPECT_EQ(run.epochs, normal ? 10 : 60);
      EXPECT_TRUE(run.weight_decay == 0 || (!normal && run.weight_decay == 5e-3));
      EXPECT_EQ(run.hidden, (std::vector<int64_t>{256, 256}));
    }
  }
}

// Of every combination the same seeds, one after the other.
TEST(Grid, SeedsAreConsecutive) {
  for (const auto& [preset, count] : {std::pair("quick", 3), std::pair("full", 10)}) {
    std::map<std::string, std::set<uint64_t>> seeds;
    for (const RunConfig& run : preset_runs(preset, Rule::uniform, 7)) {
      const std::string name = name_of(run);
      seeds[name.substr(0, name.rfind('-'))].insert(run.seed);
    }
    std::set<uint64_t> expected;
    for (int i = 0; i < count; ++i) expected.insert(7 + i);
    for (const auto& [combination, found] : seeds) EXPECT_EQ(found, expected) << combination;
  }
}

TEST(Grid, NoNameTwice) {
  for (const Rule rule : {Rule::uniform, Rule::others, Rule::flip, Rule::additive}) {
    for (const char* preset : {"quick", "full"}) {
      std::set<std::string> names;
      for (const RunConfig& run : preset_runs(preset, rule, 1)) {
        EXPECT_TRUE(names.insert(name_of(run)).second) << name_of(run);
      }
    }
  }
}

TEST(Grid, AnotherRuleIsThatOfTheSmoothedArms) {
  const Plan plan = plan_of(preset_runs("quick", Rule::flip, 1));
  EXPECT_EQ(plan.at({"normal", kSymmetric, 0, "flip", .1}), 3);
  EXPECT_EQ(plan.at({"normal", kSymmetric, 0, "none", 0}), 3);
  EXPECT_FALSE(plan.contains({"normal", kSymmetric, 0, "uniform", .1}));
}

TEST(Grid, CustomIsEveryCombination) {
  Grid grid = {"custom", {0, .3}, {0, .2, .5}};
  grid.seeds = 2;
  grid.train_size = 100;
  grid.epochs = 4;
  grid.weight_decay = .01;
  grid.noise_kind = NoiseKind::class_dependent;
  const auto runs = runs_of(grid, Rule::others, 5);
  EXPECT_EQ(runs.size(), 12);
  EXPECT_EQ(plan_of(runs).at({"custom-wd0.01", "class-dependent", .5, "others", .3}), 2);
  for (const RunConfig& run : runs) {
    EXPECT_EQ(run.train_size, 100);
    EXPECT_EQ(run.epochs, 4);
    EXPECT_TRUE(run.seed == 5 || run.seed == 6);
  }
  EXPECT_EQ(name_of(runs.back()), "custom-wd0.01-class-noise0.5-others0.3-seed6");
}

TEST(Grid, RefusesAnotherName) {
  try {
    preset_runs("fast", Rule::uniform, 1);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "--preset: 'fast' found, quick and full are allowed");
  }
}

}  // namespace
}  // namespace labelsmooth
