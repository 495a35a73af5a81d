// SPDX-License-Identifier: MIT
// The analysis on runs made up here, whose answers are known.
#include "study/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>   // std::min, std::sort
#include <cmath>       // std::log
#include <filesystem>  // std::filesystem::create_directories
#include <functional>  // std::function
#include <memory>      // std::shared_ptr
#include <set>         // std::multiset
#include <string>      // std::string
#include <vector>      // std::vector

#include "evaluation/inference.h"
#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "io/fixtures.h"
#include "io/npy.h"
#include "random.h"
#include "study/grid.h"

namespace labelsmooth {
namespace {

using io::TempFolder;
using nlohmann::json;
constexpr int64_t kClasses = 3, kItems = 200;

/// Logits of one row: `lead` on the label, or on the class behind it where the row is wrong.
struct Row {
  bool right;
  double lead;
};
using Rows = std::function<Row(uint64_t seed, int64_t item)>;

/// What a made-up run says; only what a test sets differs from run to run.
struct Told {
  Rows test, early, validation;
  double temperature = 1, early_temperature = 1;
};

double uniform_at(uint64_t seed, int64_t item, uint32_t epoch = 0) {
  return draw(seed, Stream::split, epoch, item).uniform();
}

// Right in 60 % of the rows, surer where it is right; no two rows alike.
Row ordinary(uint64_t seed, int64_t item) {
  const bool right = item % 10 < 6;
  return {right, (right ? 2 : 1) + .5 * uniform_at(seed, item)};
}

int64_t label_of(int64_t item) { return item % kClasses; }

// As io::write_npy does, less its wait for the disk: a study has hundreds of files.
template <class T>
void put_npy(const std::string& path, const std::vector<T>& values) {
  static const std::string header = [&] {
    const TempFolder folder;
    std::vector<int64_t> shape = {kItems};
    if (std::is_same_v<T, float>) shape.push_back(kClasses);
    io::write_npy(folder.path("a.npy"), dtype_of<T>(), shape, values.data());
    return io::get(folder.path("a.npy")).substr(0, 128);
  }();
  io::put(path,
          header + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
}

class Study {
 public:
  explicit Study(const std::string& rule = "uniform") : rule_(rule) {
    results["rule"] = rule;
    results["runs"] = json::array();
  }

  void add(const RunConfig& config, Told told) {
    if (!told.test) told.test = ordinary;
    if (!told.early) told.early = told.test;
    if (!told.validation) told.validation = told.test;
    json run = describe(config);
    run["dir"] = "runs/" + name_of(config);
    run["calibrated"] = {{"temperature", told.temperature}};
    run["early_calibrated"] = {{"temperature", told.early_temperature}};
    const std::string dir = folder_->path(run["dir"].get<std::string>());
    std::filesystem::create_directories(dir);
    logits(dir + "/test_logits.npy", told.test, config.seed);
    logits(dir + "/early_logits.npy", told.early, config.seed);
    logits(dir + "/validation_logits.npy", told.validation, config.seed);
    std::vector<int64_t> labels;
    std::vector<uint8_t> half;
    for (int64_t i = 0; i < kItems; ++i) labels.push_back(label_of(i)), half.push_back(i % 2);
    put_npy(dir + "/test_labels.npy", labels);
    put_npy(dir + "/validation_labels.npy", labels);
    put_npy(dir + "/validation_half.npy", half);
    results["runs"].push_back(run);
  }

  /// Seeds 1..seeds of one arm.
  void add_arm(const std::string& setting, double noise, double amount, int seeds, const Told& told = {},
               double decay = 0) {
    for (int seed = 1; seed <= seeds; ++seed) {
      RunConfig config;
      config.setting = setting;
      config.smoothing = uniform(amount);
      config.noise.rate = noise;
      config.weight_decay = decay;
      config.seed = seed;
      add(config, told);
    }
  }

  void analyse() { labelsmooth::analyse(results, folder_->path(""), rule_); }

  /// The one comparison that has all of these.
  json find(const json& wanted) const {
    std::vector<json> found;
    for (const json& row : results["comparisons"]) {
      bool same = true;
      for (const auto& [key, value] : wanted.items()) same &= row.at(key) == value;
      if (same) found.push_back(row);
    }
    EXPECT_EQ(found.size(), 1) << wanted;
    return found.empty() ? json() : found[0];
  }
  json primary(const std::string& metric, const std::string& setting = "over-trained") const {
    return find(
        {{"primary", true}, {"metric", metric}, {"setting", setting}, {"contrast", "smoothed - hard"}});
  }
  std::string word(const std::string& metric) const { return primary(metric)["verdict"]; }
  std::string claim(const std::string& id) const {
    for (const json& claim : results["claims"]) {
      if (claim["id"] == id) return claim["verdict"];
    }
    return "no such claim";
  }
  Items items(const json& run, const std::string& file, double temperature) const {
    const io::Array array = io::read_npy(folder_->path(run["dir"].get<std::string>() + "/" + file));
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < kItems; ++i) labels.push_back(label_of(i));
    const auto* data = static_cast<const float*>(array.data);
    return evaluate({data, static_cast<size_t>(array.size())}, labels, kClasses, temperature);
  }

  json results;

 private:
  static void logits(const std::string& path, const Rows& rows, uint64_t seed) {
    std::vector<float> values;
    for (int64_t i = 0; i < kItems; ++i) {
      const Row row = rows(seed, i);
      const int64_t top = row.right ? label_of(i) : (label_of(i) + 1) % kClasses;
      for (int64_t k = 0; k < kClasses; ++k) values.push_back(k == top ? static_cast<float>(row.lead) : 0);
    }
    put_npy(path, values);
  }

  std::shared_ptr<TempFolder> folder_ = std::make_shared<TempFolder>();  // a Study can be returned
  const std::string rule_;
};

// ---- The family

Study quick() {
  Study study;
  for (const RunConfig& run : preset_runs("quick", Rule::uniform, 1)) {
    Told told;  // every run has its own luck
    told.test = [shift = std::hash<std::string>()(name_of(run)) % 1000](uint64_t seed, int64_t item) {
      const bool right = uniform_at(seed, item, static_cast<uint32_t>(shift)) < .6;
      return Row{right, 1 + uniform_at(seed, item, static_cast<uint32_t>(shift + 1000))};
    };
    study.add(run, told);
  }
  study.analyse();
  return study;
}

TEST(Analysis, TheFamilyOfQuickIsTheTenTestsOfThePlan) {
  const Study study = quick();
  EXPECT_EQ(study.results["family"]["size"], 10);
  EXPECT_EQ(study.results["family"]["correction"], "Holm");
  std::multiset<std::string> found, expected;
  for (const json& row : study.results["comparisons"]) {
    if (!row["primary"]) continue;
    found.insert(row["setting"].get<std::string>() + " " + row["metric"].get<std::string>() + " " +
                 row["contrast"].get<std::string>() + " " + row["noise"].dump());
    EXPECT_EQ(row["epoch"], "last");
    EXPECT_EQ(row["smoothing"], .1);
    EXPECT_EQ(row["rule"], "uniform");
    EXPECT_EQ(row["noise_kind"], "symmetric");
  }
  for (const char* setting : {"over-trained", "normal"}) {
    for (const char* metric : {"accuracy", "nll", "nll_calibrated", "augrc_calibrated"}) {
      expected.insert(std::string(setting) + " " + metric + " smoothed - hard 0.0");
    }
  }
  expected.insert("over-trained accuracy difference in differences 0.1");
  expected.insert("over-trained-wd0.005 accuracy difference in differences 0.1");
  EXPECT_EQ(found, expected);
}

TEST(Analysis, HolmIsOverTheFamilyAlone) {
  const Study study = quick();
  std::vector<double> p, adjusted;
  for (const json& row : study.results["comparisons"]) {
    if (row["primary"]) {
      p.push_back(row["p"]);
      adjusted.push_back(row["p_holm"]);
    } else {
      EXPECT_EQ(row["p_holm"].dump(), "null");
    }
  }
  ASSERT_EQ(p.size(), 10);
  std::vector<size_t> order(10);
  for (size_t i = 0; i < 10; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  double least = 0;
  for (size_t i = 0; i < 10; ++i) {
    least = std::max(least, std::min(1., p[order[i]] * static_cast<double>(10 - i)));
    EXPECT_DOUBLE_EQ(adjusted[order[i]], least);
  }
  EXPECT_LT(p[order[0]], 1);
}

TEST(Analysis, ThreeSeedsAreScreening) {
  const Study study = quick();
  for (const json& row : study.results["comparisons"]) {
    EXPECT_EQ(row["verdict"], "screening");
    EXPECT_EQ(row["seeds"], 3);
  }
  for (const char* id : {"S6", "S8", "S19", "S20", "S21"}) EXPECT_EQ(study.claim(id), "screening") << id;
  EXPECT_EQ(study.claim("S21b"), "not tested");
}

TEST(Analysis, AGridOfOnesOwnHasNoFamily) {
  Study study;
  study.add_arm("custom", 0, 0, 5);
  study.add_arm("custom", 0, .1, 5);
  study.analyse();
  EXPECT_EQ(study.results["family"]["size"], 0);
  for (const json& row : study.results["comparisons"]) EXPECT_EQ(row["verdict"], "screening");
  EXPECT_EQ(study.claim("S6"), "not tested");
}

TEST(Analysis, OnlyTheRuleOfTheStudyIsPrimary) {
  Study study;
  study.add_arm("over-trained", 0, 0, 5);
  study.add_arm("over-trained", 0, .1, 5);
  study.add_arm("over-trained", 0, .2, 5);
  RunConfig config;
  config.setting = "over-trained";
  config.smoothing = flip(.1);
  study.add(config, {});
  study.analyse();
  EXPECT_EQ(study.results["family"]["size"], 4);
  EXPECT_EQ(study.find({{"rule", "flip"}, {"metric", "nll"}, {"epoch", "last"}})["primary"], false);
}

// ---- The words, five seeds

// `wrong` of 200 rows are wrong; the sure rows lead by `lead`.
Rows model(int64_t wrong, double lead) {
  return [=](uint64_t seed, int64_t item) {
    const bool right = (item * 7 + static_cast<int64_t>(seed)) % kItems >= wrong;
    return Row{right, lead + .2 * uniform_at(seed, item)};
  };
}

Study two_arms(const Told& hard, const Told& smoothed, int seeds = 5) {
  Study study;
  study.add_arm("over-trained", 0, 0, seeds, hard);
  study.add_arm("over-trained", 0, .1, seeds, smoothed);
  study.analyse();
  return study;
}

TEST(Words, HelpsAndHurts) {
  const Told weak = {model(60, 2), {}, {}}, strong = {model(6, 2), {}, {}};
  const Study up = two_arms(weak, strong), down = two_arms(strong, weak);
  for (const char* metric : {"accuracy", "nll", "nll_calibrated", "augrc_calibrated"}) {
    EXPECT_EQ(up.word(metric), "helps") << metric;
    EXPECT_EQ(down.word(metric), "hurts") << metric;
  }
  EXPECT_NEAR(up.primary("accuracy")["difference"], 54 / 200., 1e-12);
  EXPECT_NEAR(up.primary("accuracy")["reference"], 140 / 200., 1e-12);
  EXPECT_NEAR(up.primary("accuracy")["value"], 194 / 200., 1e-12);
  EXPECT_EQ(up.claim("S21"), "true");
  EXPECT_EQ(down.claim("S21"), "false");
  EXPECT_EQ(up.claim("S19"), "true");
  EXPECT_EQ(two_arms(weak, strong, 4).word("accuracy"), "screening");
}

// Over-confident against right-sized: the accuracy is the same, the NLL is not, and T repairs it.
TEST(Words, EachMetricHasItsOwn) {
  const Study study = two_arms({model(60, 8), {}, {}, 4}, {model(60, 2), {}, {}, 1});
  EXPECT_EQ(study.word("accuracy"), "negligible");
  EXPECT_EQ(study.word("nll"), "helps");
  EXPECT_EQ(study.word("nll_calibrated"), "negligible");
  EXPECT_EQ(study.claim("S21"), "false");  // more accurate: no
  EXPECT_EQ(study.claim("S19"), "conditional");
}

TEST(Words, NegligibleIsTheSameModel) {
  const Study study = two_arms({}, {});
  for (const char* metric : {"accuracy", "nll", "nll_calibrated", "augrc_calibrated"}) {
    EXPECT_EQ(study.word(metric), "negligible") << metric;
    EXPECT_EQ(study.primary(metric)["difference"], 0.);
    EXPECT_EQ(study.primary(metric)["p"], 1.);
  }
  EXPECT_EQ(study.claim("S19"), "false");
}

// Far beyond the margin on average, but seed by seed in both directions.
TEST(Words, InconclusiveIsNoise) {
  const auto lucky = [](uint64_t seed, int64_t item) {
    const int64_t wrong = seed % 2 == 0 ? 20 : 100;
    return Row{item >= wrong, 2};
  };
  const Study study = two_arms({model(60, 2), {}, {}}, {lucky, {}, {}});
  EXPECT_EQ(study.word("accuracy"), "inconclusive");
  EXPECT_EQ(study.claim("S21"), "inconclusive");
}

// A difference that is certain and below its margin: accuracy .5 point, one of 200 rows being just that;
// NLL .01; AUGRC 5 % of the hard arm's.
TEST(Words, TheMarginsAreThePlans) {
  const auto shifted = [](double by) {  // the NLL of every row moves by `by`
    return [by](uint64_t, int64_t item) {
      const double nll = .4 + .001 * static_cast<double>(item % 7) - by;
      return Row{true, -std::log(std::expm1(nll) / 2)};
    };
  };
  EXPECT_EQ(two_arms({shifted(0), {}, {}}, {shifted(.009), {}, {}}).word("nll"), "negligible");
  EXPECT_EQ(two_arms({shifted(0), {}, {}}, {shifted(.011), {}, {}}).word("nll"), "helps");
  const auto half_point = two_arms({model(60, 2), {}, {}}, {model(59, 2), {}, {}});
  EXPECT_NE(half_point.word("accuracy"), "helps");  // .005 is not beyond .005
  // AUGRC: three more wrong rows at rank 100, +.0074, are little to an arm that has .4 and not to one of .02
  const auto wrong = [](int64_t first, int64_t last, bool middle) {  // [first, last), and the three or not
    return [=](uint64_t, int64_t item) {
      const bool is_middle = item >= 100 && item < 103;
      return Row{is_middle ? !middle : item < first || item >= last, 5 - .01 * static_cast<double>(item)};
    };
  };
  const Told bad = {wrong(20, 200, false), {}, {}}, worse = {wrong(20, 200, true), {}, {}};
  const Told good = {wrong(150, 170, false), {}, {}}, less_good = {wrong(150, 170, true), {}, {}};
  const Study little = two_arms(bad, worse), much = two_arms(good, less_good);
  EXPECT_NEAR(little.primary("augrc_calibrated")["difference"], .007425, 1e-12);
  EXPECT_NEAR(much.primary("augrc_calibrated")["difference"], .007425, 1e-12);
  EXPECT_EQ(little.word("augrc_calibrated"), "negligible");
  EXPECT_NE(much.word("augrc_calibrated"), "negligible");
}

// ---- What is compared

TEST(Analysis, ComparisonsAreTheFiguresOfTheRuns) {
  Study study;
  for (const double amount : {0., .1}) {
    for (int seed = 1; seed <= 3; ++seed) {
      RunConfig config;
      config.setting = "over-trained";
      config.smoothing = uniform(amount);
      config.seed = seed;
      Told told;
      told.test = model(30 + 10 * seed, 2 + 10 * amount);
      told.early = model(20 + 10 * seed, 1 + 10 * amount);
      told.temperature = .5 + seed + amount;  // each run has its own
      told.early_temperature = 2 * seed - amount;
      study.add(config, told);
    }
  }
  study.analyse();
  struct Metric {
    const char* name;
    double (*value)(const Items&);
  };
  const Metric metrics[] = {{"nll", nll},   {"brier", brier}, {"gap", gap},
                            {"aurc", aurc}, {"augrc", augrc}, {"auroc", auroc}};
  for (const Metric& metric : metrics) {
    for (const bool early : {false, true}) {
      for (const bool calibrated : {false, true}) {
        double hard = 0, smoothed = 0;
        for (const json& run : study.results["runs"]) {
          const double fitted = run[early ? "early_calibrated" : "calibrated"]["temperature"];
          const double value = metric.value(
              study.items(run, early ? "early_logits.npy" : "test_logits.npy", calibrated ? fitted : 1));
          (run["smoothing"] == 0 ? hard : smoothed) += value / 3;
        }
        const json row = study.find({{"metric", metric.name + std::string(calibrated ? "_calibrated" : "")},
                                     {"epoch", early ? "early-stopped" : "last"}});
        EXPECT_NEAR(row["reference"], hard, 1e-13) << row;
        EXPECT_NEAR(row["value"], smoothed, 1e-13) << row;
        EXPECT_NEAR(row["difference"], smoothed - hard, 1e-13) << row;
      }
    }
  }
  // the interval is that of the crossed table of paired seeds
  std::vector<std::vector<double>> table;
  for (int seed = 0; seed < 3; ++seed) {
    const Items hard = study.items(study.results["runs"][seed], "test_logits.npy", 1);
    Items smoothed = study.items(study.results["runs"][seed + 3], "test_logits.npy", 1);
    for (int64_t i = 0; i < kItems; ++i) smoothed.nll[i] -= hard.nll[i];
    table.push_back(smoothed.nll);
  }
  const Estimate expected = crossed(table);
  const json row = study.find({{"metric", "nll"}, {"epoch", "last"}});
  EXPECT_NEAR(row["se"], expected.se, 1e-12 * expected.se);
  EXPECT_NEAR(row["low"], expected.low, 1e-12);
  EXPECT_NEAR(row["high90"], expected.high90, 1e-12);
  EXPECT_EQ(row["seeds"], 3);
}

TEST(Analysis, DifferenceInDifferences) {
  Study study;
  for (const double decay : {0., 5e-3}) {
    study.add_arm("over-trained", 0, 0, 5, {model(40, 2), {}, {}}, decay);
    study.add_arm("over-trained", 0, .1, 5, {model(30, 2), {}, {}}, decay);
    study.add_arm("over-trained", .1, 0, 5, {model(100, 2), {}, {}}, decay);
    study.add_arm("over-trained", .1, .1, 5, {model(decay == 0 ? 50 : 100, 2), {}, {}}, decay);
    study.add_arm("over-trained", .4, 0, 5, {}, decay);
    study.add_arm("over-trained", .4, .1, 5, {}, decay);
  }
  study.analyse();
  EXPECT_EQ(study.results["family"]["size"], 4 + 2);
  const json plain = study.find({{"setting", "over-trained"}, {"contrast", "difference in differences"}});
  EXPECT_NEAR(plain["difference"], (.75 - .5) - (.85 - .8), 1e-12);
  EXPECT_EQ(plain["verdict"], "helps");
  const json decayed =
      study.find({{"setting", "over-trained-wd0.005"}, {"contrast", "difference in differences"}});
  EXPECT_NEAR(decayed["difference"], 0 - .05, 1e-12);
  EXPECT_EQ(decayed["verdict"], "hurts");
  for (const char* id : {"S6", "S8", "S20"}) EXPECT_EQ(study.claim(id), "conditional") << id;
}

// ---- The tuned amount

// Amounts .05 and .1: .05 is better on the half of the validation set that decides, .1 on the other half and
// on the test set.
TEST(Tuned, IsChosenByTheDecidingHalfOfTheValidationSet) {
  Study study;
  study.add_arm("over-trained", 0, 0, 5, {model(60, 2), {}, model(60, 2)});
  const auto by_half = [](bool decides) {
    return [decides](uint64_t, int64_t item) { return Row{(item % 2 == 0) == decides, 2}; };
  };
  study.add_arm("over-trained", 0, .05, 5, {model(40, 2), {}, by_half(true)});
  study.add_arm("over-trained", 0, .1, 5, {model(10, 2), {}, by_half(false)});
  study.analyse();
  const json row = study.find({{"rule", "tuned"}, {"metric", "accuracy"}, {"epoch", "last"}});
  EXPECT_EQ(row["chosen"], (json{.05, .05, .05, .05, .05}));
  EXPECT_NEAR(row["value"], 160 / 200., 1e-12);
  EXPECT_EQ(row["primary"], false);
  EXPECT_EQ(row["verdict"], "screening");
  EXPECT_TRUE(row["smoothing"].is_null());
}

// As trained, .1 has the better validation NLL; with each run's temperature .05 has.
TEST(Tuned, IsChosenAfterTemperature) {
  Study study;
  study.add_arm("over-trained", 0, 0, 5, {model(60, 9), {}, model(100, 9)});
  study.add_arm("over-trained", 0, .05, 5, {model(50, 9), {}, model(20, 9), 4});
  study.add_arm("over-trained", 0, .1, 5, {model(10, 2), {}, model(30, 2)});
  study.analyse();
  EXPECT_EQ(study.find({{"rule", "tuned"}, {"metric", "nll"}, {"epoch", "last"}})["chosen"],
            (json{.05, .05, .05, .05, .05}));
}

TEST(Tuned, IsChosenForEachSeedAndMayBeHard) {
  Study study;
  study.add_arm("over-trained", 0, 0, 5,
                {model(60, 2), {}, [](uint64_t seed, int64_t) { return Row{seed == 2, 2}; }});
  study.add_arm("over-trained", 0, .05, 5,
                {model(40, 2), {}, [](uint64_t seed, int64_t) { return Row{seed == 4, 2}; }});
  study.add_arm("over-trained", 0, .1, 5,
                {model(10, 2), {}, [](uint64_t seed, int64_t) { return Row{seed % 2 == 1, 2}; }});
  study.analyse();
  const json row = study.find({{"rule", "tuned"}, {"metric", "accuracy"}, {"epoch", "last"}});
  EXPECT_EQ(row["chosen"], (json{.1, 0., .1, .05, .1}));
  EXPECT_NEAR(row["value"], (3 * 190 + 140 + 160) / 1000., 1e-12);
}

TEST(Tuned, TiesGoToTheSmaller) {
  Study study;
  for (const double amount : {.1, .05, 0.}) study.add_arm("over-trained", 0, amount, 2);
  study.analyse();
  EXPECT_EQ(study.find({{"rule", "tuned"}, {"metric", "nll"}, {"epoch", "last"}})["chosen"], (json{0., 0.}));
}

TEST(Tuned, NeedsSomethingToChooseFrom) {
  const Study study = two_arms({}, {});
  for (const json& row : study.results["comparisons"]) EXPECT_NE(row["rule"], "tuned");
}

// ---- Few data

TEST(Analysis, OneSeedHasValuesAndNoIntervals) {
  Study study;
  study.add_arm("custom", 0, 0, 1, {model(60, 2), {}, {}});
  study.add_arm("custom", 0, .1, 1, {model(40, 2), {}, {}});
  study.analyse();
  const json row = json::parse(study.find({{"metric", "accuracy"}, {"epoch", "last"}}).dump());
  EXPECT_NEAR(row["difference"], .1, 1e-12);
  for (const char* key : {"se", "df", "low", "high", "low90", "high90", "p", "p_holm"}) {
    EXPECT_TRUE(row[key].is_null()) << key;
  }
  EXPECT_EQ(row["verdict"], "screening");
}

TEST(Analysis, WithoutHardRunsNothingIsCompared) {
  Study study;
  study.add_arm("over-trained", 0, .1, 5);
  study.analyse();
  EXPECT_TRUE(study.results["comparisons"].empty());
  EXPECT_EQ(study.results["family"]["size"], 0);
}

// All right: there is no AUROC, and its comparison says so with nulls.
TEST(Analysis, AMetricThatDoesNotExistIsNull) {
  const auto all_right = [](uint64_t, int64_t item) {
    return Row{true, 2 + .01 * static_cast<double>(item)};
  };
  const Study study = two_arms({all_right, {}, {}}, {all_right, {}, {}});
  const json row = json::parse(study.find({{"metric", "auroc"}, {"epoch", "last"}}).dump());
  EXPECT_TRUE(row["difference"].is_null());
  EXPECT_TRUE(row["reference"].is_null());
}

}  // namespace
}  // namespace labelsmooth
