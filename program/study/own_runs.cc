// SPDX-License-Identifier: MIT
#include "study/own_runs.h"

#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>   // std::all_of, std::sort
#include <filesystem>  // std::filesystem
#include <map>         // std::map
#include <nlohmann/json.hpp>
#include <optional>  // std::optional
#include <set>       // std::set
#include <utility>   // std::pair

#include "evaluation/items.h"
#include "study/judged_run.h"
#include "study/run_files.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kLongestName = 24;  // what the verdict box has room for

// ---- Keys of the user's JSON ----

[[noreturn]] void refuse(const std::string& path, const json& object, const char* key,
                         const std::string& allowed) {
  const std::string found = object.contains(key) ? object[key].dump() : "nothing";
  throw Error(path, fmt::format("{}: {} found, {}", key, found, allowed));
}

double unit(const std::string& path, const json& object, const char* key) {
  const json value = object.value(key, json());
  if (!value.is_number() || !(value >= 0 && value <= 1)) refuse(path, object, key, "0 to 1 is allowed");
  return value;
}

// Letters, digits and few others: a name is shown in a terminal, in a page, and in errors.
bool is_plain(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string(" ._+-").find(c) != std::string::npos;
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), plain);
}

void read_manifest(const std::string& path, const json& manifest, OwnStudy& study) {
  if (manifest.value("schema", json()) != 1) refuse(path, manifest, "schema", "1 is needed");
  const json name = manifest.value("name", json());
  if (!name.is_string() || name.get<std::string>().size() > kLongestName || !is_plain(name)) {
    refuse(path, manifest, "name",
           fmt::format("1 to {} letters, digits, spaces and any of ._+- are needed", kLongestName));
  }
  study.name = name;
  const json rule = manifest.value("rule", json());
  const std::set<json> rules = {"uniform", "others", "flip", "additive"};
  if (!rules.contains(rule)) refuse(path, manifest, "rule", "uniform, others, flip or additive is needed");
  study.rule = rule;
  study.noise = manifest.contains("noise") ? unit(path, manifest, "noise") : 0;
}

// ---- The grid ----

OwnRun read_config(const std::string& path, const std::string& name, const std::string& rule) {
  const json config = read_object(path);
  OwnRun run = {name, unit(path, config, "smoothing"), 0};
  const json seed = config.value("seed", json());
  if (!seed.is_number_integer() || seed < 0) refuse(path, config, "seed", "an integer from 0 is needed");
  run.seed = seed;
  const std::string wanted = run.smoothing == 0 ? "none" : rule;
  if (config.value("rule", json()) != wanted) {
    refuse(path, config, "rule", fmt::format("{} is needed: study.json says {}", wanted, rule));
  }
  return run;
}

// By smoothing, then by seed: every amount with every seed.
void read_runs(const std::string& folder, OwnStudy& study) {
  if (!fs::is_directory(folder))
    throw Error(folder, "no such folder, one with a folder for each run is needed");
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name[0] != '.') names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  std::map<std::pair<double, uint64_t>, OwnRun> grid;
  std::set<double> amounts;
  std::set<uint64_t> seeds;
  for (const std::string& name : names) {
    if (!is_plain(name)) {
      throw Error(folder, json(name).dump(-1, ' ', true, json::error_handler_t::replace) +
                              " found, letters, digits, spaces and any of ._+- are allowed in a run's name");
    }
    const OwnRun run = read_config(folder + "/" + name + "/config.json", name, study.rule);
    const auto [first, is_new] = grid.insert({{run.smoothing, run.seed}, run});
    if (!is_new) {
      throw Error(folder + "/" + name + "/config.json",
                  fmt::format("smoothing {} and seed {} found, {} has them too", run.smoothing, run.seed,
                              first->second.name));
    }
    amounts.insert(run.smoothing);
    seeds.insert(run.seed);
  }
  if (!amounts.contains(0)) {
    throw Error(folder, "no run of smoothing 0 found; hard labels are what the others are compared with");
  }
  if (amounts.size() < 2) throw Error(folder, "no run of smoothing above 0 found");
  for (const double amount : amounts) {
    for (const uint64_t seed : seeds) {
      if (!grid.contains({amount, seed})) {
        throw Error(folder,
                    fmt::format("no run of smoothing {} and seed {} found; every amount needs every seed",
                                amount, seed));
      }
    }
  }
  for (auto& [key, run] : grid) study.runs.push_back(std::move(run));
}

// 0.1 as in the built-in study, or the only amount; else the user has to have said which.
double primary_of(const std::string& path, const json& manifest, const OwnStudy& study) {
  std::set<double> amounts;
  for (const OwnRun& run : study.runs) {
    if (run.smoothing > 0) amounts.insert(run.smoothing);
  }
  if (manifest.contains("primary")) {
    const double primary = unit(path, manifest, "primary");
    if (amounts.contains(primary)) return primary;
  } else {
    if (amounts.contains(.1)) return .1;
    if (amounts.size() == 1) return *amounts.begin();
  }
  refuse(path, manifest, "primary",
         fmt::format("the amount to be tested is needed, one of {}", fmt::join(amounts, ", ")));
}

// ---- The arrays ----

std::string dir_of(const OwnStudy& study, const OwnRun& run) { return study.folder + "/runs/" + run.name; }

struct LabelsFile {
  std::string path;
  std::vector<int64_t> labels;
};

LabelsFile read_labels_file(const std::string& path, size_t least, const char* why) {
  LabelsFile file = {path, read_labels(path)};
  if (file.labels.size() < least) {
    throw Error(path, fmt::format("{} rows found, at least {} are needed{}", file.labels.size(), least, why));
  }
  return file;
}

