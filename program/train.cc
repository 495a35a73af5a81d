// SPDX-License-Identifier: MIT
// train: one run of the study, by hand.
#include <fmt/format.h>  // fmt::print

#include <nlohmann/json.hpp>

#include "errors.h"
#include "progress.h"
#include "study/model.h"
#include "verbs.h"

namespace labelsmooth {

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
  use_one_blas_thread();

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

}  // namespace labelsmooth
