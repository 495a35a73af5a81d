// SPDX-License-Identifier: MIT
#include "compare/text.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max
#include <vector>     // std::vector

#include "compare/page.h"

namespace labelsmooth::compare {
namespace {

using nlohmann::json;

std::string number(const json& value) {
  return value.is_null() ? "n/a" : fmt::format("{:.4f}", value.get<double>());
}
std::string with_sign(const json& value) {
  return value.is_null() ? "n/a" : fmt::format("{:+.4f}", value.get<double>());
}
std::string interval(const json& one) {
  return one["low"].is_null() ? "n/a"
                              : fmt::format("[{}, {}]", with_sign(one["low"]), with_sign(one["high"]));
}
std::string p_text(const json& p) {
  if (p.is_null()) return "";
  return p < 1e-4 ? "<0.0001" : number(p);
}

// The first `left` columns and the last to the left, numbers to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows, size_t left) {
  std::vector<size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) line += "  ";
      line += c < left || c + 1 == row.size() ? fmt::format("{:<{}}", row[c], width[c])
                                              : fmt::format("{:>{}}", row[c], width[c]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

const json& model_named(const json& models, const std::string& name) {
  return *std::find_if(models.begin(), models.end(), [&](const json& one) { return one["name"] == name; });
}

// What an endpoint sets against what, and in which of the metric's lines it stands.
struct Line {
  const char *metric, *endpoint, *compared;
};
constexpr Line kLines[] = {
    {"accuracy", "accuracy", "as trained"}, {"nll", "nll", "as trained"},
    {"", "nll_calibrated", "both with T"},  {"", "nll_against_calibrated", "against T"},
    {"brier", "brier", "as trained"},       {"", "brier_calibrated", "both with T"},
    {"augrc", "augrc", "as trained"},       {"", "augrc_calibrated", "both with T"},
    {"gap", "gap", "as trained"},           {"", "gap_calibrated", "both with T"}};

std::string table(const json& result, const json& differences, const json& models, const std::string& name) {
  const std::string baseline = result["baseline"];
  const json &base = model_named(models, baseline), &model = model_named(models, name);
  std::vector<std::vector<std::string>> rows = {
      {"", baseline, "+T", name, "+T", "compared", "difference", "95 % interval", "Holm p", "verdict"}};
  for (const Line& line : kLines) {
    const std::string metric = line.metric;
    std::vector<std::string> row = {metric, "", "", "", ""};
    if (!metric.empty()) {
      const bool same = metric == "accuracy";  // which no temperature changes
      row = {metric, number(base["metrics"][metric]), same ? "" : number(base["calibrated"][metric]),
             number(model["metrics"][metric]), same ? "" : number(model["calibrated"][metric])};
    }
    for (const json& one : differences) {
      if (one["name"] != name || one["metric"] != line.endpoint) continue;
      for (const std::string& cell : {std::string(line.compared), with_sign(one["difference"]), interval(one),
                                      p_text(one["p_holm"]), one["verdict"].get<std::string>()}) {
        row.push_back(cell);
      }
    }
    rows.push_back(row);
  }
  return aligned(rows, 1);
}

std::string temperatures(const json& models) {
  std::vector<std::vector<std::string>> rows = {{"model", "runs", "T"}};
  for (const json& model : models) {
    std::string text = fmt::format("{:.3f}", model["calibrated"]["temperature"].get<double>());
    if (model["at_bound"]) text += " (at a bound)";
    rows.push_back({model["name"], model["seeds"].dump(), text});
  }
  return aligned(rows, 1);
}

}  // namespace

std::string text(const json& result) {
  const std::string baseline = result["baseline"];
  std::string out;
  for (const json& model : result["models"]) {
    const std::string name = model["name"];
    if (name == baseline) continue;
    out += fmt::format("{} against {}\n", name, baseline) +
           table(result, result["differences"], result["models"], name) + "\n";
  }
  for (const json& group : result.value("groups", json::array())) {
    for (const json& model : group["models"]) {
      const std::string name = model["name"];
      if (name == baseline) continue;
      out += fmt::format("group {} ({} rows): {} against {}\n", group["group"].get<std::string>(),
                         group["rows"].get<int64_t>(), name, baseline);
      out += group["differences"].empty() ? "too few rows for an interval\n\n"
                                          : table(result, group["differences"], group["models"], name) + "\n";
    }
  }
  out += temperatures(result["models"]) + "\nAdvice\n";
  for (const json& one : result["advice"]) out += "- " + one["advice"].get<std::string>() + "\n";
  out += "\nagainst T: as trained, against " + baseline + " with T. gap: mean confidence - accuracy.\n";
  for (const std::string& note : notes(result, "en")) out += note + "\n";
  return out;
}

}  // namespace labelsmooth::compare
