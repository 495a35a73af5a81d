// SPDX-License-Identifier: MIT
#include "study/grid.h"

#include "errors.h"

namespace labelsmooth {
namespace {

constexpr double kDecay = 5e-3;

Grid over_trained(std::vector<double> smoothings, std::vector<double> noises, double decay, int64_t seeds) {
  Grid grid = {"over-trained", std::move(smoothings), std::move(noises)};
  grid.weight_decay = decay;
  grid.seeds = seeds;
  return grid;
}

Grid normal(std::vector<double> smoothings, std::vector<double> noises, int64_t seeds) {
  Grid grid = {"normal", std::move(smoothings), std::move(noises)};
  grid.train_size = 50000;
  grid.epochs = 10;
  grid.seeds = seeds;
  return grid;
}

Grid look_alikes(Grid grid) {
  grid.noise_kind = NoiseKind::class_dependent;
  return grid;
}

void append(std::vector<RunConfig>& runs, const std::vector<RunConfig>& more) {
  runs.insert(runs.end(), more.begin(), more.end());
}

}  // namespace

std::vector<RunConfig> runs_of(const Grid& grid, Rule rule, uint64_t first_seed) {
  std::vector<RunConfig> runs;
  for (const double noise : grid.noises) {
    for (const double amount : grid.smoothings) {
      for (int64_t i = 0; i < grid.seeds; ++i) {
        RunConfig run;
        run.setting = grid.setting;
        run.smoothing = {rule, amount, {}};
        run.noise = {noise, grid.noise_kind};
        run.train_size = grid.train_size;
        run.epochs = grid.epochs;
        run.weight_decay = grid.weight_decay;
        run.seed = first_seed + static_cast<uint64_t>(i);
        runs.push_back(run);
      }
    }
  }
  return runs;
}

std::vector<RunConfig> preset_runs(const std::string& preset, Rule rule, uint64_t first_seed) {
  std::vector<RunConfig> runs;
  const auto add = [&](const Grid& grid) { append(runs, runs_of(grid, rule, first_seed)); };
  if (preset == "quick") {
    const std::vector<double> smoothings = {0, .05, .1, .2};
    add(over_trained(smoothings, {0, .1, .4}, kDecay, 3));
    add(over_trained(smoothings, {0, .1}, 0, 3));
    add(normal({0, .1}, {0}, 3));
    return runs;
  }
  if (preset != "full") throw UsageError("--preset", "'" + preset + "' found, quick and full are allowed");
  const std::vector<double> smoothings = {0, .02, .05, .1, .2, .4};
  for (const double decay : {0., kDecay}) {
    add(over_trained(smoothings, {0, .05, .1, .2, .4}, decay, 10));
    add(look_alikes(over_trained(smoothings, {.1}, decay, 10)));
  }
  add(normal({0, .05, .1, .2}, {0, .1}, 10));
  // The other targets of the document, beside uniform smoothing of the same amount.
  for (const Rule other : {Rule::flip, Rule::additive}) {
    if (other != rule) append(runs, runs_of(over_trained({.1}, {0}, 0, 10), other, first_seed));
  }
  for (RunConfig run : runs_of(over_trained({.1}, {0}, 0, 10), Rule::uniform, first_seed)) {
    run.sampled = true;
    runs.push_back(run);
  }
  return runs;
}

}  // namespace labelsmooth
