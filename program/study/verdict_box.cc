// SPDX-License-Identifier: MIT
#include "study/verdict_box.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::find, std::max, std::min, std::sort
#include <cmath>      // std::isfinite
#include <nlohmann/json.hpp>
#include <vector>  // std::vector

#include "study/own.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

struct Endpoint {
  const char *metric, *shown;
};
constexpr Endpoint kEndpoints[] = {{"accuracy", "accuracy"},
                                   {"nll", "NLL"},
                                   {"nll_calibrated", "NLL, with T"},
                                   {"augrc_calibrated", "AUGRC, with T"}};
constexpr int kNameWidth = 14, kBlockWidth = 52;

// What is unknown is null in a file, and NaN before it is written.
bool known(const json& value) { return value.is_number() && std::isfinite(value.get<double>()); }

// Four decimals without the leading zero.
std::string number(const json& value, const char* format = "{:.4f}") {
  if (!known(value)) return "n/a";
  std::string text = fmt::format(fmt::runtime(format), value.get<double>());
  const size_t digits = text[0] == '+' || text[0] == '-';
  if (text.compare(digits, 2, "0.") == 0) text.erase(digits, 1);
  return text;
}
std::string difference(const json& row) { return number(row["difference"], "{:+.4f}"); }
std::string interval(const json& row) {
  if (!known(row["low"])) return "no interval";
  return fmt::format("[{},{}]", number(row["low"], "{:+.4f}"), number(row["high"], "{:+.4f}"));
}
std::string text_of(const json& row, const char* key) { return row[key].get<std::string>(); }

// ---- What the box shows of all comparisons ----

bool shows(const json& results, const json& row) {
  return row["contrast"] == "smoothed - hard" && row["epoch"] == "last" && row["rule"] == results["rule"] &&
         row["noise_kind"] == "symmetric" && row["smoothing"].is_number();
}

// The primary settings where the grid has them, else the first two.
std::vector<std::string> settings_of(const json& results) {
  std::vector<std::string> all, primary;
  const auto add = [](std::vector<std::string>& list, const std::string& setting) {
    if (std::find(list.begin(), list.end(), setting) == list.end()) list.push_back(setting);
  };
  for (const json& row : results["comparisons"]) {
    if (!shows(results, row)) continue;
    add(all, text_of(row, "setting"));
    if (row["primary"]) add(primary, text_of(row, "setting"));
  }
  std::vector<std::string>& chosen = primary.empty() ? all : primary;
  std::sort(chosen.rbegin(), chosen.rend());  // over-trained before normal
  chosen.resize(std::min<size_t>(chosen.size(), 2));
  return chosen;
}

// The least noise, and the primary amount where the grid has it, else the largest.
struct Shown {
  std::string setting;
  double noise = 1, smoothing = 0;
  bool tells_noise = true;        // whose labels may be wrong is not known of the user's own data
  std::vector<const json*> rows;  // in the order of kEndpoints
};
Shown shown_of(const json& results, const std::string& setting) {
  Shown shown;
  shown.setting = setting;
  bool has_primary = false;
  for (const json& row : results["comparisons"]) {
    if (!shows(results, row) || row["setting"] != setting) continue;
    shown.noise = std::min(shown.noise, row["noise"].get<double>());
    shown.smoothing = std::max(shown.smoothing, row["smoothing"].get<double>());
    has_primary |= row["smoothing"] == primary_amount(results);
  }
  if (has_primary) shown.smoothing = primary_amount(results);
  shown.tells_noise = !is_own(results) || shown.noise > 0;
  for (const Endpoint& endpoint : kEndpoints) {
    for (const json& row : results["comparisons"]) {
      if (shows(results, row) && row["setting"] == setting && row["noise"] == shown.noise &&
          row["smoothing"] == shown.smoothing && row["metric"] == endpoint.metric) {
        shown.rows.push_back(&row);
      }
    }
  }
  return shown;
}

// ---- Layout ----

std::vector<std::string> block(const Shown& shown) {
  const json& first = *shown.rows[0];
  const std::string noise = shown.tells_noise ? fmt::format("noise {}, ", shown.noise) : "";
  const std::string amount =
      fmt::format("smoothing {}, {}{} seeds", shown.smoothing, noise, first["seeds"].get<int64_t>());
  std::vector<std::string> lines = {
      fmt::format("{:<{}}", shown.setting + ": " + amount, kBlockWidth),
      fmt::format("{:>6} {:>6} {:>6} {:^17} {:<12}", "hard", "smooth", "delta", "95 % interval", "verdict")};
  for (const json* row : shown.rows) {
    lines.push_back(fmt::format("{:>6} {:>6} {:>6} {:^17} {:<12}", number((*row)["reference"]),
                                number((*row)["value"]), difference(*row), interval(*row),
                                text_of(*row, "verdict")));
  }
  for (std::string& line : lines) line = fmt::format("{:<{}}", line, kBlockWidth);
  return lines;
}

