// SPDX-License-Identifier: MIT
// Errors planted in the loss: which checks see them.
#include "verify/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>  // std::ssize
#include <limits>    // std::numeric_limits
#include <map>       // std::map
#include <numbers>   // std::numbers::ln2
#include <string>    // std::string

#include "error_of.h"
#include "labelsmooth/cross_entropy.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uint64_t kSeed = 1;

// The loss with another target: linear in it.
template <class Target>
Loss with_target(const Target& target_of) {
  return [=](std::span<const double> logits, int64_t label, const Smoothing& smoothing) {
    const std::vector<double> z(logits.begin(), logits.end());
    return weighted_hard_losses(library_loss, z, target_of(smoothing, std::ssize(logits), label));
  };
}

Loss with_smoothing(Smoothing (*change)(const Smoothing&)) {
  return [=](auto logits, int64_t label, const Smoothing& smoothing) {
    return library_loss(logits, label, change(smoothing));
  };
}

// `change` edits a row's result.
template <class Change>
Loss with_result(const Change& change) {
  return [=](std::span<const double> logits, int64_t label, const Smoothing& smoothing) {
    LossGradient row = library_loss(logits, label, smoothing);
    change(row, label, smoothing);
    return row;
  };
}

LossGradient in_single_precision(std::span<const double> logits, int64_t label, const Smoothing& smoothing) {
  const std::vector<float> z(logits.begin(), logits.end());
  std::vector<float> gradient(z.size());
  const int64_t classes = std::ssize(z);
  const double loss = cross_entropy({z.data(), 1, classes}, Vector(&label, 1), {gradient.data(), 1, classes},
                                    {.smoothing = smoothing})
                          .loss;
  return {loss, {gradient.begin(), gradient.end()}};
}

// The document's F1 to F5: probabilities where their logarithms belong.
LossGradient without_logarithm(std::span<const double> logits, int64_t label, const Smoothing& smoothing) {
  std::vector<double> p = library_loss(logits, label, kHard).gradient;
  p[label] += 1;
  const std::vector<double> q = target(smoothing, std::ssize(logits), label);
  LossGradient row{0, p};
  for (size_t k = 0; k < p.size(); ++k) row.loss -= q[k] * p[k];
  for (size_t k = 0; k < p.size(); ++k) row.gradient[k] = -p[k] * (q[k] + row.loss);
  return row;
}

std::map<std::string, Loss> planted_errors() {
  return {
      {"(1 - e) forgotten", with_target([](const Smoothing& smoothing, int64_t classes, int64_t label) {
         std::vector<double> q = target(smoothing, classes, label);
         if (smoothing.rule == Rule::uniform) q[label] += smoothing.amount;
         return q;
       })},
      {"gradient without the prior",
       with_result([](LossGradient& row, int64_t label, const Smoothing& smoothing) {
         for (size_t k = 0; k < row.gradient.size(); ++k) {
           const double q = target(smoothing, std::ssize(row.gradient), label)[k];
           if (static_cast<int64_t>(k) != label) row.gradient[k] += q;
         }
       })},
      {"uniform over K - 1", with_smoothing([](const Smoothing& smoothing) {
         return smoothing.rule == Rule::uniform ? others(smoothing.amount) : smoothing;
       })},
      {"all to class 0", with_target([](const Smoothing& smoothing, int64_t classes, int64_t label) {
         if (smoothing.rule != Rule::uniform) return target(smoothing, classes, label);
         std::vector<double> q(classes);
         q[0] = smoothing.amount;
         q[label] += 1 - smoothing.amount;
         return q;
       })},
      {"flip as additive", with_smoothing([](const Smoothing& smoothing) {
         return smoothing.rule == Rule::flip ? additive(smoothing.amount) : smoothing;
       })},
      {"others as uniform", with_smoothing([](const Smoothing& smoothing) {
         return smoothing.rule == Rule::others ? uniform(smoothing.amount) : smoothing;
       })},
      {"smoothing ignored", with_smoothing([](const Smoothing&) { return kHard; })},
      {"hard labels smoothed", with_smoothing([](const Smoothing& smoothing) {
         return smoothing.amount == 0 ? uniform(1e-3) : smoothing;
       })},
      {"targets of mass 1", with_target([](const Smoothing& smoothing, int64_t classes, int64_t label) {
         std::vector<double> q = target(smoothing, classes, label);
         for (double& value : q) value /= mass(smoothing, classes);
         return q;
       })},
      {"divergence", with_result([](LossGradient& row, int64_t label, const Smoothing& smoothing) {
         row.loss -= optimum(smoothing, std::ssize(row.gradient), label).floor;
       })},
      {"wrong classes without gradient", with_result([](LossGradient& row, int64_t label, const Smoothing&) {
         for (size_t k = 0; k < row.gradient.size(); ++k) {
           if (static_cast<int64_t>(k) != label) row.gradient[k] = 0;
         }
       })},
      {"gradient's sign", with_result([](LossGradient& row, int64_t, const Smoothing&) {
         for (double& g : row.gradient) g = -g;
       })},
      {"bits", with_result([](LossGradient& row, int64_t, const Smoothing&) {
         row.loss /= std::numbers::ln2;
         for (double& g : row.gradient) g /= std::numbers::ln2;
       })},
      {"single precision", in_single_precision},
      {"no logarithm", without_logarithm},
  };
}