void check_same(const LabelsFile& file, const LabelsFile& first, const char* runs) {
  const std::string needed = fmt::format("; all runs{} need the same rows in the same order", runs);
  if (file.labels.size() != first.labels.size()) {
    throw Error(file.path, fmt::format("{} rows found, {} has {}{}", file.labels.size(), first.path,
                                       first.labels.size(), needed));
  }
  for (size_t row = 0; row < file.labels.size(); ++row) {
    if (file.labels[row] == first.labels[row]) continue;
    throw Error(file.path,
                fmt::format("label {} in row {}, {} has {}{}", file.labels[row], row, first.path,
                            first.labels[row], needed),
                static_cast<int64_t>(row));
  }
}

// `classes` is of the first file, 0 before it.
void check_logits_file(const std::string& path, const LabelsFile& labels, int64_t& classes) {
  const RunLogits logits = read_logits(path);
  if (logits.classes() < 2)
    throw Error(path, fmt::format("{} classes found, at least 2 are needed", logits.classes()));
  if (classes == 0) classes = logits.classes();
  if (logits.classes() != classes) {
    throw Error(path, fmt::format("{} classes found, the first run has {}", logits.classes(), classes));
  }
  if (logits.array.shape[0] != static_cast<int64_t>(labels.labels.size())) {
    throw Error(path, fmt::format("{} rows found, {} has {}", logits.array.shape[0], labels.path,
                                  labels.labels.size()));
  }
  try {
    check_logits(logits.values(), labels.labels, classes);
  } catch (const Error& error) {
    throw Error(error.argument == "labels" ? labels.path : path, error.found, error.row);
  }
}

void check_curve(const std::string& path) {
  if (!fs::exists(path)) return;
  int64_t line = 0;
  for (const json& epoch : read_lines(path)) {
    ++line;
    for (const char* key : kCurves) {
      const json value = epoch.value(key, json());
      if (!value.is_number() && !value.is_null()) {
        refuse(fmt::format("{}: line {}", path, line), epoch, key, "a number or null is allowed");
      }
    }
  }
}

void check_arrays(OwnStudy& study) {
  std::optional<LabelsFile> first_test;
  std::map<uint64_t, LabelsFile> first_validation;
  study.classes = 0;
  study.has_early = fs::exists(dir_of(study, study.runs[0]) + "/early_logits.npy");
  for (const OwnRun& run : study.runs) {
    const std::string dir = dir_of(study, run);
    const LabelsFile test = read_labels_file(dir + "/test_labels.npy", 2, "");
    const LabelsFile validation =
        read_labels_file(dir + "/validation_labels.npy", 4, ": half of them fit the temperature");
    check_logits_file(dir + "/test_logits.npy", test, study.classes);
    check_logits_file(dir + "/validation_logits.npy", validation, study.classes);
    if (!first_test) first_test = test;
    check_same(test, *first_test, "");
    check_same(validation, first_validation.insert({run.seed, validation}).first->second, " of a seed");
    for (const auto& [file, labels] :
         {std::pair{"/early_logits.npy", &test}, {"/early_validation_logits.npy", &validation}}) {
      if (study.has_early) {
        check_logits_file(dir + file, *labels, study.classes);
      } else if (fs::exists(dir + file)) {
        throw Error(dir + file,
                    "found, " + study.runs[0].name + " has no early_logits.npy; all runs need it or none");
      }
    }
    check_curve(dir + "/metrics.jsonl");
  }
  study.test_rows = static_cast<int64_t>(first_test->labels.size());
}

}  // namespace

OwnStudy read_own_study(const std::string& folder) {
  OwnStudy study = {};
  study.folder = folder;
  const std::string path = folder + "/study.json";
  const json manifest = read_object(path);
  read_manifest(path, manifest, study);
  read_runs(folder + "/runs", study);
  study.primary = primary_of(path, manifest, study);
  check_arrays(study);
  return study;
}

json judge_own_run(const OwnStudy& study, const OwnRun& run) {
  const std::string dir = dir_of(study, run);
  const std::vector<int64_t> test_labels = read_labels(dir + "/test_labels.npy");
  const std::vector<int64_t> validation_labels = read_labels(dir + "/validation_labels.npy");
  const auto half = temperature_half(static_cast<int64_t>(validation_labels.size()), run.seed);
  const auto judged = [&](const std::string& test, const std::string& validation) {
    const RunLogits test_logits = read_logits(dir + test), validation_logits = read_logits(dir + validation);
    return judge({test_logits.values(), test_labels}, {validation_logits.values(), validation_labels}, half,
                 study.classes, run.seed);
  };
  const Judged last = judged("/test_logits.npy", "/validation_logits.npy");
  const Judged early =
      study.has_early ? judged("/early_logits.npy", "/early_validation_logits.npy") : Judged{};
  const json unknown = {
      {"corrupted", nullptr}, {"realised_rate", nullptr}, {"memorised", nullptr}, {"recovered", nullptr}};
  const json result = {{"name", run.name},
                       {"setting", study.name},
                       {"rule", run.smoothing == 0 ? "none" : study.rule},
                       {"smoothing", run.smoothing},
                       {"noise", study.noise},
                       {"noise_kind", "symmetric"},
                       {"train_size", nullptr},
                       {"epochs", nullptr},
                       {"weight_decay", nullptr},
                       {"hidden", nullptr},
                       {"seed", run.seed},
                       {"test", last.raw},
                       {"calibrated", last.calibrated},
                       {"noise_fit", unknown},
                       {"early", early.raw},
                       {"early_calibrated", early.calibrated},
                       {"early_noise_fit", unknown},
                       {"early_epoch", nullptr}};
  write_judgement(dir, half, result);
  return result;
}

}  // namespace labelsmooth
