// SPDX-License-Identifier: MIT
// One training run, from its configuration to its files.
#pragma once

#include <cstdint>     // int64_t, uint64_t
#include <functional>  // std::function
#include <nlohmann/json_fwd.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "labelsmooth/smoothing.h"
#include "study/data.h"
#include "study/noise.h"

namespace labelsmooth {

/// Of every run, as in the pilot that the settings were chosen after. The rate falls to 0 along a cosine.
inline constexpr int64_t kBatch = 128;
inline constexpr double kRate = .05, kMomentum = .9;

/// All that a run depends on, beside the data.
struct RunConfig {
  std::string setting;  // "over-trained", "normal" or "custom": a name for people
  Smoothing smoothing;
  bool sampled = false;  // labels resampled every step by the rule's probabilities, in place of smoothed ones
  Noise noise;
  int64_t train_size = 2000;  // validation is a fifth of it on top
  int64_t epochs = 60;
  double weight_decay = 0;
  std::vector<int64_t> hidden = {256, 256};
  uint64_t seed = 1;
};

/// "none", "uniform", "others", "flip", "additive" or "sampled".
std::string rule_of(const RunConfig& config);
/// The setting with its weight decay, as results.json groups the runs.
std::string setting_of(const RunConfig& config);
/// Unique within a study, and the name of the run's folder.
std::string name_of(const RunConfig& config);
/// The configuration as results.json shows it.
nlohmann::json describe(const RunConfig& config);
/// Relative cost, to run the longest first.
double cost_of(const RunConfig& config);
/// Throws Error when the data do not hold train_size and its validation rows, or do not fit the noise.
void check(const RunConfig& config, const Dataset& data);

/// Which image serves for what, and the labels that training and validation see. Split before the noise.
struct Split {
  std::vector<uint32_t> train, validation;                           // indices into the pool
  std::vector<int64_t> train_labels, validation_labels;              // with noise
  std::vector<int64_t> train_clean_labels, validation_clean_labels;  // without
  std::vector<uint8_t> fits_temperature;  // per validation row: 0 stops training, 1 fits the temperature
};
Split split(const Dataset& data, const RunConfig& config);

/// Trains, evaluates at the last and at the early-stopped epoch, writes the run's folder and returns what
/// results.json says of it. `on_epoch` is called after every epoch with the share done.
/// Files: metrics.jsonl, {test,early}_logits.npy, {validation,early_validation}_logits.npy, test_labels.npy,
/// validation_labels.npy, validation_clean_labels.npy, validation_half.npy and, last, run.json. No folder, no
/// files.
nlohmann::json train_run(const Dataset& data, const RunConfig& config, const std::string& folder,
                         const std::function<void(double)>& on_epoch);

}  // namespace labelsmooth
