// SPDX-License-Identifier: MIT
// explain: the arithmetic of one sample under every rule, and which of the document's statements hold for it.
#include <fmt/format.h>  // fmt::print

#include <algorithm>  // std::find
#include <charconv>   // std::from_chars
#include <cmath>      // std::abs, std::isfinite, std::isnan, std::log
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>
#include <optional>      // std::optional
#include <string>        // std::string
#include <system_error>  // std::errc
#include <vector>        // std::vector

#include "command_line.h"
#include "errors.h"
#include "explain/arithmetic.h"
#include "explain/statements.h"
#include "explain/text.h"
#include "report/assets.h"
#include "report/strings.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

struct ExplainOptions {
  std::optional<int64_t> classes, label;
  double smoothing = 0.1;
  std::optional<std::string> logits, probabilities;  // lists
  std::string language = "en";
  bool json = false;
};

// A list such as -1,2.5,-inf. CLI11's own reader drops what is empty, as in 1,,2.
std::vector<double> numbers_of(const char* flag, const std::string& text) {
  std::vector<double> numbers;
  const char *at = text.data(), *const last = at + text.size();
  for (;; ++at) {
    const char* const end = std::find(at, last, ',');
    while (at != end && *at == ' ') ++at;
    double value;
    const auto [rest, error] = std::from_chars(at, end, value);
    if (error != std::errc() || rest != end) {
      throw UsageError(flag, fmt::format("'{}' found for class {}, numbers are allowed", std::string(at, end),
                                         numbers.size()));
    }
    numbers.push_back(value);
    at = end;
    if (at == last) return numbers;
  }
}

std::vector<double> logits_of(const std::string& list) {
  const std::vector<double> logits = numbers_of("--logits", list);
  bool any_finite = false;
  for (size_t k = 0; k < logits.size(); ++k) {
    if (std::isnan(logits[k]) || logits[k] == HUGE_VAL) {
      throw UsageError("--logits",
                       fmt::format("class {} has {}, finite numbers and -inf are allowed", k, logits[k]));
    }
    any_finite = any_finite || std::isfinite(logits[k]);
  }
  if (!any_finite) throw UsageError("--logits", "every class has -inf, one has to be finite");
  return logits;
}

std::vector<double> logits_of_probabilities(const std::string& list) {
  std::vector<double> values = numbers_of("--probs", list);
  double sum = 0;
  for (size_t k = 0; k < values.size(); ++k) {
    if (!(values[k] >= 0)) {
      throw UsageError("--probs", fmt::format("class {} has {}, 0 to 1 is allowed", k, values[k]));
    }
    sum += values[k];
    values[k] = std::log(values[k]);
  }
  if (!(std::abs(sum - 1) <= 1e-6)) throw UsageError("--probs", fmt::format("sum to {}, 1 is needed", sum));
  return values;
}

// What is not given is the document's, as far as it fits.
Sample sample_of(const ExplainOptions& options) {
  Sample sample = document_sample();
  sample.smoothing = options.smoothing;
  if (options.logits || options.probabilities) {
    sample.logits =
        options.logits ? logits_of(*options.logits) : logits_of_probabilities(*options.probabilities);
    sample.prediction = "given";
  } else if (options.classes) {  // an untrained model's prediction, where every label is alike
    sample.logits.assign(static_cast<size_t>(*options.classes), 0);
    sample.prediction = "equal";
    sample.label = 0;
  }
  const auto classes = static_cast<int64_t>(sample.logits.size());
  if (options.classes && *options.classes != classes) {
    throw UsageError("--classes", fmt::format("{} found, the prediction has {}", *options.classes, classes));
  }
  if (sample.prediction == "given" && !options.label) {
    throw UsageError("--label", fmt::format("missing, 0 to {} is allowed", classes - 1));
  }
  sample.label = options.label.value_or(sample.label);
  if (sample.label >= classes) {
    throw UsageError("--label", fmt::format("{} found, 0 to {} is allowed", sample.label, classes - 1));
  }
  return sample;
}

void explain(const ExplainOptions& options) {
  const Strings say(options.language, assets::kExplainStringsJson);
  nlohmann::json sample = arithmetic(sample_of(options), say);
  add_statements(sample, say);
  fmt::print("{}", options.json ? sample.dump() + "\n" : text_of(sample, say));
}

}  // namespace

void add_explain(CLI::App& app) {
  auto o = std::make_shared<ExplainOptions>();
  CLI::App* verb = app.add_subcommand(
      "explain", "the arithmetic of one sample under every rule; without options, of the document's example");
  verb->add_option("--classes", o->classes, "how many; without a prediction, every class is equally likely")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  verb->add_option("--label", o->label, "the true class, counted from 0")->check(at_least(0));
  verb->add_option("--smoothing", o->smoothing, "amount of smoothing, 0.1 by default")->check(kUnit);
  CLI::Option* logits = verb->add_option("--logits", o->logits, "the prediction: a,b,... for each class");
  verb->add_option("--probs", o->probabilities, "the same as probabilities, which sum to 1")
      ->excludes(logits);
  verb->add_option("--lang", o->language, "of the words")->check(CLI::IsMember({"en", "zh"}));
  verb->add_flag("--json", o->json, "print one JSON object");
  verb->callback([o] { explain(*o); });
}

}  // namespace labelsmooth
