// SPDX-License-Identifier: MIT
// The pictures after the forest plot: amounts, reliability, label noise, risk and coverage.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::any_of, std::find, std::find_if, std::stable_partition, std::stable_sort

#include "report/sections.h"
#include "report/specs.h"

namespace labelsmooth::sections {
namespace {

using nlohmann::json;

// Hard labels and the study's own rule, not the others beside it.
bool is_of_rule(const Page& page, const json& arm) {
  return arm["rule"] == "none" || arm["rule"] == page.results["rule"];
}

std::vector<Row> amounts_of(const Page& page, const json& shown) {
  std::vector<Row> rows = page.arms([&](const json& arm) {
    return arm["setting"] == shown["setting"] && arm["noise"] == shown["noise"] &&
           arm["noise_kind"] == "symmetric" && is_of_rule(page, arm);
  });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return (*a.row)["smoothing"] < (*b.row)["smoothing"]; });
  return rows;
}

std::vector<Column> difference_columns(bool with_noise = false) {
  std::vector<Column> columns = {{"column.setting", {"setting"}, Format::setting},
                                 {"column.metric", {"metric"}, Format::metric}};
  if (with_noise) {
    columns.push_back({"column.epoch", {"epoch"}, Format::epoch});
    columns.push_back({"column.noise_kind", {"noise_kind"}, Format::noise_kind});
    columns.push_back({"column.noise", {"noise"}, Format::amount});
  }
  const std::vector<Column> rest = {{"column.smoothing", {"smoothing"}, Format::amount},
                                    {"column.seeds", {"seeds"}, Format::amount},
                                    {"column.hard", {"reference"}, Format::fixed},
                                    {"column.smoothed", {"value"}, Format::fixed},
                                    {"column.difference", {"difference"}, Format::signed_},
                                    {"column.interval", {"low", "high"}, Format::signed_interval},
                                    {"column.verdict", {"verdict"}, Format::verdict}};
  columns.insert(columns.end(), rest.begin(), rest.end());
  return columns;
}

std::vector<Row> differences(const Page& page, const std::vector<std::string>& metrics, bool tuned,
                             bool shown_only) {
  std::vector<Row> all;
  for (const json& shown : page.pictures()["shown"]) {
    for (const std::string& metric : metrics) {
      for (const Row& row : page.comparisons([&](const json& one) {
             return one["contrast"] == "smoothed - hard" && one["epoch"] == "last" &&
                    one["metric"] == metric && one["setting"] == shown["setting"] &&
                    one["noise"] == shown["noise"] && one["noise_kind"] == "symmetric" &&
                    (tuned ? one["rule"] == "tuned" : one["rule"] == page.results["rule"]) &&
                    (!shown_only || one["smoothing"] == shown["smoothing"]);
           })) {
        all.push_back(row);
      }
    }
  }
  return all;
}

// A table, or nothing where the grid has no rows for it.
std::string folded_if_any(const Strings& say, const Table& table) {
  return table.rows.empty() ? std::string() : folded(say, table);
}

}  // namespace

