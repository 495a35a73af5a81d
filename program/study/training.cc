// SPDX-License-Identifier: MIT
#include "study/training.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>   // std::all_of, std::copy_n, std::min
#include <cmath>       // std::cos, std::isfinite
#include <filesystem>  // std::filesystem::create_directories
#include <nlohmann/json.hpp>
#include <numbers>  // std::numbers::pi
#include <numeric>  // std::iota
#include <span>     // std::span

#include "errors.h"
#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "io/file.h"
#include "io/npy.h"
#include "random.h"
#include "study/judged_run.h"
#include "study/model.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

// ---- Rows of the data ----

void gather(const Images& images, int64_t features, std::span<const uint32_t> rows, std::vector<float>& x) {
  x.resize(rows.size() * static_cast<size_t>(features));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(images.values.begin() + rows[i] * features, features,
                x.begin() + static_cast<int64_t>(i) * features);
  }
}

// Logits of the rows, (rows, classes), a block at a time to bound the memory.
std::vector<float> predict(Model& model, const Images& images, int64_t features,
                           std::span<const uint32_t> rows) {
  constexpr size_t kBlock = 1000;
  std::vector<float> all, x;
  for (size_t begin = 0; begin < rows.size(); begin += kBlock) {
    const auto block = rows.subspan(begin, std::min(kBlock, rows.size() - begin));
    gather(images, features, block, x);
    const std::span<const float> logits = model.logits(x.data(), static_cast<int64_t>(block.size()));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

// ---- What is said of a run ----

// Of the training labels that the noise changed: fitted as given, or predicted as they were.
json noise_fit(const Split& split, const std::vector<int64_t>& predicted) {
  int64_t corrupted = 0, memorised = 0, recovered = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    if (split.train_labels[i] == split.train_clean_labels[i]) continue;
    ++corrupted;
    memorised += predicted[i] == split.train_labels[i];
    recovered += predicted[i] == split.train_clean_labels[i];
  }
  const auto share = [&](int64_t count) {
    return corrupted == 0 ? json() : json(static_cast<double>(count) / static_cast<double>(corrupted));
  };
  return {{"corrupted", corrupted},
          {"realised_rate", static_cast<double>(corrupted) / static_cast<double>(predicted.size())},
          {"memorised", share(memorised)},
          {"recovered", share(recovered)}};
}

// ---- Training ----

// What a model says of every row.
struct Snapshot {
  std::vector<float> test, validation;  // logits
  std::vector<int64_t> train_predicted;
};

class Run {
 public:
  Run(const Dataset& data, const RunConfig& config)
      : data_(data),
        config_(config),
        split_(split(data, config)),
        model_(sizes(), config.seed),
        early_model_(model_) {}

  // The test set is met after the training: at the last epoch, and at the one with the best stopping accuracy
  // (the earliest on ties).
  void train(const std::function<void(double)>& on_epoch) {
    double best = -1;
    for (int64_t epoch = 1; epoch <= config_.epochs; ++epoch) {
      train_epoch(epoch);
      const std::vector<float> validation = predict(model_, data_.train, data_.features, split_.validation);
      check_finite(validation);
      const Subset stop =
          subset({validation, split_.validation_labels}, data_.classes, split_.fits_temperature, 0);
      const Items items = evaluate(stop.logits, stop.labels, data_.classes);
      curve_.back()["validation_accuracy"] = accuracy(items);
      curve_.back()["validation_nll"] = nll(items);
      if (accuracy(items) > best) {
        best = accuracy(items);
        early_epoch_ = epoch;
        early_model_ = model_;
      }
      on_epoch(static_cast<double>(epoch) / static_cast<double>(config_.epochs));
    }
    last_ = snapshot(model_);
    early_ = snapshot(early_model_);
  }

  json results() const {
    const Judged last = judged(last_), early = judged(early_);
    json run = describe(config_);
    run["test"] = last.raw;
    run["calibrated"] = last.calibrated;
    run["noise_fit"] = noise_fit(split_, last_.train_predicted);
    run["early"] = early.raw;
    run["early_calibrated"] = early.calibrated;
    run["early_noise_fit"] = noise_fit(split_, early_.train_predicted);
    run["early_epoch"] = early_epoch_;
    return run;
  }

  void write(const std::string& folder, const json& results) const {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw Error(folder, error.message());
    const auto logits = [&](const char* file, const std::vector<float>& values) {
      const auto rows = static_cast<int64_t>(values.size()) / data_.classes;
      io::write_npy(folder + file, DType::f32, {rows, data_.classes}, values.data());
    };
    const auto labels = [&](const char* file, const std::vector<int64_t>& values) {
      io::write_npy(folder + file, DType::i64, {static_cast<int64_t>(values.size())}, values.data());
    };
    logits("/test_logits.npy", last_.test);
    logits("/early_logits.npy", early_.test);
    logits("/validation_logits.npy", last_.validation);
    logits("/early_validation_logits.npy", early_.validation);
    labels("/test_labels.npy", data_.test.labels);
    labels("/validation_labels.npy", split_.validation_labels);
    labels("/validation_clean_labels.npy", split_.validation_clean_labels);
    std::string lines;
    for (const json& line : curve_) lines += line.dump() + "\n";
    io::write_file(folder + "/metrics.jsonl", lines);
    write_judgement(folder, split_.fits_temperature, results);
  }

 private:
  Judged judged(const Snapshot& of) const {
    return judge({of.test, data_.test.labels}, {of.validation, split_.validation_labels},
                 split_.fits_temperature, data_.classes, config_.seed);
  }

  std::vector<int64_t> sizes() const {
    std::vector<int64_t> sizes = {data_.features};
    sizes.insert(sizes.end(), config_.hidden.begin(), config_.hidden.end());
    sizes.push_back(data_.classes);
    return sizes;
  }

  void check_finite(const std::vector<float>& logits) const {
    const auto finite = [](float logit) { return std::isfinite(logit); };
    if (!std::all_of(logits.begin(), logits.end(), finite)) {
      throw Error(name_of(config_), "the training diverged, its logits are not finite");
    }
  }

  // The label itself with probability 1 - e, else any class: what uniform smoothing is the mean of.
  int64_t sampled_label(int64_t label, int64_t epoch, uint64_t position) const {
    const Draw random = draw(config_.seed, Stream::sampled, static_cast<uint32_t>(epoch), position);
    if (random.uniform(0) >= config_.smoothing.amount) return label;
    return random.below(static_cast<uint32_t>(data_.classes), 1);
  }

  void train_epoch(int64_t epoch) {
    const auto rows = static_cast<int64_t>(split_.train.size());
    const auto order =
        permutation(static_cast<uint32_t>(rows), config_.seed, Stream::order, static_cast<uint32_t>(epoch));
    const int64_t batches = (rows + kBatch - 1) / kBatch;
    const Options loss = {.smoothing = config_.sampled ? Smoothing{} : config_.smoothing};
    double loss_sum = 0, nll_sum = 0;
    int64_t correct = 0;
    for (int64_t batch = 0; batch < batches; ++batch) {
      const int64_t begin = batch * kBatch, count = std::min(kBatch, rows - begin);
      rows_.resize(static_cast<size_t>(count));
      labels_.resize(static_cast<size_t>(count));
      for (int64_t i = 0; i < count; ++i) {
        const uint32_t position = order[begin + i];
        const int64_t label = split_.train_labels[position];
        rows_[i] = split_.train[position];
        labels_[i] = config_.sampled ? sampled_label(label, epoch, position) : label;
      }
      gather(data_.train, data_.features, rows_, x_);
      const double done =
          static_cast<double>((epoch - 1) * batches + batch) / static_cast<double>(config_.epochs * batches);
      const double rate = kRate * (1 + std::cos(std::numbers::pi * done)) / 2;
      const Result result = model_.train(x_.data(), labels_, loss, {rate, kMomentum, config_.weight_decay});
      loss_sum += result.loss * static_cast<double>(count);
      nll_sum += result.nll * static_cast<double>(count);
      correct += result.correct;
    }
    const auto n = static_cast<double>(rows);
    curve_.push_back({{"epoch", epoch},
                      {"train_loss", loss_sum / n},
                      {"train_nll", nll_sum / n},
                      {"train_accuracy", static_cast<double>(correct) / n}});
  }

  Snapshot snapshot(Model& model) const {
    std::vector<uint32_t> test_rows(static_cast<size_t>(data_.test.rows()));
    std::iota(test_rows.begin(), test_rows.end(), 0u);
    const std::vector<float> train = predict(model, data_.train, data_.features, split_.train);
    Snapshot now = {predict(model, data_.test, data_.features, test_rows),
                    predict(model, data_.train, data_.features, split_.validation),
                    evaluate(train, split_.train_labels, data_.classes).predicted};
    check_finite(now.test);
    return now;
  }

  const Dataset& data_;
  const RunConfig& config_;
  const Split split_;
  Model model_, early_model_;
  int64_t early_epoch_ = 0;
  Snapshot last_, early_;
  std::vector<json> curve_;
  std::vector<uint32_t> rows_;  // of one batch
  std::vector<int64_t> labels_;
  std::vector<float> x_;
};

}  // namespace

