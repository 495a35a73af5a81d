// SPDX-License-Identifier: MIT
#include "study/judged_run.h"

#include "evaluation/items.h"
#include "evaluation/metrics.h"
#include "evaluation/temperature.h"
#include "io/file.h"
#include "io/npy.h"
#include "random.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

json figures(const Items& items, uint64_t seed) {
  const NullLevel null = null_level(items, seed);
  return {{"accuracy", accuracy(items)},
          {"nll", nll(items)},
          {"brier", brier(items)},
          {"ece", ece(items)},
          {"ece_null_mean", null.mean},
          {"ece_null_p95", null.quantile95},
          {"ece_p", null.p},
          {"confidence", confidence(items)},
          {"gap", gap(items)},
          {"aurc", aurc(items)},
          {"augrc", augrc(items)},
          {"auroc", auroc(items)}};
}

}  // namespace

std::vector<uint8_t> temperature_half(int64_t validation_rows, uint64_t seed) {
  std::vector<uint8_t> half(static_cast<size_t>(validation_rows));
  const auto order = permutation(static_cast<uint32_t>(validation_rows), seed, Stream::halves);
  for (int64_t i = 0; i < validation_rows / 2; ++i) half[order[i]] = 1;
  return half;
}

Subset subset(const LabelledLogits& all, int64_t classes, std::span<const uint8_t> marks, uint8_t keep) {
  Subset kept;
  for (size_t row = 0; row < all.labels.size(); ++row) {
    if (marks[row] != keep) continue;
    const auto from = all.logits.begin() + static_cast<std::ptrdiff_t>(row) * classes;
    kept.logits.insert(kept.logits.end(), from, from + classes);
    kept.labels.push_back(all.labels[row]);
  }
  return kept;
}

Judged judge(const LabelledLogits& test, const LabelledLogits& validation, std::span<const uint8_t> half,
             int64_t classes, uint64_t seed) {
  const Subset fit = subset(validation, classes, half, 1);
  const Temperature t = fit_temperature(fit.logits, fit.labels, classes);
  const auto at = [&](double temperature) {
    return figures(evaluate(test.logits, test.labels, classes, temperature), seed);
  };
  Judged judged = {at(1), at(t.temperature)};
  judged.calibrated["temperature"] = t.temperature;
  judged.calibrated["at_bound"] = t.at_bound;
  return judged;
}

void write_judgement(const std::string& folder, const std::vector<uint8_t>& half, const json& run) {
  const auto rows = static_cast<int64_t>(half.size());
  io::write_npy(folder + "/validation_half.npy", DType::u8, {rows}, half.data());
  io::write_file(folder + "/run.json", run.dump(1) + "\n");
}

}  // namespace labelsmooth
