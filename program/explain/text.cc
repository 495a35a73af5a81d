// SPDX-License-Identifier: MIT
#include "explain/text.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::any_of, std::min, std::partial_sort, std::sort
#include <numeric>    // std::iota
#include <tuple>      // std::tuple
#include <vector>     // std::vector

#include "explain/words.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

// fmt pads to what a terminal shows: a Chinese character is two columns wide.
std::string row(const std::string& title, const std::vector<std::string>& cells) {
  std::string line = fmt::format("{:<44}", title);
  for (const std::string& cell : cells) line += fmt::format("{:>13}", cell);
  return line + "\n";
}

template <class Cell>
std::string row(const json& sample, const std::string& title, const Cell& cell) {
  std::vector<std::string> cells;
  for (const json& rule : sample["rules"]) cells.push_back(cell(rule));
  return row(title, cells);
}

std::string name_of(const json& rule) { return rule["rule"]; }

// The example's two losses, and what is special about so many classes or so much smoothing.
std::string notes(const json& sample, const Strings& say) {
  const json &rules = sample["rules"], &none = rules[0], &additive = rules[4];
  const size_t label = sample["label"];
  std::string lines;
  const auto add = [&](const std::string& line) { lines += line + "\n"; };
  if (sample["prediction"] == "document") {
    std::vector<std::string> target;
    for (const json& q : additive["target"]) target.push_back(number(q));
    add(say("note.example", {{"p", number(sample["probabilities"][label])},
                             {"hard", number(none["loss"])},
                             {"loss", number(additive["loss"])},
                             {"target", listed(target, say, "no_class")}}));
  }
  if (sample["smoothing"] == 0) add(say("note.zero"));
  if (sample["classes"] == 2) add(say("note.two"));
  std::vector<std::string> beyond;
  for (const json& rule : rules) {
    if (!rule["reason"].is_null())
      add(say("note.reason", {{"rule", name_of(rule)}, {"reason", rule["reason"]}}));
    if (rule["effective_smoothing"] > 1 + 1e-12) beyond.push_back(name_of(rule));
  }
  if (!beyond.empty()) add(say("note.beyond", {{"rules", listed(beyond, say, "no_rule")}}));
  return lines;
}

std::string rules_table(const json& sample, const Strings& say) {
  const size_t label = sample["label"], other = label == 0 ? 1 : 0;
  const auto target_at = [](size_t k) {
    return
        [k](const json& rule) { return k < rule["target"].size() ? number(rule["target"][k]) : number({}); };
  };
  std::string lines = row(sample, "", name_of);
  lines += row(sample, say("row.label"), target_at(label));
  lines += row(sample, say("row.other"), target_at(other));
  for (const char* key : {"mass", "loss", "loss_minus_hard", "floor", "optimum_probability", "optimum_gap",
                          "effective_smoothing", "scale"}) {
    lines += row(sample, say(std::string("row.") + key), [&](const json& rule) { return number(rule[key]); });
  }
  return lines;
}

// All classes where they are few, else the label and the likeliest others; in order.
std::vector<size_t> shown_classes(const json& sample) {
  constexpr size_t kShown = 10;
  const std::vector<double> p = sample["probabilities"];
  const size_t label = sample["label"], count = std::min(p.size(), kShown);
  std::vector<size_t> classes(p.size());
  std::iota(classes.begin(), classes.end(), 0);
  const auto before = [&](size_t x, size_t y) {
    return std::tuple(x != label, -p[x], x) < std::tuple(y != label, -p[y], y);
  };
  std::partial_sort(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(count), classes.end(),
                    before);
  classes.resize(count);
  std::sort(classes.begin(), classes.end());
  return classes;
}

std::string gradient_table(const json& sample, const Strings& say) {
  std::string lines = say("gradient") + "\n" + row(sample, "", name_of);
  const std::vector<size_t> shown = shown_classes(sample);
  for (const size_t k : shown) {
    const std::string title = say(k == sample["label"] ? "class.label" : "class.other",
                                  {{"class", std::to_string(k)}, {"p", number(sample["probabilities"][k])}});
    lines += row(sample, title, [&](const json& rule) {
      return rule["gradient"].is_null() ? number({}) : number(rule["gradient"][k]);
    });
  }
  const size_t rest = sample["probabilities"].size() - shown.size();
  if (rest > 0) lines += say("rest", {{"count", std::to_string(rest)}}) + "\n";
  return lines;
}

std::string statements_table(const json& sample, const Strings& say) {
  std::string lines = row(sample, say("statements"), name_of), remarks;
  for (const json& statement : sample["statements"]) {
    const std::string id = statement["id"];
    lines +=
        row(sample, fmt::format("{:<5}{}", id, statement["claim"].get<std::string>()), [&](const json& rule) {
          const json& holds = statement["holds"][name_of(rule)];
          return holds.is_null() ? number({}) : say(holds ? "yes" : "no");
        });
    const auto decided = [](const json& holds) { return !holds.is_null(); };
    if (std::any_of(statement["holds"].begin(), statement["holds"].end(), decided)) {
      remarks += fmt::format("{:<5}{}\n", id, statement["text"].get<std::string>());
    }
  }
  return lines + "\n" + remarks;
}

}  // namespace

std::string text_of(const json& sample, const Strings& say) {
  const std::string heading =
      say("heading", {{"classes", std::to_string(sample["classes"].get<size_t>())},
                      {"label", std::to_string(sample["label"].get<size_t>())},
                      {"smoothing", number(sample["smoothing"])},
                      {"prediction", say("prediction." + sample["prediction"].get<std::string>())}});
  return heading + "\n" + notes(sample, say) + "\n" + rules_table(sample, say) + "\n" +
         gradient_table(sample, say) + "\n" + statements_table(sample, say);
}

}  // namespace labelsmooth