// The checks under each planted error, made once.
const std::map<std::string, std::vector<Check>>& planted() {
  static const auto kAll = [] {
    std::map<std::string, std::vector<Check>> all;
    for (const auto& [name, loss] : planted_errors()) all[name] = run_checks(loss, kSeed);
    return all;
  }();
  return kAll;
}

std::vector<std::string> failed_claims(const std::string& error) {
  std::vector<std::string> claims;
  for (const Check& check : planted().at(error)) {
    if (!check.passed) claims.push_back(check.id + " " + check.claim);
  }
  return claims;
}

TEST(Checks, PassWithTheLibraryForAnySeed) {
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{77}, ~uint64_t{0}}) {
    for (const Check& check : run_checks(library_loss, seed)) {
      EXPECT_TRUE(check.passed) << check.id << " " << check.claim << " " << check.evidence << " seed "
                                << seed;
    }
  }
}

TEST(Checks, EveryPlantedErrorIsSeen) {
  for (const auto& [name, checks] : planted()) EXPECT_THAT(failed_claims(name), Not(IsEmpty())) << name;
}

TEST(Checks, EveryMeasurementSeesSomePlantedError) {
  const std::vector<Check> right = run_checks(library_loss, kSeed);
  for (size_t i = 0; i < right.size(); ++i) {
    bool seen = false;
    for (const auto& [name, checks] : planted()) seen = seen || !checks[i].passed;
    EXPECT_EQ(seen, right[i].verdict != "not tested") << right[i].id << " " << right[i].claim;
  }
}

TEST(Checks, NanFailsEveryMeasurement) {
  const Loss nan = with_result([](LossGradient& row, int64_t, const Smoothing&) {
    row.loss = std::numeric_limits<double>::quiet_NaN();
    for (double& g : row.gradient) g = row.loss;
  });
  const std::vector<Check> checks = run_checks(nan, kSeed);
  for (const Check& check : checks) EXPECT_EQ(check.passed, check.verdict == "not tested") << check.claim;
  const std::string text = to_json(checks, kSeed).dump();
  EXPECT_EQ(nlohmann::json::parse(text)["failed"], 29);
}

TEST(Checks, ForgottenFactor) {
  const auto failed = failed_claims("(1 - e) forgotten");
  EXPECT_THAT(failed,
              Contains("code the function label_smoothing is softmax cross-entropy with label smoothing"));
  EXPECT_THAT(failed, Contains(HasSubstr("S11")));
  EXPECT_THAT(failed, Not(Contains(HasSubstr("S16"))));  // hard labels are as they were
  EXPECT_THAT(failed, Not(Contains(HasSubstr("S10"))));  // so is flip
}

