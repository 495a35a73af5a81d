// SPDX-License-Identifier: MIT
// train: one run of the study, by hand.
#include <fmt/format.h>  // fmt::print

#include <memory>  // std::make_shared
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "errors.h"
#include "progress.h"
#include "smoothing_of.h"
#include "study/data.h"
#include "study/model.h"
#include "study/training.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

struct TrainOptions {
  std::string data = "fashion-mnist", out, rule = "uniform";
  double smoothing = 0, noise = 0, weight_decay = 0;
  int64_t train_size = 2000, epochs = 60;
  std::vector<int64_t> hidden = {256, 256};
  uint64_t seed = 1;
  bool json = false, quiet = false;
};

void train(const TrainOptions& options) {
  RunConfig config;
  config.setting = "custom";
  config.smoothing = smoothing_of(options.rule, options.smoothing);
  config.noise.rate = options.noise;
  config.train_size = options.train_size;
  config.epochs = options.epochs;
  config.weight_decay = options.weight_decay;
  config.hidden = options.hidden;
  config.seed = options.seed;
  const Dataset data = load_dataset(options.data);
  check(config, data);
  use_one_blas_thread(1);

  nlohmann::json run;
  {
    Progress progress("run", 1, 1, options.quiet);
    double before = 0;
    run = train_run(data, config, options.out, [&](double done) {
      progress.add(done - before);
      before = done;
    });
  }
  if (options.json) {
    fmt::print("{}\n", run.dump());
    return;
  }
  fmt::print("{:<18}{:>10}{:>14}{:>14}{:>14}\n", "", "last", "last with T", "early", "early with T");
  for (const char* metric :
       {"accuracy", "nll", "brier", "ece", "ece_null_p95", "gap", "aurc", "augrc", "auroc"}) {
    const auto value = [&](const char* part) {
      return run[part][metric].is_number() ? run[part][metric].get<double>() : NAN;
    };
    fmt::print("{:<18}{:>10.4f}{:>14.4f}{:>14.4f}{:>14.4f}\n", metric, value("test"), value("calibrated"),
               value("early"), value("early_calibrated"));
  }
  fmt::print("{:<18}{:>24.3f}{:>28.3f}\n", "temperature", run["calibrated"]["temperature"].get<double>(),
             run["early_calibrated"]["temperature"].get<double>());
  fmt::print("early-stopped at epoch {} of {}\n", run["early_epoch"].get<int64_t>(), options.epochs);
  if (const auto& fit = run["noise_fit"]; fit["corrupted"] > 0) {
    fmt::print("{} wrong labels ({:.1f} %): {:.1f} % memorised, {:.1f} % recovered\n",
               fit["corrupted"].get<int64_t>(), 100 * fit["realised_rate"].get<double>(),
               100 * fit["memorised"].get<double>(), 100 * fit["recovered"].get<double>());
  }
  if (!options.out.empty()) fmt::print("files in {}\n", options.out);
}

}  // namespace

void add_train(CLI::App& app) {
  auto o = std::make_shared<TrainOptions>();
  CLI::App* verb = app.add_subcommand("train", "one training run");
  verb->add_option("--data", o->data, "fashion-mnist, or a folder of IDX or .npy files");
  verb->add_option("--smoothing", o->smoothing, "amount of smoothing")->check(kUnit);
  verb->add_option("--rule", o->rule, kRules);
  verb->add_option("--noise", o->noise, "rate of wrong labels")->check(kUnit);
  verb->add_option("--weight-decay", o->weight_decay, "decoupled weight decay")->check(kNonNegative);
  verb->add_option("--epochs", o->epochs, "passes over the training images")->check(at_least(1));
  verb->add_option("--train-size", o->train_size, "training images; validation is a fifth of it on top")
      ->check(at_least(20));
  add_list(verb, "--hidden", o->hidden, "widths of the hidden layers")->check(at_least(1));
  verb->add_option("--seed", o->seed, "of the split, the noise, the weights and the order")
      ->check(at_least(0));
  verb->add_option("--out", o->out, "folder for logits, labels and metrics.jsonl");
  verb->add_flag("--quiet", o->quiet, "no progress");
  verb->add_flag("--json", o->json, "print one JSON object");
  verb->callback([o] { train(*o); });
}

}  // namespace labelsmooth
