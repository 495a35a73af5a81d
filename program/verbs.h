// SPDX-License-Identifier: MIT
// The program's verbs: what main.cc parses, and the function that does the job. Each prints its result on
// stdout (one JSON object and nothing else where `json`) and throws Error or UsageError.
#pragma once

#include <cstdint>   // int64_t, uint64_t
#include <optional>  // std::optional
#include <string>    // std::string
#include <vector>    // std::vector

#include "labelsmooth/cross_entropy.h"
#include "study/training.h"

namespace labelsmooth {

struct StudyOptions {
  std::string preset = "quick", data = "fashion-mnist", rule = "uniform";
  std::string out;  // empty: study/quick, study/full or study/custom
  // Any of these replaces the preset's settings by one grid.
  std::optional<std::vector<double>> smoothings, noises;
  std::optional<int64_t> seeds, train_size, epochs;
  std::optional<double> weight_decay;
  uint64_t seed = 1;
  bool resume = false, json = false, quiet = false;
};
void study(const StudyOptions& options);

struct TrainOptions {
  std::string data = "fashion-mnist", out, rule = "uniform";
  double smoothing = 0, noise = 0, weight_decay = 0;
  int64_t train_size = 2000, epochs = 60;
  std::vector<int64_t> hidden = {256, 256};
  uint64_t seed = 1;
  bool json = false, quiet = false;
};
void train(const TrainOptions& options);

struct ReportOptions {
  std::string results, out;  // out empty: report.html beside the results
  std::string language = "en";
  bool json = false;
};
void report(const ReportOptions& options);

struct LossOptions {
  std::string logits, labels, class_weights, prior, grad, losses, rule = "uniform";
  double smoothing = 0;
  int64_t axis = -1, ignore_index = -100;
  std::string reduction = "mean", empty = "nan";
  bool json = false;
};
void loss(const LossOptions& options);

void info(bool json);

/// The rules that need no file: none, uniform, others, flip, additive. Throws UsageError on another name, and
/// on an amount outside [0, 1].
Smoothing smoothing_of(const std::string& rule, double amount);

}  // namespace labelsmooth
