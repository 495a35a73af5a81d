// SPDX-License-Identifier: MIT
// The differences of models from the reference, by the plan of docs/analysis.md: intervals, one family,
// words.
#pragma once

#include <cstdint>  // int64_t
#include <nlohmann/json.hpp>
#include <span>    // std::span
#include <string>  // std::string
#include <vector>  // std::vector

#include "compare/arm.h"
#include "evaluation/inference.h"

namespace labelsmooth::compare {

/// With fewer rows no interval is worth its ink.
constexpr int64_t kLeastRows = 20;

/// One number compared: a metric of the model less that of the reference, each as trained or with its
/// temperature. "nll_against_calibrated" is the question: the model as trained less the reference with T.
struct Endpoint {
  const char* name;
  const char* metric;  // of metric_table.h
  bool model_t, reference_t;
  bool primary;  // in the family, and judged
};
std::span<const Endpoint> endpoints();

struct Contrast {
  std::string name;  // of the model
  const Endpoint* endpoint;
  double reference, value;  // means over the runs
  Estimate estimate;
  std::string method;   // "crossed", "crossed, unpaired", "mcnemar", "bootstrap"
  int64_t seeds, runs;  // of the arm with fewer and the one with more; 1 seed: about these models alone
  double margin;        // 0: none
  double p_holm = Estimate::kUnknown;
  std::string verdict = "screening";
};

/// Every endpoint of every arm after the first against the first. Arms of as many runs are paired by
/// position. An arm of one run leaves only the items to vary: bootstrap, with McNemar for the accuracy of two
/// single runs. What does not vary at all, and is not 0, gets no interval.
std::vector<Contrast> contrasts(std::span<const Arm> arms, uint64_t seed, int resamples);

/// Holm over the primary ones of all given, and the words: those of two single runs speak of these two
/// models; otherwise fewer than 5 seeds are screening. Returns the family's size.
int64_t judge(std::vector<Contrast>& contrasts);

nlohmann::json to_json(const Contrast& contrast);

}  // namespace labelsmooth::compare
