// SPDX-License-Identifier: MIT
// study: the main job. Trains the grid, several runs at once, and says what smoothing did.
#include <fmt/format.h>  // fmt::format, fmt::print
#include <fmt/ranges.h>  // fmt::join
#include <sys/ioctl.h>   // TIOCGWINSZ
#include <unistd.h>      // STDOUT_FILENO

#include <algorithm>   // std::stable_sort
#include <atomic>      // std::atomic
#include <exception>   // std::exception_ptr
#include <filesystem>  // std::filesystem
#include <fstream>     // std::ifstream
#include <memory>      // std::make_shared
#include <mutex>       // std::mutex
#include <nlohmann/json.hpp>
#include <set>     // std::set
#include <thread>  // std::thread

#include "command_line.h"
#include "errors.h"
#include "io/file.h"
#include "labelsmooth/isa.h"
#include "parallel.h"
#include "progress.h"
#include "report/report.h"
#include "smoothing_of.h"
#include "study/analysis.h"
#include "study/grid.h"
#include "study/model.h"
#include "study/own_runs.h"
#include "study/pictures.h"
#include "study/run_files.h"
#include "study/verdict_box.h"
#include "verbs.h"
#include "version.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct StudyOptions {
  std::string preset = "quick", data = "fashion-mnist", rule = "uniform";
  std::string out;   // empty: study/quick, study/full or study/custom
  std::string runs;  // folder of the user's own runs, in place of all of the grid
  // Any of these replaces the preset's settings by one grid.
  std::optional<std::vector<double>> smoothings, noises;
  std::optional<int64_t> seeds, train_size, epochs;
  std::optional<double> weight_decay;
  uint64_t seed = 1;
  bool resume = false, json = false, quiet = false;
};

// As study/own_runs.h has it.
constexpr const char* kOwnRuns =
    R"(--runs FOLDER judges a training of your own, in any framework, by the same plan, and writes
results.json and report.html there. In Python, labelsmooth.study(train, ...) makes the folder:
  study.json         {"schema": 1, "name": "my CNN", "rule": "uniform"}; also "primary", the amount that
                     is tested, where there are several and none is 0.1; and "noise", the rate of wrong
                     labels put in on purpose
  runs/NAME/         one a run, for every amount of smoothing, 0 among them, and every seed:
    config.json      {"smoothing": 0.1, "seed": 1, "rule": "uniform"}; the rule is "none" at 0
    test_logits.npy, test_labels.npy
                     (rows, classes) f32 and (rows) integers, the same rows in all runs
    validation_logits.npy, validation_labels.npy
                     the same rows in all runs of a seed; half of them fit the temperature
    early_logits.npy, early_validation_logits.npy
                     of an early-stopped model; optional, in all runs or none
    metrics.jsonl    optional: an object an epoch, any of train_loss, train_nll, train_accuracy,
                     validation_nll, validation_accuracy)";

// ---- The plan ----

bool is_custom(const StudyOptions& o) {
  return o.smoothings || o.noises || o.seeds || o.train_size || o.epochs || o.weight_decay;
}

std::vector<RunConfig> plan(const StudyOptions& options) {
  const Rule rule = smoothing_of(options.rule, 0).rule;
  if (options.rule == "none") throw UsageError("--rule", "none found, a study compares a rule with none");
  if (!is_custom(options)) return preset_runs(options.preset, rule, options.seed);
  Grid grid = {"custom", options.smoothings.value_or(std::vector<double>{0, .05, .1, .2}),
               options.noises.value_or(std::vector<double>{0, .1, .4})};
  grid.seeds = options.seeds.value_or(grid.seeds);
  grid.train_size = options.train_size.value_or(grid.train_size);
  grid.epochs = options.epochs.value_or(grid.epochs);
  grid.weight_decay = options.weight_decay.value_or(grid.weight_decay);
  std::vector<RunConfig> runs = runs_of(grid, rule, options.seed);
  std::set<std::string> names;
  for (const RunConfig& run : runs) {
    if (!names.insert(name_of(run)).second)
      throw UsageError("grid", "the run " + name_of(run) + " is asked for twice");
  }
  return runs;
}

// The command that makes these results again, without what does not change them, and without folders.
std::string command_of(const StudyOptions& o) {
  std::string command = "labelsmooth study";
  if (!is_custom(o)) command += " --preset " + o.preset;
  const auto list = [&](const char* flag, const auto& values) {
    if (values) command += fmt::format(" {} {}", flag, fmt::join(*values, ","));
  };
  const auto value = [&](const char* flag, const auto& number) {
    if (number) command += fmt::format(" {} {}", flag, *number);
  };
  list("--smoothings", o.smoothings);
  list("--noises", o.noises);
  value("--seeds", o.seeds);
  value("--train-size", o.train_size);
  value("--epochs", o.epochs);
  value("--weight-decay", o.weight_decay);
  if (o.rule != "uniform") command += " --rule " + o.rule;
  if (o.data != "fashion-mnist")
    command += " --data " + fs::path(o.data + "/").parent_path().filename().string();
  if (o.seed != 1) command += fmt::format(" --seed {}", o.seed);
  return command;
}

