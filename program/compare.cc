// SPDX-License-Identifier: MIT
// compare: did it help, or would one temperature have done it? Several models on the same rows.
#include <fmt/format.h>  // fmt::print
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>   // std::any_of, std::count, std::count_if, std::find_if, std::min
#include <filesystem>  // std::filesystem::weakly_canonical
#include <limits>      // std::numeric_limits
#include <map>         // std::map
#include <memory>      // std::make_shared
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "compare/contrasts.h"
#include "compare/page.h"
#include "compare/result.h"
#include "compare/text.h"
#include "errors.h"
#include "evaluation/crossfit.h"
#include "io/file.h"
#include "progress.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using compare::Arm;
using compare::Labels;
using compare::LogitsFile;

struct CompareOptions {
  std::vector<std::string> models, fits;
  std::string labels, fit_labels, groups, report, language = "en";
  int64_t ignore_index = -100, seed = 0;
  int resamples = 2000;
  bool probs = false, json = false, quiet = false;
};

// ---- NAME=LOGITS[,LOGITS...] ----

struct Named {
  std::string name;
  std::vector<std::string> files;
};

Named parse_named(const std::string& text, const std::string& where) {
  const size_t equals = text.find('=');
  const std::string wanted = "NAME=LOGITS[,LOGITS...] is needed";
  if (equals == std::string::npos || equals == 0) throw UsageError(where, "'" + text + "' found, " + wanted);
  Named named = {text.substr(0, equals), {}};
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(named.name.begin(), named.name.end(), is_control))
    throw UsageError(where, "a name with a control character found, text is needed");
  if (named.name.find(',') != std::string::npos)
    throw UsageError(where, "'" + named.name + "' found, a name has no comma");
  for (size_t begin = equals + 1; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    named.files.push_back(text.substr(begin, end - begin));
    if (named.files.back().empty()) throw UsageError(where, "'" + text + "' lacks a file, " + wanted);
    begin = end + 1;
  }
  return named;
}

std::vector<Named> parse_all(const std::vector<std::string>& texts, const std::string& where) {
  std::vector<Named> all;
  for (const std::string& text : texts) {
    all.push_back(parse_named(text, where));
    const auto same = [&](const Named& one) { return one.name == all.back().name; };
    if (std::count_if(all.begin(), all.end(), same) > 1)
      throw UsageError(where, "'" + all.back().name + "' found twice, names differ");
  }
  return all;
}

// In the models' order, one file a run.
std::vector<Named> parse_fits(const CompareOptions& o, const std::vector<Named>& models) {
  if (o.fits.empty() != o.fit_labels.empty())
    throw UsageError("--fit", "--fit and --fit-labels belong together");
  const std::vector<Named> given = parse_all(o.fits, "--fit");
  if (given.empty()) return {};
  std::vector<Named> fits;
  for (const Named& model : models) {
    const auto fit =
        std::find_if(given.begin(), given.end(), [&](const Named& one) { return one.name == model.name; });
    if (fit == given.end()) throw UsageError("--fit", "none for '" + model.name + "', one a model is needed");
    if (fit->files.size() != model.files.size()) {
      throw UsageError("--fit", fmt::format("{} files for '{}' found, one for each of its {} runs is needed",
                                            fit->files.size(), model.name, model.files.size()));
    }
    fits.push_back(*fit);
  }
  if (given.size() > models.size()) throw UsageError("--fit", "a name that is no model found");
  return fits;
}

std::vector<std::string> warnings_of(const CompareOptions& o, const std::vector<Named>& models) {
  const auto path_of = [](const std::string& file) {
    return std::filesystem::weakly_canonical(file).string();
  };
  std::map<std::string, std::string> owners;
  std::vector<std::string> warnings;
  if (!o.fit_labels.empty() && path_of(o.fit_labels) == path_of(o.labels)) {
    warnings.push_back(
        "temperatures are fitted on the rows that judge them, which flatters them: "
        "without --fit they are cross-fitted");
  }
  for (const Named& model : models) {
    for (const std::string& file : model.files) {
      const auto [owner, is_new] = owners.emplace(path_of(file), model.name);
      if (is_new) continue;
      warnings.push_back(
          fmt::format("{} is given twice, for {} and for {}: as runs they are no evidence of each other",
                      file, owner->second, model.name));
    }
  }
  return warnings;
}