std::string sweep(Page& page) {
  const Strings& say = page.say;
  std::vector<std::string> charts;
  std::vector<Row> all;
  int index = 0;
  for (const json& shown : page.pictures()["shown"]) {
    const std::vector<Row> rows = amounts_of(page, shown);
    all.insert(all.end(), rows.begin(), rows.end());
    for (const char* metric : {"nll", "gap"}) {
      const std::string calibrated = std::string(metric) + "_calibrated";
      json spec = xy_spec(say("axis.smoothing"), say(std::string("axis.") + metric));
      spec["series"] = {
          series(say("as_trained"), "smoothed", estimates(rows, "smoothing", metric)),
          series(say("with_t"), "smoothed", estimates(rows, "smoothing", calibrated), "dashed")};
      for (const Row& row : rows) {
        const json& mean = (*row.row)[calibrated]["mean"];
        if ((*row.row)["rule"] == "none" && mean.is_number())
          spec["lines"].push_back({{"at", mean}, {"name", say("hard_t")}, {"color", "hard"}});
      }
      if (metric == std::string("gap")) spec["zero"] = true;
      charts.push_back(page.charts.panel(
          fmt::format("sweep-{}-{}", index, metric),
          say("sweep.panel", {{"title", page.title(shown)}, {"metric", say(std::string("axis.") + metric)}}),
          spec));
    }
    ++index;
  }
  const Table arms = {
      .id = "sweep-table",
      .caption = say("sweep.table"),
      .columns = {{"column.setting", {"setting"}, Format::setting},
                  {"column.smoothing", {"smoothing"}, Format::amount},
                  {"column.seeds", {"seeds"}, Format::amount},
                  {"column.nll", {"nll/mean"}, Format::fixed},
                  {"column.interval", {"nll/low", "nll/high"}, Format::interval},
                  {"column.nll_t", {"nll_calibrated/mean"}, Format::fixed},
                  {"column.interval", {"nll_calibrated/low", "nll_calibrated/high"}, Format::interval},
                  {"column.gap", {"gap/mean"}, Format::signed_},
                  {"column.interval", {"gap/low", "gap/high"}, Format::signed_interval},
                  {"column.gap_t", {"gap_calibrated/mean"}, Format::signed_},
                  {"column.interval", {"gap_calibrated/low", "gap_calibrated/high"}, Format::signed_interval},
                  {"column.temperature", {"temperature/mean"}, Format::fixed}},
      .rows = all};
  const Table paired = {
      .id = "sweep-paired",
      .caption = say("sweep.paired"),
      .columns = difference_columns(),
      .rows = differences(page, {"nll", "nll_calibrated", "gap", "gap_calibrated"}, false, false)};
  Table tuned = {
      .id = "sweep-tuned",
      .caption = say("sweep.tuned"),
      .columns = difference_columns(),
      .rows = differences(page, {"accuracy", "nll", "nll_calibrated", "augrc_calibrated"}, true, false)};
  tuned.columns[2] = {"column.chosen", {"chosen"}, Format::amount};
  const json& share = page.pictures()["conventions"]["validation_share"];
  return figure("sweep", say("sweep.title"), panels(charts, "pairs"),
                say("sweep.caption", {{"seeds", page.seeds()},
                                      {"rows", page.text(page.results["data"]["test_rows"])},
                                      {"share", page.text(share)}}),
                folded(say, arms) + folded_if_any(say, paired) + folded_if_any(say, tuned));
}

std::string reliability(Page& page) {
  const Strings& say = page.say;
  const json &all = page.pictures()["reliability"], &conventions = page.pictures()["conventions"];
  std::vector<std::string> charts;
  std::string tables, seed;
  int index = 0;
  for (const json& arm : all) {
    const bool hard = arm["rule"] == "none";
    const std::string name = say(hard ? "hard" : "smoothed_by", {{"smoothing", page.text(arm["smoothing"])}});
    const std::string title =
        say("reliability.panel",
            {{"title", page.title(arm)}, {"arm", name}, {"kind", page.text(arm["with_temperature"])}});
    const std::string id = fmt::format("reliability-{}", index);
    charts.push_back(page.charts.panel(id, title, reliability_spec(say, arm), histogram_spec(say, arm)));
    const Table bins = {.id = id + "-table",
                        .caption = title,
                        .columns = {{"column.from_to", {"from", "to"}, Format::bin},
                                    {"column.count", {"count"}, Format::amount},
                                    {"column.confidence", {"confidence"}, Format::fixed},
                                    {"column.accuracy", {"accuracy"}, Format::fixed},
                                    {"column.band", {"band_low", "band_high"}, Format::interval}},
                        .rows = rows_of(arm["bins"], fmt::format("/pictures/reliability/{}/bins", index))};
    tables += folded(say, bins);
    seed = page.text(arm["seed"]);
    ++index;
  }
  const Table summary = {.id = "reliability-table",
                         .caption = say("reliability.table"),
                         .columns = {{"column.setting", {"setting"}, Format::setting},
                                     {"column.smoothing", {"smoothing"}, Format::amount},
                                     {"column.kind", {"with_temperature"}, Format::temperature},
                                     {"column.temperature", {"temperature"}, Format::fixed},
                                     {"column.accuracy", {"accuracy"}, Format::fixed},
                                     {"column.mean_confidence", {"confidence"}, Format::fixed},
                                     {"column.gap", {"gap"}, Format::signed_},
                                     {"column.ece", {"ece"}, Format::fixed},
                                     {"column.ece_null", {"ece_null_mean"}, Format::fixed},
                                     {"column.ece_null95", {"ece_null_p95"}, Format::fixed},
                                     {"column.ece_p", {"ece_p"}, Format::p},
                                     {"column.training_target", {"training_target"}, Format::fixed}},
                         .rows = rows_of(all, "/pictures/reliability")};
  return figure("reliability", say("reliability.title"), panels(charts, "small"),
                say("reliability.caption", {{"bins", page.text(conventions["bins"])},
                                            {"sd", page.text(conventions["band_sd"])},
                                            {"redraws", page.text(conventions["null_redraws"])},
                                            {"rows", page.text(page.results["data"]["test_rows"])},
                                            {"seed", seed}}),
                html(say, summary) + tables);
}

