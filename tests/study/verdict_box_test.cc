// SPDX-License-Identifier: MIT
#include "study/verdict_box.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>  // std::nan
#include <nlohmann/json.hpp>
#include <sstream>  // std::istringstream
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

json row(const std::string& setting, const std::string& metric, json reference, json value, json difference,
         json low, json high, const std::string& verdict) {
  return {{"setting", setting},
          {"metric", metric},
          {"reference", reference},
          {"value", value},
          {"low", low},
          {"high", high},
          {"difference", difference},
          {"verdict", verdict},
          {"noise", 0.},
          {"smoothing", .1},
          {"contrast", "smoothed - hard"},
          {"epoch", "last"},
          {"rule", "uniform"},
          {"primary", true},
          {"seeds", 10},
          {"noise_kind", "symmetric"}};
}

std::vector<json> rows(const std::string& setting) {
  return {row(setting, "accuracy", .8123, .8234, .0111, .0052, .017, "helps"),
          row(setting, "nll", 1.2345, .6, -.6345, -.7, -.569, "helps"),
          row(setting, "nll_calibrated", .55, .5525, .0025, -.001, .006, "negligible"),
          row(setting, "augrc_calibrated", .0301, .0322, .0021, -.0004, .0046, "inconclusive")};
}

json results_of(const std::vector<std::string>& settings) {
  json results = {{"rule", "uniform"},
                  {"command", "labelsmooth study --preset full"},
                  {"data", {{"test_rows", 10000}}},
                  {"family", {{"size", 10}}},
                  {"comparisons", json::array()}};
  for (const std::string& setting : settings) {
    for (const json& one : rows(setting)) results["comparisons"].push_back(one);
  }
  json immunity = row("over-trained", "accuracy", nullptr, nullptr, .0312, .021, .0414, "helps");
  immunity["contrast"] = "difference in differences";
  immunity["noise"] = .1;
  results["comparisons"].push_back(immunity);
  return results;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

const char* const kGolden =
    R"(+------------------------------------------------------------------------------+
| Did label smoothing (uniform) help?                                          |
| labelsmooth study --preset full                                              |
|                                                                              |
|                over-trained: smoothing 0.1, noise 0, 10 seeds                |
|                  hard smooth  delta   95 % interval   verdict                |
| accuracy        .8123  .8234 +.0111  [+.0052,+.0170]  helps                  |
| NLL            1.2345  .6000 -.6345  [-.7000,-.5690]  helps                  |
| NLL, with T     .5500  .5525 +.0025  [-.0010,+.0060]  negligible             |
| AUGRC, with T   .0301  .0322 +.0021  [-.0004,+.0046]  inconclusive           |
|                                                                              |
| immunity: accuracy gained at 10 % wrong labels, less that gained at none     |
|   over-trained           +.0312  [+.0210,+.0414]  helps                      |
|                                                                              |
| 10000 clean test images; wrong labels are in training and validation alike,  |
| never in the test.                                                           |
| T was fitted on half of the validation set; the other half stopped the       |
| training early.                                                              |
| 10 tests in the primary family, Holm; its settings were chosen after a       |
| pilot.                                                                       |
| Verdicts need 5 seeds or more and the primary family; all else is screening. |
| Lower NLL and AUGRC are better.                                              |
+------------------------------------------------------------------------------+
)";

TEST(VerdictBox, Golden) { EXPECT_EQ(verdict_box(results_of({"over-trained"}), 80), kGolden); }

TEST(VerdictBox, SideBySideWhereThereIsRoom) {
  const std::string wide = verdict_box(results_of({"normal", "over-trained"}), 132);
  EXPECT_THAT(wide,
              HasSubstr("over-trained: smoothing 0.1, noise 0, 10 seeds       | normal: smoothing 0.1"));
  EXPECT_THAT(wide,
              HasSubstr("| accuracy        .8123  .8234 +.0111  [+.0052,+.0170]  helps         |  .8123"));
}

TEST(VerdictBox, NeverWiderThanAsked) {
  const json results = results_of({"normal", "over-trained"});
  for (const int width : {80, 100, 125, 126, 127, 132, 200}) {
    const std::vector<std::string> lines = lines_of(verdict_box(results, width));
    for (const std::string& line : lines) {
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
      EXPECT_EQ(line.size(), lines[0].size()) << line;  // the frame is closed
    }
  }
}

TEST(VerdictBox, ALongCommandIsBroken) {
  json results = results_of({"over-trained"});
  std::string command = "labelsmooth study --smoothings 0,0.05,0.1,0.2 --noises 0,0.1,0.4 --seeds 12";
  results["command"] = command + " --train-size 2000 --epochs 60 --data my-images --seed 12345";
  const std::string box = verdict_box(results, 80);
  for (const std::string& line : lines_of(box)) EXPECT_EQ(line.size(), lines_of(box)[0].size());
  EXPECT_LE(lines_of(box)[0].size(), 80);
  EXPECT_THAT(box, AllOf(HasSubstr("--noises 0,0.1,0.4"), HasSubstr("--seed 12345")));
}