void check_usage(const CompareOptions& o, const std::vector<Named>& models) {
  if (models.size() < 2)
    throw UsageError("command line", "one model found, a reference and another are needed");
  std::vector<std::string> all = {o.labels, o.fit_labels, o.groups};
  for (const std::vector<std::string>& texts : {o.models, o.fits}) {
    for (const Named& one : parse_all(texts, "NAME=LOGITS"))
      all.insert(all.end(), one.files.begin(), one.files.end());
  }
  if (std::count(all.begin(), all.end(), "-") > 1)
    throw UsageError("-", "standard input is asked for twice, it can be read once");
}

// ---- The work ----

class Measuring {
 public:
  Measuring(const CompareOptions& o, const std::vector<Named>& models)
      : o_(o),
        models_(models),
        fits_(parse_fits(o, models)),
        labels_(compare::read_labels(o.labels, o.ignore_index)) {
    const auto rows = static_cast<int64_t>(labels_.rows.size());
    if (rows < compare::kLeastRows) {
      throw Error(o.labels, fmt::format("{} rows that count found, at least {} are needed for an interval",
                                        rows, compare::kLeastRows));
    }
    if (fits_.empty()) {
      folds_ = random_folds(rows, static_cast<uint64_t>(o.seed));
    } else {
      fit_labels_ = compare::read_labels(o.fit_labels, o.ignore_index);
    }
  }

  std::vector<Arm> arms() {
    size_t files = 0;
    for (const Named& model : models_) files += model.files.size();
    Progress progress("runs", static_cast<double>(files), static_cast<int64_t>(files), o_.quiet);
    std::vector<Arm> arms;
    for (size_t m = 0; m < models_.size(); ++m) {
      arms.push_back({models_[m].name, {}});
      for (size_t r = 0; r < models_[m].files.size(); ++r) {
        arms.back().runs.push_back(run(models_[m].files[r], fits_.empty() ? "" : fits_[m].files[r]));
        progress.add(1);
        progress.finish_job();
      }
    }
    return arms;
  }

  const Labels& labels() const { return labels_; }
  int64_t classes() const { return classes_; }

 private:
  compare::Run run(const std::string& file, const std::string& fit_file) {
    const LogitsFile logits(file, labels_, o_.probs);
    check_classes(file, logits);
    compare::Run run = {file, {}, {}, {}, false};
    run.trained = evaluate(logits.blocks(), labels_.labels, {}, {1});
    Scaling scaling;
    if (fit_file.empty()) {
      scaling = cross_fit(logits.blocks(), labels_.labels, folds_);
    } else {
      const LogitsFile fit(fit_file, fit_labels_, o_.probs);
      check_classes(fit_file, fit);
      scaling = fit_all(fit.blocks(), fit_labels_.labels);
    }
    run.calibrated = evaluate(logits.blocks(), labels_.labels, folds_, scaling.temperatures);
    run.temperatures = scaling.temperatures;
    run.at_bound = scaling.at_bound;
    return run;
  }

  void check_classes(const std::string& file, const LogitsFile& logits) {
    if (classes_ == 0) classes_ = logits.classes(), first_ = file;
    if (logits.classes() == classes_) return;
    throw Error(file, fmt::format("{} classes found, {} has {}", logits.classes(), first_, classes_));
  }

  const CompareOptions& o_;
  const std::vector<Named>& models_;
  const std::vector<Named> fits_;
  const Labels labels_;
  Labels fit_labels_;
  std::vector<uint8_t> folds_;  // empty where other rows fit
  int64_t classes_ = 0;
  std::string first_;  // file, whose classes they are
};

