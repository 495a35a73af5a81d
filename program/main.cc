// SPDX-License-Identifier: MIT
// The command line: parses, calls a verb, turns errors into one line and an exit code (1: the data or a file
// is at fault, 2: the command line is).
#include <CLI/CLI.hpp>
#include <charconv>      // std::from_chars
#include <cstdio>        // std::fflush, std::fprintf
#include <limits>        // std::numeric_limits
#include <system_error>  // std::errc

#include "errors.h"
#include "labelsmooth/parallel.h"
#include "verbs.h"
#include "version.h"

namespace labelsmooth {
namespace {

// A list such as 0,.05,.1.
template <class T>
CLI::Option* add_list(CLI::App* verb, const std::string& name, T& list, const std::string& help) {
  return verb->add_option(name, list, help)->delimiter(',');
}

const char* const kRules = "none, uniform, others, flip or additive";
const CLI::Validator kUnit = CLI::Validator(
    [](std::string& text) {
      double value;
      const bool good = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1;
      return good ? std::string() : "'" + text + "' found, 0 to 1 is allowed";
    },
    "0..1");
// CLI11 itself would wrap a negative seed, and saturate what does not fit in 64 bits.
CLI::Validator at_least(int64_t least) {
  return {[least](std::string& text) {
            int64_t value;
            const char* last = text.data() + text.size();
            const auto [end, error] = std::from_chars(text.data(), last, value);
            const bool good = error == std::errc() && end == last && value >= least;
            return good ? std::string()
                        : "'" + text + "' found, integers from " + std::to_string(least) + " are allowed";
          },
          "INT"};
}
const CLI::Validator kNonNegative = CLI::Validator(
    [](std::string& text) {
      double value;
      const bool good = CLI::detail::lexical_cast(text, value) && value >= 0 && value < 1e9;
      return good ? std::string() : "'" + text + "' found, finite values from 0 are allowed";
    },
    ">=0");

CLI::App* add_study(CLI::App& app, StudyOptions& o) {
  CLI::App* verb = app.add_subcommand("study", "train the grid, evaluate, and say what smoothing did");
  verb->add_option("--preset", o.preset, "quick (66 runs) or full (830 runs)")
      ->check(CLI::IsMember({"quick", "full"}));
  verb->add_option("--data", o.data, "fashion-mnist, or a folder of IDX or .npy files");
  add_list(verb, "--smoothings", o.smoothings,
           "amounts; this and the next five replace the preset by one grid")
      ->check(kUnit);
  add_list(verb, "--noises", o.noises, "rates of wrong labels")->check(kUnit);
  verb->add_option("--seeds", o.seeds, "runs per combination")->check(at_least(1));
  verb->add_option("--train-size", o.train_size, "training images; validation is a fifth of it on top")
      ->check(at_least(20));
  verb->add_option("--epochs", o.epochs, "passes over the training images")->check(at_least(1));
  verb->add_option("--weight-decay", o.weight_decay, "decoupled weight decay")->check(kNonNegative);
  verb->add_option("--rule", o.rule, "of the smoothed runs: uniform, others, flip or additive");
  verb->add_option("--seed", o.seed, "the first seed")->check(at_least(0));
  verb->add_option("--out", o.out,
                   "folder of the results, study/quick, study/full or study/custom by default");
  verb->add_flag("--resume", o.resume, "go on with a study that was stopped");
  verb->add_flag("--quiet", o.quiet, "no progress");
  verb->add_flag("--json", o.json, "print results.json in place of the verdict box");
  return verb;
}

CLI::App* add_train(CLI::App& app, TrainOptions& o) {
  CLI::App* verb = app.add_subcommand("train", "one training run");
  verb->add_option("--data", o.data, "fashion-mnist, or a folder of IDX or .npy files");
  verb->add_option("--smoothing", o.smoothing, "amount of smoothing")->check(kUnit);
  verb->add_option("--rule", o.rule, kRules);
  verb->add_option("--noise", o.noise, "rate of wrong labels")->check(kUnit);
  verb->add_option("--weight-decay", o.weight_decay, "decoupled weight decay")->check(kNonNegative);
  verb->add_option("--epochs", o.epochs, "passes over the training images")->check(at_least(1));
  verb->add_option("--train-size", o.train_size, "training images; validation is a fifth of it on top")
      ->check(at_least(20));
  add_list(verb, "--hidden", o.hidden, "widths of the hidden layers")->check(at_least(1));
  verb->add_option("--seed", o.seed, "of the split, the noise, the weights and the order")
      ->check(at_least(0));
  verb->add_option("--out", o.out, "folder for logits, labels and metrics.jsonl");
  verb->add_flag("--quiet", o.quiet, "no progress");
  verb->add_flag("--json", o.json, "print one JSON object");
  return verb;
}

CLI::App* add_report(CLI::App& app, ReportOptions& o) {
  CLI::App* verb = app.add_subcommand("report", "results.json as one HTML page that needs nothing else");
  verb->add_option("RESULTS", o.results, "a results.json of study")->required();
  verb->add_option("-o,--out", o.out, "the page, report.html beside the results by default");
  verb->add_option("--lang", o.language, "its language")->check(CLI::IsMember({"en", "zh"}));
  verb->add_flag("--json", o.json, "print one JSON object");
  return verb;
}

CLI::App* add_loss(CLI::App& app, LossOptions& o) {
  CLI::App* verb = app.add_subcommand("loss", "loss and gradient of files (.npy, - is standard input)");
  verb->add_option("LOGITS", o.logits, "f32 or f64, any number of dimensions")->required();
  verb->add_option("LABELS", o.labels, "integers, the logits' shape without the class axis")->required();
  verb->add_option("--smoothing", o.smoothing, "amount of smoothing")->check(kUnit);
  verb->add_option("--rule", o.rule, std::string(kRules) + ", or prior with --prior");
  verb->add_option("--prior", o.prior, "(classes,), sums to 1");
  verb->add_option("--axis", o.axis, "the class axis");
  verb->add_option("--class-weights", o.class_weights, "(classes,), per term as in PyTorch");
  verb->add_option("--ignore-index", o.ignore_index, "rows with this label do not count")
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  verb->add_option("--reduction", o.reduction, "over the rows")
      ->check(CLI::IsMember({"mean", "sum", "none"}));
  verb->add_option("--empty", o.empty, "what a mean over nothing is")
      ->check(CLI::IsMember({"nan", "zero", "error"}));
  verb->add_option("--grad", o.grad, "write the gradient of the reduced loss");
  verb->add_option("--losses", o.losses, "write the weighted, undivided row losses as f64");
  verb->add_flag("--json", o.json, "print one JSON object");
  return verb;
}

void run(int argc, char** argv) {
  CLI::App app("Label smoothing: the loss, and the evidence.", "labelsmooth");
  app.set_version_flag("--version", std::string("labelsmooth ") + kVersion);
  app.require_subcommand(1);
  int thread_count = 0;
  StudyOptions study_options;
  TrainOptions train_options;
  ReportOptions report_options;
  LossOptions loss_options;
  bool info_json = false;
  CLI::App* study_verb = add_study(app, study_options);
  CLI::App* train_verb = add_train(app, train_options);
  CLI::App* report_verb = add_report(app, report_options);
  CLI::App* loss_verb = add_loss(app, loss_options);
  CLI::App* info_verb = app.add_subcommand("info", "version, instruction sets, threads, BLAS, data found");
  info_verb->add_flag("--json", info_json, "print one JSON object");
  for (CLI::App* verb : {study_verb, loss_verb, info_verb}) {
    verb->add_option("--threads", thread_count, "threads to use")->check(CLI::Range(1, 1024));
  }

  // CLI11 would call an unknown verb a missing one.
  const auto is_verb = [&](const CLI::App* verb) { return verb->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_verb).empty()) {
    throw UsageError(argv[1], "no such verb; labelsmooth --help lists them");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help or --version
    app.exit(asked);
    return;
  } catch (const CLI::ParseError& error) {
    throw UsageError("command line", std::string(error.what()) + "; see labelsmooth --help");
  }
  set_threads(thread_count);
  if (study_verb->parsed()) study(study_options);
  if (train_verb->parsed()) train(train_options);
  if (report_verb->parsed()) report(report_options);
  if (loss_verb->parsed()) loss(loss_options);
  if (info_verb->parsed()) info(info_json);
}

}  // namespace
}  // namespace labelsmooth

int main(int argc, char** argv) {
  const auto fail = [](const char* what, int code) {
    std::fflush(stdout);
    std::fprintf(stderr, "labelsmooth: %s\n", what);
    return code;
  };
  try {
    labelsmooth::run(argc, argv);
  } catch (const labelsmooth::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
  return std::fflush(stdout) == 0 ? 0 : fail("standard output: cannot be written", 1);
}