TEST(Checks, MissingPriorInTheGradient) {
  const auto failed = failed_claims("gradient without the prior");
  EXPECT_THAT(failed, Contains(HasSubstr("S4 ")));
  EXPECT_THAT(failed, Contains(HasSubstr("S18 smoothing drives wrong classes down in general")));
  EXPECT_THAT(failed, Contains(HasSubstr("S14 once the output has reached")));
  EXPECT_THAT(failed, Not(Contains(HasSubstr("S17"))));  // the losses are right
  EXPECT_THAT(failed, Not(Contains(HasSubstr("S1 "))));
}

TEST(Checks, SamplingTellsKFromKMinusOne) {
  EXPECT_THAT(failed_claims("uniform over K - 1"),
              Contains("S9 labels drawn at random have the smoothed label's loss and gradient on average"));
}

TEST(Checks, AnotherPriorBreaksTheConditions) {
  EXPECT_THAT(failed_claims("all to class 0"), Contains("S17 loss2 is larger than loss1 in general"));
  EXPECT_THAT(failed_claims("all to class 0"),
              Contains("S18 smoothing drives wrong classes down in general"));
}

// Weights that settle late do not grow without bound.
TEST(Checks, LittleSmoothingIsNotHard) {
  EXPECT_THAT(failed_claims("hard labels smoothed"), Contains(HasSubstr("S13 the output never reaches")));
}

TEST(Checks, SinglePrecisionIsNotEnough) {
  const auto failed = failed_claims("single precision");
  for (const char* id : {"S1 ", "S4 ", "S9 labels need not", "S10 ", "S16 ", "F8 ", "code "}) {
    EXPECT_THAT(failed, Contains(HasSubstr(id)));
  }
  EXPECT_THAT(failed, Not(Contains(HasSubstr("S7 "))));  // far below its standard error
}

TEST(Apart, RelativeAboveOneAndNanStays) {
  Apart apart;
  apart.see(1e-3, 0);
  EXPECT_DOUBLE_EQ(apart.value(), 1e-3);
  apart.see(1010, 1000);
  EXPECT_DOUBLE_EQ(apart.value(), 1e-2);
  apart.see({5, {1, 2}}, {5, {1, 2.5}});
  EXPECT_DOUBLE_EQ(apart.value(), 0.2);
  apart.see(std::numeric_limits<double>::quiet_NaN(), 0);
  apart.see(0, 0);
  EXPECT_FALSE(apart.within(1e9));
}

TEST(Result, SaysWhatFailed) {
  std::vector<Check> checks = {{"S1", "", "one", "true", "1 = 1", {}, true},
                               {"S9", "", "two", "false", "1 = 2", {}, true},
                               {"F1", "", "three", "conditional", "perhaps", {}, true}};
  EXPECT_EQ(error_of([&] { require_passed(to_json(checks, 3)); }), "no error");
  EXPECT_THAT(to_text(to_json(checks, 3)),
              HasSubstr("3 checks: 1 true, 1 conditional, 1 false, 0 not tested; 0 failed\n"));
  checks[1].passed = checks[2].passed = false;
  const nlohmann::json result = to_json(checks, 3);
  EXPECT_EQ(result["failed"], 2);
  EXPECT_EQ(result["seed"], 3);
  EXPECT_EQ(result["checks"][1]["passed"], false);
  EXPECT_EQ(error_of([&] { require_passed(result); }),
            "verify: the checks of S9, F1 failed, all have to pass");
  EXPECT_THAT(to_text(result), HasSubstr("S1    true         one\n"));
  EXPECT_THAT(to_text(result), HasSubstr("S9    FAILED       two\n                   1 = 2\n"));
  EXPECT_THAT(to_text(result), HasSubstr("not tested; 2 failed\n"));
}

}  // namespace
}  // namespace labelsmooth::verify
