// SPDX-License-Identifier: MIT
#include "study/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>   // std::count, std::sort, std::set_intersection
#include <cmath>       // std::cos, std::exp
#include <filesystem>  // std::filesystem::exists
#include <map>         // std::map
#include <nlohmann/json.hpp>
#include <numbers>  // std::numbers::pi
#include <numeric>  // std::iota
#include <set>      // std::set
#include <sstream>  // std::istringstream

#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "evaluation/temperature.h"
#include "io/fixtures.h"
#include "io/npy.h"
#include "random.h"
#include "study/model.h"

namespace labelsmooth {
namespace {

using io::error_of;
using io::TempFolder;
using nlohmann::json;
using ::testing::HasSubstr;

// `classes` clouds, one per axis, `distance` deviations from the middle.
Images clouds(int64_t rows, int64_t classes, double distance, uint64_t seed) {
  Images images;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t label = draw(seed, Stream::noise, 0, row).below(static_cast<uint32_t>(classes));
    images.labels.push_back(label);
    for (int64_t k = 0; k < classes; ++k) {
      const double noise = draw(seed, Stream::weights, 0, row * classes + k).normal();
      images.values.push_back(static_cast<float>(noise + (k == label ? distance : 0)));
    }
  }
  return images;
}

Dataset dataset(int64_t rows, int64_t classes, double distance) {
  return {
      "custom", classes, classes, 0, 1, clouds(rows, classes, distance, 1), clouds(90, classes, distance, 2)};
}

RunConfig config_of(int64_t train_size, int64_t epochs) {
  RunConfig config;
  config.setting = "custom";
  config.train_size = train_size;
  config.epochs = epochs;
  config.hidden = {8};
  return config;
}

json run(const Dataset& data, const RunConfig& config, const std::string& folder = "") {
  return train_run(data, config, folder, [](double) {});
}

template <class T>
std::vector<T> values_of(const std::string& path) {
  const io::Array array = io::read_npy(path);
  EXPECT_EQ(array.dtype, dtype_of<T>());
  const T* data = static_cast<const T*>(array.data);
  return {data, data + array.size()};
}

std::vector<json> lines_of(const std::string& path) {
  std::istringstream text(io::get(path));
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

/// Rows marked `keep`.
struct Rows {
  std::vector<float> logits;
  std::vector<int64_t> labels;
};
Rows rows_of(const std::vector<float>& logits, const std::vector<int64_t>& labels,
             const std::vector<uint8_t>& mark, uint8_t keep) {
  Rows rows;
  const size_t classes = logits.size() / labels.size();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (mark[i] != keep) continue;
    rows.labels.push_back(labels[i]);
    for (size_t k = 0; k < classes; ++k) rows.logits.push_back(logits[i * classes + k]);
  }
  return rows;
}

// ---- The split

TEST(Split, DisjointAndOfTheRightSizes) {
  const Dataset data = dataset(500, 3, 2);
  const Split s = split(data, config_of(101, 1));
  EXPECT_EQ(s.train.size(), 101);
  EXPECT_EQ(s.validation.size(), 20);
  std::set<uint32_t> all(s.train.begin(), s.train.end());
  all.insert(s.validation.begin(), s.validation.end());
  EXPECT_EQ(all.size(), 121);
  EXPECT_LT(*all.rbegin(), 500);
  EXPECT_GT(*all.rbegin(), 121);  // drawn from the whole pool
  EXPECT_EQ(s.fits_temperature.size(), 20);
  EXPECT_EQ(std::count(s.fits_temperature.begin(), s.fits_temperature.end(), 1), 10);
}

TEST(Split, TheWholePoolServes) {
  const Dataset data = dataset(120, 3, 2);
  const RunConfig config = config_of(100, 1);
  check(config, data);
  const Split s = split(data, config);
  std::set<uint32_t> all(s.train.begin(), s.train.end());
  all.insert(s.validation.begin(), s.validation.end());
  EXPECT_EQ(all.size(), 120);
}

// Same seed, same images and halves at every rate and amount; only labels differ, and those are nested.
TEST(Split, DrawnBeforeTheNoise) {
  const Dataset data = dataset(500, 3, 2);
  RunConfig config = config_of(200, 1);
  const Split clean = split(data, config);
  EXPECT_EQ(clean.train_labels, clean.train_clean_labels);
  EXPECT_EQ(clean.validation_labels, clean.validation_clean_labels);
  for (size_t i = 0; i < clean.train.size(); ++i) {
    EXPECT_EQ(clean.train_clean_labels[i], data.train.labels[clean.train[i]]);
  }
  for (const double rate : {.1, .4}) {
    config.noise.rate = rate;
    config.smoothing = uniform(rate);
    const Split noisy = split(data, config);
    EXPECT_EQ(noisy.train, clean.train);
    EXPECT_EQ(noisy.validation, clean.validation);
    EXPECT_EQ(noisy.fits_temperature, clean.fits_temperature);
    EXPECT_EQ(noisy.train_clean_labels, clean.train_clean_labels);
    EXPECT_EQ(noisy.validation_clean_labels, clean.validation_clean_labels);
    for (size_t i = 0; i < noisy.train.size(); ++i) {  // of the image, wherever it stands
      EXPECT_EQ(noisy.train_labels[i],
                noisy_label(clean.train_labels[i], 3, config.noise, 1, noisy.train[i]));
    }
    EXPECT_NE(noisy.train_labels, clean.train_labels);
    EXPECT_NE(noisy.validation_labels, clean.validation_labels);
  }
  config.seed = 2;
  const Split other = split(data, config);
  EXPECT_NE(other.train, clean.train);
  EXPECT_NE(other.fits_temperature, clean.fits_temperature);
}

// ---- What a run depends on

TEST(Check, RefusesWhatTheDataCannotHold) {
  const Dataset data = dataset(120, 3, 2);
  check(config_of(100, 1), data);
  EXPECT_EQ(error_of([&] { check(config_of(101, 1), data); }),
            "--train-size: 101 found, with 20 rows of validation; the data have 120");
  // so large that the sum of both would not fit
  EXPECT_THAT(error_of([&] { check(config_of(std::numeric_limits<int64_t>::max(), 1), data); }),
              HasSubstr("--train-size: 9223372036854775807 found"));
  RunConfig config = config_of(100, 1);
  config.noise = {.1, NoiseKind::class_dependent};
  EXPECT_THAT(error_of([&] { check(config, data); }), HasSubstr("defined for fashion-mnist only"));
}

TEST(Names, SayWhatTheRunIs) {
  RunConfig config = config_of(100, 1);
  EXPECT_EQ(name_of(config), "custom-noise0-none0-seed1");
  config.smoothing = others(.05);
  config.noise.rate = .4;
  config.weight_decay = 5e-3;
  config.seed = 12;
  EXPECT_EQ(name_of(config), "custom-wd0.005-noise0.4-others0.05-seed12");
  config.sampled = true;
  config.smoothing = uniform(.1);
  config.noise.kind = NoiseKind::class_dependent;
  EXPECT_EQ(name_of(config), "custom-wd0.005-class-noise0.4-sampled0.1-seed12");
  const json shown = describe(config);
  EXPECT_EQ(shown["name"], name_of(config));
  EXPECT_EQ(shown["setting"], "custom-wd0.005");
  EXPECT_EQ(shown["rule"], "sampled");
  EXPECT_EQ(shown["noise_kind"], "class-dependent");
  EXPECT_EQ(shown["noise"], .4);
  EXPECT_EQ(shown["smoothing"], .1);
  EXPECT_EQ(shown["weight_decay"], 5e-3);
  EXPECT_EQ(shown["seed"], 12);
  config.sampled = false;
  config.smoothing = uniform(0);
  EXPECT_EQ(rule_of(config), "none");
  config.smoothing = flip(.1);
  EXPECT_EQ(rule_of(config), "flip");
  config.smoothing = additive(.1);
  EXPECT_EQ(rule_of(config), "additive");
}

// ---- Training

// The recipe, written again: batches of 128 in the epoch's order, the rate a half cosine from 0.05 over all
// batches, momentum 0.9. 300 images leave a last batch of 44.
TEST(TrainRun, FollowsTheRecipeToTheBit) {
  const Dataset data = dataset(400, 3, 1);
  RunConfig config = config_of(300, 4);
  config.smoothing = others(.2);
  config.noise.rate = .3;
  config.weight_decay = .01;
  config.hidden = {7, 5};
  const TempFolder folder;
  run(data, config, folder.path("run"));

  const Split s = split(data, config);
  Model model({3, 7, 5, 3}, 1);
  for (int epoch = 1; epoch <= 4; ++epoch) {
    const auto order = permutation(300, 1, Stream::order, epoch);
    for (int batch = 0; batch < 3; ++batch) {
      std::vector<float> x;
      std::vector<int64_t> labels;
      for (int i = batch * 128; i < std::min(300, batch * 128 + 128); ++i) {
        const auto* row = &data.train.values[3 * s.train[order[i]]];
        x.insert(x.end(), row, row + 3);
        labels.push_back(s.train_labels[order[i]]);
      }
      const double done = static_cast<double>(3 * (epoch - 1) + batch) / 12;
      const double rate = .05 * (1 + std::cos(std::numbers::pi * done)) / 2;
      model.train(x.data(), labels, {.smoothing = others(.2)}, {rate, .9, .01});
    }
  }
  const auto logits = model.logits(data.test.values.data(), 90);
  EXPECT_EQ(values_of<float>(folder.path("run/test_logits.npy")),
            std::vector<float>(logits.begin(), logits.end()));
}

TEST(TrainRun, StopsAtTheEarliestBestEpochOfItsHalf) {
  // far clouds: many epochs are as good as the best; near ones with wrong labels: the best is not the last
  for (const auto& [distance, rate] : {std::pair(6., 0.), std::pair(1., .4)}) {
    const Dataset data = dataset(400, 3, distance);
    RunConfig config = config_of(300, 12);
    config.noise.rate = rate;
    config.hidden = {32};
    const TempFolder folder;
    const json result = run(data, config, folder.path("run"));
    const std::vector<json> curve = lines_of(folder.path("run/metrics.jsonl"));
    ASSERT_EQ(curve.size(), 12);
    double best = -1;
    int64_t earliest = 0, ties = 0;
    for (const json& line : curve) {
      const double found = line["validation_accuracy"];
      ties += found == best;
      if (found > best) best = found, earliest = line["epoch"], ties = 0;
    }
    EXPECT_EQ(result["early_epoch"], earliest);
    EXPECT_LT(earliest, 12);
    if (rate == 0) {
      EXPECT_GT(ties, 0);
    }
    // the stopping half alone, against the labels that training saw
    const auto labels = values_of<int64_t>(folder.path("run/validation_labels.npy"));
    const auto half = values_of<uint8_t>(folder.path("run/validation_half.npy"));
    const auto at = [&](const char* file) {
      const Rows rows = rows_of(values_of<float>(folder.path(file)), labels, half, 0);
      return evaluate(rows.logits, rows.labels, 3);
    };
    const Items early = at("run/early_validation_logits.npy"), last = at("run/validation_logits.npy");
    EXPECT_EQ(accuracy(early), best);
    EXPECT_EQ(nll(early), curve[earliest - 1]["validation_nll"]);
    EXPECT_EQ(accuracy(last), curve.back()["validation_accuracy"]);
  }
}

TEST(TrainRun, FitsTheTemperatureOnTheOtherHalf) {
  const Dataset data = dataset(400, 3, 1);
  RunConfig config = config_of(300, 6);
  config.noise.rate = .2;
  const TempFolder folder;
  const json result = run(data, config, folder.path("run"));
  const auto labels = values_of<int64_t>(folder.path("run/validation_labels.npy"));
  const auto half = values_of<uint8_t>(folder.path("run/validation_half.npy"));
  const auto expect = [&](const std::string& prefix, const char* validation, const char* raw,
                          const char* calibrated) {
    const Rows rows = rows_of(values_of<float>(folder.path(validation)), labels, half, 1);
    const double t = fit_temperature(rows.logits, rows.labels, 3).temperature;
    EXPECT_EQ(result[calibrated]["temperature"], t);
    const auto logits = values_of<float>(folder.path("run/" + prefix + "_logits.npy"));
    const Items plain = evaluate(logits, data.test.labels, 3),
                fitted = evaluate(logits, data.test.labels, 3, t);
    EXPECT_EQ(result[raw]["nll"], nll(plain));
    EXPECT_EQ(result[raw]["ece"], ece(plain));
    EXPECT_EQ(result[raw]["auroc"], auroc(plain));
    EXPECT_EQ(result[calibrated]["nll"], nll(fitted));
    EXPECT_EQ(result[calibrated]["augrc"], augrc(fitted));
    EXPECT_EQ(result[calibrated]["accuracy"], accuracy(plain));
    EXPECT_NE(t, 1);
  };
  expect("test", "run/validation_logits.npy", "test", "calibrated");
  expect("early", "run/early_validation_logits.npy", "early", "early_calibrated");
}

// Smoothing by sampling: label y with probability 1 - e + e/K, any other with e/K, drawn anew every epoch.
TEST(TrainRun, SampledLabelsHaveTheRulesFrequencies) {
  const Dataset data = dataset(2400, 4, 8);
  RunConfig config = config_of(2000, 10);
  config.smoothing = uniform(.4);
  config.sampled = true;
  const TempFolder folder;
  run(data, config, folder.path("run"));
  // The clouds lie so far apart that the network predicts every true label: its training accuracy is the
  // share of labels that were left. Five standard deviations of 14,000 draws; .6 would be the rule `others`.
  const std::vector<json> curve = lines_of(folder.path("run/metrics.jsonl"));
  double share = 0;
  std::set<double> shares;
  for (int epoch = 4; epoch <= 10; ++epoch) {
    share += curve[epoch - 1]["train_accuracy"].get<double>() / 7;
    shares.insert(curve[epoch - 1]["train_accuracy"].get<double>());
  }
  EXPECT_NEAR(share, .7, 5 * std::sqrt(.7 * .3 / 14000));
  EXPECT_GT(shares.size(), 3);  // the same draws in every epoch would make it constant
  // What the network makes of it: its probabilities are the frequencies it saw, .1 for each other class.
  const auto logits = values_of<float>(folder.path("run/test_logits.npy"));
  std::map<std::pair<int64_t, int64_t>, std::pair<double, int>> mean;
  for (size_t row = 0; row < data.test.labels.size(); ++row) {
    double norm = 0;
    for (int k = 0; k < 4; ++k) norm += std::exp(double{logits[4 * row + k]});
    for (int k = 0; k < 4; ++k) {
      auto& [sum, count] = mean[{data.test.labels[row], k}];
      sum += std::exp(double{logits[4 * row + k]}) / norm;
      ++count;
    }
  }
  for (const auto& [classes, sum] : mean) {
    // some 5,000 draws a class, and what the fit adds
    EXPECT_NEAR(sum.first / sum.second, classes.first == classes.second ? .7 : .1, .04);
  }
}

TEST(TrainRun, SampledWithoutSmoothingIsHard) {
  const Dataset data = dataset(200, 3, 1);
  RunConfig config = config_of(100, 2);
  const json hard = run(data, config);
  config.sampled = true;
  EXPECT_EQ(run(data, config)["test"], hard["test"]);
}

TEST(TrainRun, CountsWhatTheNoiseChanged) {
  const Dataset data = dataset(400, 3, 6);
  RunConfig config = config_of(300, 60);
  json fit = run(data, config)["noise_fit"];
  EXPECT_EQ(fit["corrupted"], 0);
  EXPECT_EQ(fit["realised_rate"], 0.);
  EXPECT_TRUE(fit["memorised"].is_null());
  EXPECT_TRUE(fit["recovered"].is_null());
  config.noise.rate = .2;
  const Split s = split(data, config);
  int corrupted = 0;
  for (size_t i = 0; i < 300; ++i) corrupted += s.train_labels[i] != s.train_clean_labels[i];
  fit = run(data, config)["noise_fit"];
  EXPECT_EQ(fit["corrupted"], corrupted);
  EXPECT_DOUBLE_EQ(fit["realised_rate"], corrupted / 300.);
  EXPECT_GT(fit["recovered"], .9);  // clouds so far apart are learnt in spite of wrong labels
  EXPECT_LT(fit["memorised"], .1);
}

TEST(TrainRun, WritesItsFolderOrNothing) {
  const Dataset data = dataset(200, 3, 1);
  RunConfig config = config_of(100, 2);
  config.noise.rate = .3;
  const TempFolder folder;
  std::vector<double> shares;
  const json result =
      train_run(data, config, folder.path("a/b"), [&](double share) { shares.push_back(share); });
  EXPECT_EQ(shares, (std::vector<double>{.5, 1}));
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("a/b"))) {
    names.insert(entry.path().filename());
  }
  EXPECT_EQ(names, (std::set<std::string>{"metrics.jsonl", "test_logits.npy", "early_logits.npy",
                                          "validation_logits.npy", "early_validation_logits.npy",
                                          "test_labels.npy", "validation_labels.npy",
                                          "validation_clean_labels.npy", "validation_half.npy", "run.json"}));
  EXPECT_EQ(json::parse(io::get(folder.path("a/b/run.json"))), result);
  const Split s = split(data, config);
  EXPECT_EQ(values_of<int64_t>(folder.path("a/b/test_labels.npy")), data.test.labels);
  EXPECT_EQ(values_of<int64_t>(folder.path("a/b/validation_labels.npy")), s.validation_labels);
  EXPECT_EQ(values_of<int64_t>(folder.path("a/b/validation_clean_labels.npy")), s.validation_clean_labels);
  EXPECT_EQ(values_of<uint8_t>(folder.path("a/b/validation_half.npy")), s.fits_temperature);
  EXPECT_EQ(run(data, config), result);  // without a folder, and again
  EXPECT_EQ(folder.entries(), 1);
  config.seed = 2;
  EXPECT_NE(run(data, config)["test"], result["test"]);
}

TEST(TrainRun, SaysWhenItDiverges) {
  RunConfig config = config_of(100, 5);
  config.weight_decay = 1e8;
  EXPECT_EQ(error_of([&] { run(dataset(200, 3, 1), config); }),
            name_of(config) + ": the training diverged, its logits are not finite");
}

}  // namespace
}  // namespace labelsmooth