json environment() { return {{"version", kVersion}, {"isa", isa()}, {"blas", blas_description()}}; }

json header_of(const StudyOptions& options, const Dataset& data) {
  return {{"schema", 1},
          {"command", command_of(options)},
          {"rule", options.rule},
          {"environment", environment()},
          {"data",
           {{"name", data.name},
            {"classes", data.classes},
            {"features", data.features},
            {"pool_rows", data.train.rows()},
            {"test_rows", data.test.rows()},
            {"mean", data.mean},
            {"deviation", data.deviation}}}};
}

// ---- The folder ----

std::string folder_of(const StudyOptions& options) {
  if (!options.out.empty()) return options.out;
  return "study/" + (is_custom(options) ? std::string("custom") : options.preset);
}

// A folder holds one study. Another one's is never overwritten; the same one's is begun again, or resumed.
void open_folder(const std::string& folder, bool resume, const json& header) {
  std::error_code error;
  fs::create_directories(folder + "/runs", error);
  if (error) throw Error(folder, error.message());
  const std::string path = folder + "/study.json";
  if (fs::exists(path)) {
    const json found = read_object(path);
    for (const char* key : {"schema", "command", "data", "environment"}) {
      const json other = found.value(key, json());
      if (other == header[key]) continue;
      throw Error(folder, fmt::format("holds another study ({} {}, here {}); choose another --out", key,
                                      other.dump(), header[key].dump()));
    }
    if (!resume) fs::remove_all(folder + "/runs", error);
  } else if (!fs::is_empty(folder + "/runs")) {
    throw Error(folder, "holds runs of no study; choose another --out");
  }
  io::write_file(path, header.dump(1) + "\n");
}

std::string dir_of(const RunConfig& run) { return "runs/" + name_of(run); }

// ---- The runs ----

json read_run(const std::string& path, const RunConfig& config) {
  json run = read_object(path);
  const json wanted = describe(config);
  for (const auto& [key, value] : wanted.items()) {
    if (run.value(key, json()) != value) {
      throw Error(path, "is not of this study's run; remove its folder to train it again");
    }
  }
  return run;
}

// Whole trainings side by side, the longest first; each is deterministic, so their order is of no
// consequence.
std::vector<json> train_all(const std::vector<RunConfig>& runs, const Dataset& data,
                            const std::string& folder, const StudyOptions& options) {
  double work = 0;
  for (const RunConfig& run : runs) work += cost_of(run);
  Progress progress("runs", work, static_cast<int64_t>(runs.size()), options.quiet);

  std::vector<json> results(runs.size());
  std::vector<size_t> pending;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string dir = folder + "/" + dir_of(runs[i]);
    if (options.resume && fs::exists(dir + "/run.json")) {
      results[i] = read_run(dir + "/run.json", runs[i]);
      progress.skip_job(cost_of(runs[i]));
    } else {
      fs::remove_all(dir);  // what a killed run left
      pending.push_back(i);
    }
  }
  std::stable_sort(pending.begin(), pending.end(),
                   [&](size_t a, size_t b) { return cost_of(runs[a]) > cost_of(runs[b]); });

  std::atomic<size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto work_off = [&] {
    for (size_t job; (job = next++) < pending.size();) {
      const RunConfig& run = runs[pending[job]];
      try {
        double before = 0;
        results[pending[job]] = train_run(data, run, folder + "/" + dir_of(run), [&](double done) {
          progress.add((done - before) * cost_of(run));
          before = done;
        });
        progress.finish_job();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = pending.size();
      }
    }
  };
  const int workers = threads();
  set_threads(1);  // the loss inside a run stays on the run's thread
  std::vector<std::thread> team;
  for (int i = 1; i < workers; ++i) team.emplace_back(work_off);
  work_off();
  for (std::thread& worker : team) worker.join();
  set_threads(workers);
  if (error) std::rethrow_exception(error);
  return results;
}

int terminal_width() {
  winsize size;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 132;
}