std::string rule_of(const RunConfig& config) {
  if (config.sampled) return "sampled";
  if (config.smoothing.amount == 0) return "none";
  constexpr const char* kNames[] = {"uniform", "others", "flip", "additive"};
  return kNames[static_cast<int>(config.smoothing.rule)];
}

std::string name_of(const RunConfig& config) {
  const std::string noise = config.noise.kind == NoiseKind::symmetric
                                ? fmt::format("noise{}", config.noise.rate)
                                : fmt::format("class-noise{}", config.noise.rate);
  return fmt::format("{}-{}-{}{}-seed{}", setting_of(config), noise, rule_of(config), config.smoothing.amount,
                     config.seed);
}

std::string setting_of(const RunConfig& config) {
  return config.weight_decay == 0 ? config.setting
                                  : fmt::format("{}-wd{}", config.setting, config.weight_decay);
}

json describe(const RunConfig& config) {
  return {{"name", name_of(config)},
          {"setting", setting_of(config)},
          {"rule", rule_of(config)},
          {"smoothing", config.smoothing.amount},
          {"noise", config.noise.rate},
          {"noise_kind", name(config.noise.kind)},
          {"train_size", config.train_size},
          {"epochs", config.epochs},
          {"weight_decay", config.weight_decay},
          {"hidden", config.hidden},
          {"seed", config.seed}};
}

