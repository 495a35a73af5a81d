// SPDX-License-Identifier: MIT
#include "explain/statements.h"

#include <algorithm>  // std::min
#include <cmath>      // std::abs, std::isfinite, std::isnan
#include <optional>   // std::optional
#include <string>     // std::string, std::to_string
#include <utility>    // std::move
#include <vector>     // std::vector

#include "explain/words.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
using Verdict = std::optional<bool>;  // nullopt: nothing to decide

// What the rounding of a row's sums may leave, at the size of the numbers compared.
constexpr double kRounding = 1e-13;
bool exceeds(double x, double y) { return x - y > kRounding * (1 + std::abs(y)); }
bool equals(double x, double y) { return !exceeds(x, y) && !exceeds(y, x); }

// One rule on the sample.
struct Facts {
  Facts(const json& sample, const json& rule)
      : smoothing(sample["smoothing"]),
        hard(sample["rules"][0]["loss"]),
        loss(rule["loss"]),
        mass(rule["mass"]),
        floor(rule["floor"]),
        gap(rule["optimum_gap"]),
        optimum_gradient(rule["optimum_gradient"]),
        label(sample["label"]),
        target(rule["target"]),
        gradient(rule["gradient"]) {}

  /// Whether `test` holds of every wrong class; nothing to decide where there is none.
  template <class Test>
  Verdict every_wrong(const Test& test) const {
    for (size_t k = 0; k < target.size(); ++k) {
      if (k != label && !test(k)) return false;
    }
    return one_class() ? Verdict() : true;
  }
  bool one_class() const { return target.size() == 1; }
  // The gradient is mass * p - target: where that is 0, rounding leaves a little of the target. Not so under
  // hard labels, whose gradient is p - 1 or p, exact however small, and never 0 before the end.
  double slack(size_t k) const { return mass == target[label] ? 0 : kRounding * target[k]; }
  bool pushed_down(size_t k) const { return gradient[k] > slack(k); }
  bool pushed_up(size_t k) const { return gradient[k] < -slack(k); }

  double smoothing, hard, loss, mass, floor, gap, optimum_gradient;
  size_t label;
  std::vector<double> target, gradient;
};

struct Statement {
  const char* id;    // as verify has it; F8 is the document's formula
  const char* name;  // of its strings
  Verdict (*holds)(const Facts&);
};

const Statement kStatements[] = {
    {"S1", "label_only",
     [](const Facts& f) { return f.every_wrong([&](size_t k) { return f.target[k] == 0; }); }},
    {"S16", "wrong_ignored",
     [](const Facts& f) { return f.every_wrong([&](size_t k) { return !f.pushed_down(k); }); }},
    {"S11", "flipped",
     [](const Facts& f) -> Verdict {
       if (!equals(f.target[f.label], 1 - f.smoothing)) return false;
       return f.every_wrong([&](size_t k) { return equals(f.target[k], f.smoothing); });
     }},
    {"F8", "distribution", [](const Facts& f) -> Verdict { return equals(f.mass, 1); }},
    {"S14", "stops",
     [](const Facts& f) -> Verdict {
       if (f.one_class()) return {};
       return std::isfinite(f.gap) && f.optimum_gradient <= kRounding * f.mass;
     }},
    {"S17", "larger",
     [](const Facts& f) -> Verdict {
       if (std::isnan(f.loss - f.hard)) return {};
       return exceeds(f.loss, f.hard);
     }},
    {"S18", "counted",
     [](const Facts& f) { return f.every_wrong([&](size_t k) { return f.target[k] > 0; }); }},
    {"S18", "returns", [](const Facts& f) -> Verdict { return !exceeds(f.floor, f.hard); }},
    {"S18", "label_up",
     [](const Facts& f) -> Verdict {
       if (f.one_class()) return {};
       return f.pushed_up(f.label);
     }},
    {"S18", "wrong_down",
     [](const Facts& f) { return f.every_wrong([&](size_t k) { return f.pushed_down(k); }); }},
};

std::string name_of(const json& rule) { return rule["rule"]; }
bool has_meaning(const json& rule) { return rule["reason"].is_null(); }

// The words of a remark: the numbers and names in it, by what it calls them.
class Words {
 public:
  Words(const json& sample, const Strings& say) : sample_(sample), say_(say) {}

