// SPDX-License-Identifier: MIT
// convert: an amount of smoothing from one rule or framework to another.
#include <fmt/format.h>  // fmt::print
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::min
#include <cmath>      // std::abs
#include <map>        // std::map
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "command_line.h"
#include "convert/convention.h"
#include "errors.h"
#include "verbs.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

struct ConvertOptions {
  std::string from, to;
  int64_t classes = 0;
  double amount = 0;
  bool json = false;
};

// 1 but for the rounding of a mass.
bool is_one(double mass) { return std::abs(mass - 1) < 1e-12; }

const Convention& convention(const char* flag, const std::string& name, int64_t classes) {
  const Convention* found = find_convention(name);
  if (found == nullptr) {
    throw UsageError(flag, fmt::format("'{}' found, labelsmooth convert --help lists what is allowed", name));
  }
  if (found->classes != 0 && found->classes != classes) {
    throw UsageError("--classes", fmt::format("{} found, {} has {}", classes, name, found->classes));
  }
  return *found;
}

json side(const Convention& convention, double amount, int64_t classes) {
  const Smoothing smoothing = smoothing_of(convention, amount);
  const std::vector<double> q = target(smoothing, classes, 0);
  return {{"name", convention.name},
          {"rule", convention.rule},
          {"text", convention.text},
          {"smoothing", amount},
          {"target_label", q[0]},
          {"target_other", classes > 1 ? json(q[1]) : json()},
          {"mass", mass(smoothing, classes)}};
}

// What targets are that a pipeline (mixup) smooths and then the loss again. Null where the first pass leaves
// no distribution for the second, or where no amount of `to` is that much.
json twice(const Smoothing& from, const Convention& to, int64_t classes) {
  if (!is_one(mass(from, classes))) return nullptr;
  const auto [a, b] = affine(from, classes);
  try {  // a (a t + b u) + b u has the prior part b (1 + a)
    const Equivalent found = convert(uniform(std::min(b * (1 + a), 1.)), to, classes);
    return {{"smoothing", found.amount}, {"scale", found.scale}};
  } catch (const Error&) {
    return nullptr;
  }
}

json conversion(const ConvertOptions& options) {
  const Convention& from = convention("--from", options.from, options.classes);
  const Convention& to = convention("--to", options.to, options.classes);
  try {
    const Smoothing smoothing = smoothing_of(from, options.amount);
    const Equivalent found = convert(smoothing, to, options.classes);
    return {{"smoothing", found.amount},
            {"scale", found.scale},
            {"classes", options.classes},
            {"from", side(from, options.amount, options.classes)},
            {"to", side(to, found.amount, options.classes)},
            {"twice", twice(smoothing, to, options.classes)}};
  } catch (const Error& error) {  // about numbers that the command line gave
    throw UsageError(fmt::format("{} {} to {}", from.name, options.amount, to.name), error.found);
  }
}

std::string row(const json& found, const char* title, const char* key) {
  const auto cell = [&](const char* side) {
    const json& value = found[side][key];
    if (value.is_string()) return value.get<std::string>();
    return value.is_null() ? std::string("-") : fmt::format("{:.12g}", value.get<double>());
  };
  return fmt::format("{:<28}{:>20}{:>20}\n", title, cell("from"), cell("to"));
}

std::string text_of(const json& found) {
  const json &from = found["from"], &to = found["to"], &twice = found["twice"];
  const auto amount = [](const json& side, const json& smoothing) {
    return fmt::format("{} {:.12g}", side["name"].get<std::string>(), smoothing.get<double>());
  };
  const double scale = found["scale"];
  const int64_t classes = found["classes"];
  std::string text = fmt::format("{} is {} with {} {}", amount(from, from["smoothing"]),
                                 amount(to, to["smoothing"]), classes, classes == 1 ? "class" : "classes");
  text += is_one(scale) ? "\n\n" : fmt::format(" and a learning rate {:.12g} times as large\n\n", scale);
  for (const auto& [title, key] : {std::pair{"", "name"},
                                   {"rule", "rule"},
                                   {"smoothing", "smoothing"},
                                   {"target of the label", "target_label"},
                                   {"target of each other class", "target_other"},
                                   {"mass, the sum of the target", "mass"}}) {
    text += row(found, title, key);
  }
  text += "\n";
  for (const json* side : {&from, &to}) {
    if ((*side)["text"] == "" || (side == &to && to["name"] == from["name"])) continue;
    text += fmt::format("{}: {}.\n", (*side)["name"].get<std::string>(), (*side)["text"].get<std::string>());
  }
  if (!is_one(scale))
    text += fmt::format("loss({}) = {:.12g} loss({}), and so the gradients.\n",
                        amount(from, from["smoothing"]), scale, amount(to, to["smoothing"]));
  if (classes == 1)
    text += "With 1 class the target is that class whatever the amount: a rule of mass 1 changes nothing.\n";
  if (classes == 2)
    text += "With 2 classes flip and others are the same, and each is uniform with twice the amount.\n";
  if (!twice.is_null()) {
    text += fmt::format(
        "Smoothed twice (the targets in a pipeline such as mixup, then again in the loss) it is {}.\n",
        amount(to, twice["smoothing"]));
  }
  return text;
}

// The names by rule, for --help.
std::string names_text() {
  std::map<std::string, std::vector<std::string>> names;
  for (const Convention& one : conventions()) names[one.rule].push_back(one.name);
  std::string text = "Rules and the names that stand for them:\n";
  for (const auto& [rule, of_rule] : names) text += fmt::format("  {}: {}\n", rule, fmt::join(of_rule, ", "));
  return text;
}

}  // namespace

void add_convert(CLI::App& app) {
  auto o = std::make_shared<ConvertOptions>();
  CLI::App* verb =
      app.add_subcommand("convert", "an amount of smoothing from one rule or framework to another");
  verb->add_option("--from", o->from, "the rule or framework that the amount is of")->required();
  verb->add_option("--to", o->to, "the one that is asked for")->required();
  verb->add_option("--classes", o->classes, "how many")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  verb->add_option("E", o->amount, "the amount")->required()->check(kUnit);
  verb->add_flag("--json", o->json, "print one JSON object");
  verb->footer(names_text());
  verb->callback([o] {
    const json found = conversion(*o);
    fmt::print("{}", o->json ? found.dump() + "\n" : text_of(found));
  });
}

}  // namespace labelsmooth