namespace {

// One setting with several rates of noise, and the amount shown beside hard labels.
struct NoiseSetting {
  std::string setting;
  json smoothing;  // null: hard labels only
};

std::vector<NoiseSetting> noise_settings(const Page& page) {
  std::vector<NoiseSetting> settings;
  for (const json& arm : page.pictures()["arms"]) {
    const std::string setting = arm["setting"];
    const auto same = [&](const NoiseSetting& one) { return one.setting == setting; };
    if (std::find_if(settings.begin(), settings.end(), same) != settings.end()) continue;
    json rates = json::array(), smoothing;
    for (const Row& row : page.arms([&](const json& one) {
           return one["setting"] == setting && one["noise_kind"] == "symmetric" && is_of_rule(page, one);
         })) {
      const json &rate = (*row.row)["noise"], &amount = (*row.row)["smoothing"];
      if (std::find(rates.begin(), rates.end(), rate) == rates.end()) rates.push_back(rate);
      if (amount != 0 && smoothing != page.pictures()["conventions"]["primary_smoothing"]) smoothing = amount;
    }
    if (rates.size() > 1) settings.push_back({setting, smoothing});
  }
  const auto is_shown = [&](const NoiseSetting& one) {
    const json& all = page.pictures()["shown"];
    return std::any_of(all.begin(), all.end(),
                       [&](const json& shown) { return shown["setting"] == one.setting; });
  };
  std::stable_partition(settings.begin(), settings.end(), is_shown);
  return settings;
}

std::string noise_panel(Page& page, const NoiseSetting& one, int index) {
  const Strings& say = page.say;
  json accuracy = xy_spec(say("axis.noise"), say("axis.accuracy"));
  json memorised = xy_spec(say("axis.noise"), say("axis.memorised"));
  memorised["y"]["min"] = 0, memorised["y"]["max"] = 1;
  for (const bool hard : {true, false}) {
    std::vector<Row> rows = page.arms([&](const json& arm) {
      return arm["setting"] == one.setting && arm["noise_kind"] == "symmetric" &&
             (hard ? arm["rule"] == "none"
                   : arm["rule"] == page.results["rule"] && arm["smoothing"] == one.smoothing);
    });
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return (*a.row)["noise"] < (*b.row)["noise"]; });
    if (rows.empty()) continue;
    for (json* spec : {&accuracy, &memorised}) {  // one axis above the other
      (*spec)["x"]["min"] = (*rows.front().row)["noise"];
      (*spec)["x"]["max"] = (*rows.back().row)["noise"];
    }
    const char* color = hard ? "hard" : "smoothed";
    const std::string name = say(hard ? "hard" : "smoothed_by", {{"smoothing", page.text(one.smoothing)}});
    const std::string fixed = say("arm.fixed", {{"arm", name}}), early = say("arm.early", {{"arm", name}});
    accuracy["series"].push_back(series(fixed, color, estimates(rows, "noise", "accuracy")));
    accuracy["series"].push_back(series(early, color, estimates(rows, "noise", "early_accuracy"), "dashed"));
    memorised["series"].push_back(series(fixed, color, estimates(rows, "noise", "memorised")));
    memorised["series"].push_back(
        series(early, color, estimates(rows, "noise", "early_memorised"), "dashed"));
  }
  memorised["legend"] = false;
  memorised["y"]["ticks"] = 3;
  accuracy["dodge"] = memorised["dodge"] = true;
  return page.charts.panel(fmt::format("noise-{}", index), setting_name(say, one.setting), accuracy,
                           memorised);
}

}  // namespace