  /// "uniform, flip": the rules of which `test` holds.
  template <class Test>
  std::string rules_where(const Test& test) const {
    std::vector<std::string> names;
    for (const json& rule : sample_["rules"]) {
      if (has_meaning(rule) && test(rule)) names.push_back(name_of(rule));
    }
    return listed(names, say_, "no_rule");
  }

  /// "uniform 0.1, others 0.125": a number of each rule that smooths.
  template <class Value>
  std::string by_rule(const Value& value) const {
    std::vector<std::string> parts;
    for (const json& rule : sample_["rules"]) {
      if (has_meaning(rule) && name_of(rule) != "none") parts.push_back(name_of(rule) + " " + value(rule));
    }
    return listed(parts, say_, "no_rule");
  }

  /// "uniform (0, 1, 2, 4, 5 and 9 more)": the classes pushed up, by rule.
  std::string pushed_up() const {
    constexpr size_t kShown = 5;
    std::vector<std::string> parts;
    for (const json& rule : sample_["rules"]) {
      const std::vector<size_t> classes = rule["pushed_up"];
      if (classes.empty()) continue;
      std::vector<std::string> names;
      for (size_t i = 0; i < std::min(classes.size(), kShown); ++i)
        names.push_back(std::to_string(classes[i]));
      std::string text = listed(names, say_, "no_class");
      if (classes.size() > kShown) text += say_("more", {{"count", std::to_string(classes.size() - kShown)}});
      parts.push_back(name_of(rule) + " (" + text + ")");
    }
    return listed(parts, say_, "no_class");
  }

 private:
  const json& sample_;
  const Strings& say_;
};

std::string remark(const std::string& name, const json& holds, const json& sample, const Strings& say) {
  const Words words(sample, say);
  const json &none = sample["rules"][0], &uniform = sample["rules"][1];
  const size_t label = sample["label"];
  const double p = sample["probabilities"][label];
  double wrong = 0;
  for (size_t k = 0; k < none["gradient"].size(); ++k) {
    if (k != label) wrong += none["gradient"][k].get<double>();
  }
  const auto where = [&](bool verdict) {
    return words.rules_where([&](const json& rule) { return holds[name_of(rule)] == verdict; });
  };
  const auto each = [&](const char* key) {
    return words.by_rule([&](const json& rule) { return number(rule[key]); });
  };
  return say("remark." + name,
             {{"hard", number(none["loss"])},
              {"uniform", number(uniform["loss"])},
              {"even", number(uniform["loss_even"])},
              {"wrong", number(wrong)},
              {"push", number(none["gradient"][label])},
              {"pushes", words.by_rule([&](const json& rule) { return number(rule["gradient"][label]); })},
              {"p", number(p)},
              {"geometric", number(sample["geometric_mean"])},
              {"yes", where(true)},
              {"no", where(false)},
              {"floors", each("floor")},
              {"probabilities", each("optimum_probability")},
              {"beyond",
               words.rules_where([&](const json& rule) { return exceeds(p, rule["optimum_probability"]); })},
              {"amounts", words.by_rule([](const json& rule) {
                 return number(rule["effective_smoothing"]) + " × " + number(rule["scale"]);
               })},
              {"up", words.pushed_up()}});
}

}  // namespace

void add_statements(json& sample, const Strings& say) {
  std::vector<std::optional<Facts>> facts;  // of each rule; none where it means nothing
  for (json& rule : sample["rules"]) {
    rule["pushed_up"] = json::array();
    facts.emplace_back();
    if (!has_meaning(rule)) continue;
    const Facts& f = facts.back().emplace(sample, rule);
    for (size_t k = 0; k < f.target.size(); ++k) {
      if (k != f.label && f.pushed_up(k)) rule["pushed_up"].push_back(k);
    }
  }
  json statements = json::array();
  for (const Statement& statement : kStatements) {
    json holds = json::object();
    for (size_t i = 0; i < facts.size(); ++i) {
      const Verdict verdict = facts[i] ? statement.holds(*facts[i]) : Verdict();
      holds[name_of(sample["rules"][i])] = verdict ? json(*verdict) : json();
    }
    const std::string name = statement.name;
    statements.push_back({{"id", statement.id},
                          {"statement", name},
                          {"claim", say("claim." + name)},
                          {"holds", holds},
                          {"text", remark(name, holds, sample, say)}});
  }
  sample["statements"] = std::move(statements);
}

}  // namespace labelsmooth