// From the runs to what people read.
void conclude(json& results, const std::string& folder, const StudyOptions& options) {
  {
    Progress progress("analysis", 1, 1, options.quiet);
    analyse(results, folder, results["rule"], [&](double share) { progress.add(share); });
  }
  add_pictures(results, folder);
  const std::string path = folder + "/results.json";
  const std::string text = results.dump(1) + "\n", page = folder + "/report.html";
  io::write_file(path, text);
  io::write_file(page, report_page(text, path, "en"));
  if (options.json) {
    fmt::print("{}\n", results.dump());
  } else {
    fmt::print("{}{}\n{}\n", verdict_box(results, terminal_width()), path, page);
  }
}

void study_grid(const StudyOptions& options) {
  const std::vector<RunConfig> runs = plan(options);
  const Dataset data = load_dataset(options.data);
  for (const RunConfig& run : runs) check(run, data);
  use_one_blas_thread(threads());

  json results = header_of(options, data);
  const std::string folder = folder_of(options);
  open_folder(folder, options.resume, results);
  results["runs"] = train_all(runs, data, folder, options);
  for (size_t i = 0; i < runs.size(); ++i) results["runs"][i]["dir"] = dir_of(runs[i]);
  conclude(results, folder, options);
}

// ---- The user's own runs ----

// The keys of a built-in study's, null where only the user would know; the command is for inside the folder.
json header_of(const OwnStudy& own) {
  return {{"schema", 1},
          {"command", "labelsmooth study --runs ."},
          {"rule", own.rule},
          {"training", {{"name", own.name}, {"primary", own.primary}}},
          {"environment", environment()},
          {"data",
           {{"name", "custom"},
            {"classes", own.classes},
            {"features", nullptr},
            {"pool_rows", nullptr},
            {"test_rows", own.test_rows},
            {"mean", nullptr},
            {"deviation", nullptr}}}};
}

std::vector<json> judge_all(const OwnStudy& own, bool quiet) {
  constexpr int64_t kWorthThreads = int64_t{1} << 30;  // elements, for parallel_for
  const auto count = static_cast<int64_t>(own.runs.size());
  Progress progress("runs", static_cast<double>(count), count, quiet);
  std::vector<json> results(own.runs.size());
  parallel_for(count, kWorthThreads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      results[i] = judge_own_run(own, own.runs[i]);
      progress.add(1);
      progress.finish_job();
    }
  });
  return results;
}

void study_runs(const StudyOptions& options, const CLI::App& verb) {
  for (const CLI::Option* option :
       verb.get_options([](const CLI::Option* one) { return one->count() > 0; })) {
    const std::string name = option->get_name();
    if (name != "--runs" && name != "--quiet" && name != "--json" && name != "--threads")
      throw UsageError(name, "found with --runs, whose runs are made already");
  }
  const OwnStudy own = read_own_study(options.runs);
  json results = header_of(own);
  results["runs"] = judge_all(own, options.quiet);
  for (json& run : results["runs"]) run["dir"] = "runs/" + run["name"].get<std::string>();
  conclude(results, options.runs, options);
}

}  // namespace

void add_study(CLI::App& app) {
  auto o = std::make_shared<StudyOptions>();
  CLI::App* verb = app.add_subcommand("study", "train the grid, evaluate, and say what smoothing did");
  verb->add_option("--preset", o->preset, "quick (66 runs) or full (830 runs)")
      ->check(CLI::IsMember({"quick", "full"}));
  verb->add_option("--data", o->data, "fashion-mnist, or a folder of IDX or .npy files");
  add_list(verb, "--smoothings", o->smoothings,
           "amounts; this and the next five replace the preset by one grid")
      ->check(kUnit);
  add_list(verb, "--noises", o->noises, "rates of wrong labels")->check(kUnit);
  verb->add_option("--seeds", o->seeds, "runs per combination")->check(at_least(1));
  verb->add_option("--train-size", o->train_size, "training images; validation is a fifth of it on top")
      ->check(at_least(20));
  verb->add_option("--epochs", o->epochs, "passes over the training images")->check(at_least(1));
  verb->add_option("--weight-decay", o->weight_decay, "decoupled weight decay")->check(kNonNegative);
  verb->add_option("--rule", o->rule, "of the smoothed runs: uniform, others, flip or additive");
  verb->add_option("--seed", o->seed, "the first seed")->check(at_least(0));
  verb->add_option("--out", o->out,
                   "folder of the results, study/quick, study/full or study/custom by default");
  verb->add_flag("--resume", o->resume, "go on with a study that was stopped");
  verb->add_option("--runs", o->runs, "judge your own training in place of a grid: its folder, see below");
  verb->add_flag("--quiet", o->quiet, "no progress");
  verb->add_flag("--json", o->json, "print results.json in place of the verdict box");
  add_threads(verb);
  verb->footer(kOwnRuns);
  verb->callback([o, verb] { verb->count("--runs") == 0 ? study_grid(*o) : study_runs(*o, *verb); });
}

}  // namespace labelsmooth