std::string noise(Page& page) {
  const Strings& say = page.say;
  const std::vector<NoiseSetting> settings = noise_settings(page);
  if (settings.empty()) return figure("noise", say("noise.title"), "", say("noise.none"), "");
  std::vector<std::string> charts;
  std::vector<Row> arms, paired;
  for (const NoiseSetting& one : settings) {
    charts.push_back(noise_panel(page, one, static_cast<int>(charts.size())));
    for (const Row& row : page.arms([&](const json& arm) {
           return arm["setting"] == one.setting && is_of_rule(page, arm) &&
                  (arm["rule"] == "none" || arm["smoothing"] == one.smoothing);
         })) {
      arms.push_back(row);
    }
    for (const Row& row : page.comparisons([&](const json& row) {
           return row["setting"] == one.setting && row["metric"] == "accuracy" &&
                  row["contrast"] == "smoothed - hard" && row["rule"] == page.results["rule"] &&
                  row["smoothing"] == one.smoothing;
         })) {
      paired.push_back(row);
    }
  }
  const Table table = {
      .id = "noise-table",
      .caption = say("noise.table"),
      .columns = {{"column.setting", {"setting"}, Format::setting},
                  {"column.noise_kind", {"noise_kind"}, Format::noise_kind},
                  {"column.noise", {"noise"}, Format::amount},
                  {"column.realised", {"realised_rate/mean"}, Format::fixed},
                  {"column.smoothing", {"smoothing"}, Format::amount},
                  {"column.seeds", {"seeds"}, Format::amount},
                  {"column.accuracy_last", {"accuracy/mean"}, Format::fixed},
                  {"column.interval", {"accuracy/low", "accuracy/high"}, Format::interval},
                  {"column.accuracy_early", {"early_accuracy/mean"}, Format::fixed},
                  {"column.interval", {"early_accuracy/low", "early_accuracy/high"}, Format::interval},
                  {"column.memorised", {"memorised/mean"}, Format::fixed},
                  {"column.memorised_early", {"early_memorised/mean"}, Format::fixed}},
      .rows = arms};
  const Table differences = {.id = "noise-paired",
                             .caption = say("noise.paired"),
                             .columns = difference_columns(true),
                             .rows = paired};
  return figure("noise", say("noise.title"), panels(charts, "pairs"), say("noise.caption"),
                folded(say, table) + folded_if_any(say, differences));
}

std::string risk_coverage(Page& page) {
  const Strings& say = page.say;
  std::vector<std::string> charts;
  std::vector<Row> arms;
  std::string tables;
  int index = 0;
  for (const json& shown : page.pictures()["risk_coverage"]) {
    json spec = xy_spec(say("axis.coverage"), say("axis.risk"));
    spec["x"]["min"] = 0, spec["x"]["max"] = 1, spec["y"]["min"] = 0;
    const std::string smoothed = say("smoothed_by", {{"smoothing", page.text(shown["smoothing"])}});
    for (const auto& [key, name] :
         {std::pair<const char*, std::string>{"hard", say("hard")}, {"smoothed", smoothed}}) {
      json points = curve(shown["points"], "coverage", key);
      if (!points.empty())
        spec["series"].push_back(series(say("arm.with_t", {{"arm", name}}), key, points, "curve"));
    }
    const std::string id = fmt::format("risk-{}", index);
    charts.push_back(page.charts.panel(id, page.title(shown), spec));
    tables += folded(
        say, {.id = id + "-table",
              .caption = say("risk.points", {{"title", page.title(shown)}}),
              .columns = {{"column.coverage", {"coverage"}, Format::fixed},
                          {"column.risk_hard", {"hard"}, Format::fixed},
                          {"column.risk_smoothed", {"smoothed"}, Format::fixed}},
              .rows = rows_of(shown["points"], fmt::format("/pictures/risk_coverage/{}/points", index))});
    for (const Row& row : amounts_of(page, shown)) {
      if ((*row.row)["rule"] == "none" || (*row.row)["smoothing"] == shown["smoothing"]) arms.push_back(row);
    }
    ++index;
  }
  const Table summary = {
      .id = "risk-table",
      .caption = say("risk.table"),
      .columns = {{"column.setting", {"setting"}, Format::setting},
                  {"column.smoothing", {"smoothing"}, Format::amount},
                  {"column.seeds", {"seeds"}, Format::amount},
                  {"column.accuracy", {"accuracy/mean"}, Format::fixed},
                  {"column.auroc", {"auroc_calibrated/mean"}, Format::fixed},
                  {"column.interval", {"auroc_calibrated/low", "auroc_calibrated/high"}, Format::interval},
                  {"column.augrc", {"augrc_calibrated/mean"}, Format::fixed},
                  {"column.interval", {"augrc_calibrated/low", "augrc_calibrated/high"}, Format::interval}},
      .rows = arms};
  const Table paired = {
      .id = "risk-paired",
      .caption = say("risk.paired"),
      .columns = difference_columns(),
      .rows = differences(page, {"auroc_calibrated", "augrc_calibrated", "aurc_calibrated"}, false, true)};
  return figure("risk", say("risk.title"), panels(charts, "pairs"),
                say("risk.caption", {{"seeds", page.seeds()},
                                     {"rows", page.text(page.results["data"]["test_rows"])},
                                     {"points", page.text(page.pictures()["conventions"]["coverages"])}}),
                html(say, summary) + folded_if_any(say, paired) + tables);
}

}  // namespace labelsmooth::sections