// What was asked, without what does not change the numbers.
std::string command_of(const CompareOptions& o) {
  std::string command = fmt::format("labelsmooth compare --labels {} {}", o.labels, fmt::join(o.models, " "));
  if (!o.fits.empty())
    command += fmt::format(" --fit-labels {} --fit {}", o.fit_labels, fmt::join(o.fits, " "));
  if (!o.groups.empty()) command += " --groups " + o.groups;
  if (o.probs) command += " --probs";
  if (o.ignore_index != -100) command += fmt::format(" --ignore-index {}", o.ignore_index);
  if (o.seed != 0) command += fmt::format(" --seed {}", o.seed);
  if (o.resamples != CompareOptions().resamples) command += fmt::format(" --bootstrap {}", o.resamples);
  return command;
}

void run_compare(const CompareOptions& o) {
  const std::vector<Named> models = parse_all(o.models, "NAME=LOGITS");
  check_usage(o, models);
  Measuring measuring(o, models);
  compare::Setting setting;
  const Labels& labels = measuring.labels();
  std::vector<compare::Group> groups;
  if (!o.groups.empty()) groups = compare::read_groups(o.groups, labels);
  const std::vector<Arm> arms = measuring.arms();
  int64_t rows = 1;
  for (const int64_t size : labels.shape) rows *= size;
  setting.ignored = rows - arms[0].rows();
  setting.classes = measuring.classes();
  setting.seed = static_cast<uint64_t>(o.seed);
  setting.resamples = o.resamples;
  setting.fit_labels = o.fit_labels;
  setting.warnings = warnings_of(o, models);
  setting.command = command_of(o);
  const nlohmann::json result = compare::result(arms, groups, setting);
  if (!o.report.empty()) io::write_file(o.report, compare::page(result, o.language));
  for (const nlohmann::json& warning : result["warnings"])
    fmt::print(stderr, "labelsmooth: warning: {}\n", warning.get<std::string>());
  fmt::print("{}", o.json ? result.dump() + "\n" : compare::text(result));
}

}  // namespace

void add_compare(CLI::App& app) {
  auto o = std::make_shared<CompareOptions>();
  CLI::App* verb = app.add_subcommand(
      "compare", "models on the same rows: did it help, or would one temperature have done it?");
  verb->add_option("--labels", o->labels, "integers, the logits' shape without the classes")->required();
  verb->add_option(
          "MODEL", o->models,
          "a model, and the (rows, classes) logits of its runs, one a seed: NAME=LOGITS[,LOGITS...]; "
          "the first is the reference, and runs are paired by position")
      ->required();
  verb->add_option("--fit-labels", o->fit_labels, "labels of other rows, on which temperatures are fitted");
  verb->add_option("--fit", o->fits, "NAME=LOGITS[,LOGITS...]: those rows' logits, a file for each run")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_flag("--probs", o->probs, "files hold probabilities, rows that sum to 1");
  verb->add_option("--ignore-index", o->ignore_index, "rows with this label do not count")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_option("--groups", o->groups, "one integer a row, or a .csv of names: the same for each group");
  verb->add_option("--bootstrap", o->resamples, "resamples, where an arm is one run")
      ->check(CLI::Range(200, 1000000));
  verb->add_option("--seed", o->seed, "of folds and resamples")->check(at_least(0));
  verb->add_option("--report", o->report, "write the result as one HTML page");
  verb->add_option("--lang", o->language, "of that page")->check(CLI::IsMember({"en", "zh"}));
  add_threads(verb);
  verb->add_flag("--quiet", o->quiet, "no progress");
  verb->add_flag("--json", o->json, "print one JSON object");
  verb->footer(kFiles);
  verb->callback([o] { run_compare(*o); });
}

}  // namespace labelsmooth