std::vector<std::string> side_by_side(const std::vector<Shown>& settings) {
  std::vector<std::string> lines(2, std::string(kNameWidth, ' '));
  for (const Endpoint& endpoint : kEndpoints)
    lines.push_back(fmt::format("{:<{}}", endpoint.shown, kNameWidth));
  for (const Shown& shown : settings) {
    const std::vector<std::string> part = block(shown);
    for (size_t i = 0; i < lines.size(); ++i)
      lines[i] += (shown.setting == settings[0].setting ? " " : " | ") + part[i];
  }
  return lines;
}

std::vector<std::string> immunity(const json& results) {
  std::vector<std::string> lines;
  for (const json& row : results["comparisons"]) {
    if (row["contrast"] != "difference in differences") continue;
    if (lines.empty())
      lines = {"", "immunity: accuracy gained at 10 % wrong labels, less that gained at none"};
    lines.push_back(fmt::format("  {:<22} {:>6} {:^17} {}", text_of(row, "setting"), difference(row),
                                interval(row), text_of(row, "verdict")));
  }
  return lines;
}

// What the numbers rest on, of the built-in training or of the user's own.
std::vector<std::string> footer(const json& results) {
  const auto rows = results["data"]["test_rows"].get<int64_t>();
  const auto size = results["family"]["size"].get<int64_t>();
  std::vector<std::string> lines = {""};
  if (is_own(results)) {
    lines.push_back(fmt::format("Your own training: {} test rows, their labels taken as right.", rows));
    lines.push_back("T was fitted for each run on a random half of its validation rows.");
    lines.push_back(
        fmt::format("{} tests in the primary family, Holm, at smoothing {}.", size, primary_amount(results)));
  } else {
    lines.push_back(fmt::format(
        "{} clean test images; wrong labels are in training and validation alike, never in the test.", rows));
    lines.push_back("T was fitted on half of the validation set; the other half stopped the training early.");
    lines.push_back(
        size > 0 ? fmt::format(
                       "{} tests in the primary family, Holm; its settings were chosen after a pilot.", size)
                 : "A grid of your own: no primary family, so no verdict beyond screening.");
  }
  lines.push_back(
      "Verdicts need 5 seeds or more and the primary family; all else is screening. Lower NLL and AUGRC are "
      "better.");
  return lines;
}

// `text` on lines of at most `width`, a longer word on one of its own.
std::vector<std::string> wrap(std::string text, size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    size_t space = text.rfind(' ', width);
    if (space == std::string::npos) space = text.find(' ');
    if (space == std::string::npos) break;
    lines.push_back(text.substr(0, space));
    text.erase(0, space + 1);
  }
  lines.push_back(text);
  return lines;
}

void append(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

}  // namespace

std::string verdict_box(const json& results, int width) {
  std::vector<Shown> settings;
  for (const std::string& setting : settings_of(results)) settings.push_back(shown_of(results, setting));
  const auto inner = static_cast<size_t>(std::max(width, 4)) - 4;  // within the frame
  std::vector<std::string> lines;
  const auto say = [&](const std::string& text) { append(lines, wrap(text, inner)); };
  say(fmt::format("Did label smoothing ({}) help?", text_of(results, "rule")));
  say(text_of(results, "command"));
  say("");
  if (settings.empty()) say("nothing to compare: the grid has no smoothed runs beside hard ones");
  if (inner >= kNameWidth + 2 * kBlockWidth + 4 && settings.size() == 2) {
    append(lines, side_by_side(settings));
  } else {
    for (const Shown& shown : settings) append(lines, side_by_side({shown}));
  }
  append(lines, immunity(results));
  for (const std::string& line : footer(results)) say(line);

  size_t longest = 0;
  for (const std::string& line : lines) longest = std::max(longest, line.size());
  const std::string rule = fmt::format("+{:-<{}}+\n", "", longest + 2);
  std::string box = rule;
  for (const std::string& line : lines) box += fmt::format("| {:<{}} |\n", line, longest);
  return box + rule;
}

}  // namespace labelsmooth