double cost_of(const RunConfig& config) {
  return static_cast<double>(config.train_size) * static_cast<double>(config.epochs);
}

void check(const RunConfig& config, const Dataset& data) {
  const int64_t validation = config.train_size / 5;
  if (config.train_size > data.train.rows() - validation) {  // their sum may not fit
    throw UsageError("--train-size", fmt::format("{} found, with {} rows of validation; the data have {}",
                                                 config.train_size, validation, data.train.rows()));
  }
  if (config.noise.kind == NoiseKind::class_dependent && data.name != "fashion-mnist") {
    throw Error("noise", "class-dependent noise is defined for fashion-mnist only");
  }
  affine(config.smoothing, data.classes);
}

Split split(const Dataset& data, const RunConfig& config) {
  const auto order = permutation(static_cast<uint32_t>(data.train.rows()), config.seed, Stream::split);
  const auto validation_size = config.train_size / 5;
  Split split;
  split.train.assign(order.begin(), order.begin() + config.train_size);
  split.validation.assign(order.begin() + config.train_size,
                          order.begin() + config.train_size + validation_size);
  const auto label = [&](const std::vector<uint32_t>& rows, std::vector<int64_t>& clean,
                         std::vector<int64_t>& noisy) {
    for (const uint32_t row : rows) {
      clean.push_back(data.train.labels[row]);
      noisy.push_back(noisy_label(clean.back(), data.classes, config.noise, config.seed, row));
    }
  };
  label(split.train, split.train_clean_labels, split.train_labels);
  label(split.validation, split.validation_clean_labels, split.validation_labels);
  split.fits_temperature = temperature_half(validation_size, config.seed);
  return split;
}

json train_run(const Dataset& data, const RunConfig& config, const std::string& folder,
               const std::function<void(double)>& on_epoch) {
  Run run(data, config);
  run.train(on_epoch);
  const json results = run.results();
  if (!folder.empty()) run.write(folder, results);
  return results;
}

}  // namespace labelsmooth