// One seed: no interval. In memory the unknown is NaN, in the file null; both read alike.
TEST(VerdictBox, WithoutIntervals) {
  for (const json& unknown : {json(), json(std::nan(""))}) {
    json results = results_of({"custom"});
    results["family"]["size"] = 0;
    for (json& one : results["comparisons"]) {
      one.update(
          {{"low", unknown}, {"high", unknown}, {"verdict", "screening"}, {"primary", false}, {"seeds", 1}});
    }
    results["comparisons"][3].update({{"reference", unknown}, {"value", unknown}, {"difference", unknown}});
    const std::string box = verdict_box(results, 80);
    EXPECT_THAT(box, HasSubstr("| NLL            1.2345  .6000 -.6345    no interval    screening  "));
    EXPECT_THAT(box, HasSubstr("| AUGRC, with T     n/a    n/a    n/a    no interval    screening  "));
    EXPECT_THAT(box, Not(HasSubstr("nan")));
    EXPECT_THAT(box, HasSubstr("no primary family, so no verdict beyond screening."));
  }
}

TEST(VerdictBox, NumbersOfAnySize) {
  json results = results_of({"over-trained"});
  results["comparisons"][1].update(
      {{"reference", 20.5}, {"value", 10.}, {"difference", -10.5}, {"low", -0.}});
  const std::string box = verdict_box(results, 80);
  EXPECT_THAT(
      box, AllOf(HasSubstr("20.5000"), HasSubstr("10.0000"), HasSubstr("-10.5000"), HasSubstr("[-.0000,")));
}

// The table shows the least noise and the amount .1, and neither other rules, nor early stopping, nor the
// tuned amount; without .1 the largest amount.
TEST(VerdictBox, ShowsThePrimaryComparisons) {
  json results = results_of({"over-trained"});
  const auto add = [&](const json& change) {
    json other = row("over-trained", "accuracy", .1111, .1111, .1111, .1111, .1111, "screening");
    other["primary"] = false;
    other.update(change);
    results["comparisons"].insert(results["comparisons"].begin(), other);
  };
  add({{"epoch", "early-stopped"}});
  add({{"rule", "flip"}});
  add({{"rule", "tuned"}, {"smoothing", nullptr}});
  add({{"smoothing", .2}});
  add({{"noise", .4}});
  add({{"noise_kind", "class-dependent"}});
  add({{"setting", "over-trained-wd0.005"}});
  EXPECT_EQ(verdict_box(results, 80), verdict_box(results_of({"over-trained"}), 80));

  json custom = results_of({"custom"});
  for (json& one : custom["comparisons"]) one.update({{"primary", false}, {"smoothing", .2}, {"noise", .3}});
  EXPECT_THAT(verdict_box(custom, 80), HasSubstr("custom: smoothing 0.2, noise 0.3, 10 seeds"));
}

TEST(VerdictBox, NothingToCompare) {
  json results = results_of({});
  results["comparisons"] = json::array();
  results["family"]["size"] = 0;
  EXPECT_THAT(verdict_box(results, 80), HasSubstr("nothing to compare"));
}

TEST(VerdictBox, OfTheUsersOwnTraining) {
  json results = results_of({"my CNN"});
  results["comparisons"].erase(4);  // the immunity
  results["training"] = {{"name", "my CNN"}, {"primary", .3}};
  results["family"]["size"] = 4;
  for (json& one : results["comparisons"]) one["smoothing"] = .3;
  const json larger = row("my CNN", "accuracy", .1, .2, .1, 0, .2, "screening");
  results["comparisons"].push_back(larger);
  results["comparisons"].back()["smoothing"] = .4;
  const std::string box = verdict_box(results, 80);
  EXPECT_THAT(box, AllOf(HasSubstr("my CNN: smoothing 0.3, 10 seeds"), HasSubstr("4 tests in the primary"),
                         HasSubstr("at smoothing 0.3"), HasSubstr("Your own training: 10000 test rows")));
  EXPECT_THAT(box,
              Not(AnyOf(HasSubstr("images"), HasSubstr("noise"), HasSubstr("pilot"), HasSubstr("grid"))));
  for (json& one : results["comparisons"]) one["noise"] = .2;  // as the user said
  EXPECT_THAT(verdict_box(results, 80), HasSubstr("my CNN: smoothing 0.3, noise 0.2, 10 seeds"));
}

}  // namespace
}  // namespace labelsmooth
