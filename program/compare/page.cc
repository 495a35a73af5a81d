// SPDX-License-Identifier: MIT
#include "compare/page.h"

#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <functional>  // std::function

#include "compare/advice.h"
#include "report/document.h"
#include "report/html.h"
#include "report/specs.h"

namespace labelsmooth::compare {
namespace {

using nlohmann::json;

std::string item_list(const char* kind, const std::vector<std::string>& lines) {
  std::string text = fmt::format("<ul class=\"{}\">", kind);
  for (const std::string& line : lines) text += "<li>" + escape(line) + "</li>";
  return text + "</ul>\n";
}

class Writer {
 public:
  Writer(const json& result, const std::string& language) : result_(result), say_(words(language)) {}

  std::string page() {
    std::vector<std::string> models;
    for (const json& model : result_["models"]) {
      if (model["name"] != baseline()) models.push_back(model["name"]);
    }
    const std::string title =
        say_("compare.question",
             {{"models", fmt::format("{}", fmt::join(models, ", "))}, {"baseline", baseline()}});
    std::vector<Section> sections = {{"verdict", verdict(models)},
                                     {"comparison", forest() + reliability(models) + risk(models)},
                                     {"models", each_run()}};
    if (result_.contains("groups")) sections.push_back({"groups", groups()});
    sections.push_back({"conventions", item_list("notes", notes())});
    return document(say_, title, result_["command"], sections, charts_);
  }

  std::vector<std::string> notes() const {
    const auto text = [&](const json& value) { return shown(say_, value, Format::amount); };
    std::vector<std::string> lines;
    for (const json& warning : result_["warnings"]) lines.push_back(warning);
    lines.push_back(say_("compare.note.rows", {{"rows", text(result_["rows"])},
                                               {"ignored", text(result_["ignored"])},
                                               {"classes", text(result_["classes"])}}));
    const json& temperature = result_["temperature"];
    lines.push_back(temperature.contains("folds")
                        ? say_("compare.note.cross_fit",
                               {{"folds", text(temperature["folds"])}, {"seed", text(result_["seed"])}})
                        : say_("compare.note.fitted", {{"labels", temperature["labels"]}}));
    lines.push_back(say_("compare.note.family", {{"size", text(result_["family"]["size"])}}));
    if (result_.contains("group_family"))
      lines.push_back(say_("compare.groups.text", {{"size", text(result_["group_family"]["size"])}}));
    bool crossed = false, models = false;
    for (const json& one : result_["differences"]) (one["seeds"] == 1 ? models : crossed) = true;
    if (crossed) lines.push_back(say_("compare.note.crossed"));
    if (models) lines.push_back(say_("compare.note.models", {{"resamples", text(result_["resamples"])}}));
    lines.push_back(say_("compare.note.conditional"));
    lines.push_back(say_("compare.note.words"));
    return lines;
  }

 private:
  std::string baseline() const { return result_["baseline"]; }

  std::vector<Row> differences(const std::function<bool(const json&)>& wanted) const {
    std::vector<Row> rows;
    for (const Row& row : rows_of(result_["differences"], "/differences")) {
      if (wanted(*row.row)) rows.push_back(row);
    }
    return rows;
  }

  std::string verdict(const std::vector<std::string>& models) const {
    std::string text = "<div class=\"boxes\">";
    for (size_t m = 0; m < models.size(); ++m) {
      const std::vector<Row> rows =
          differences([&](const json& one) { return one["name"] == models[m] && one["primary"]; });
      text += html(say_, {.id = fmt::format("box-{}", m),
                          .caption = say_("compare.box",
                                          {{"model", models[m]},
                                           {"baseline", baseline()},
                                           {"seeds", shown(say_, (*rows[0].row)["seeds"], Format::amount)}}),
                          .columns = {{"column.metric", {"metric"}, Format::metric},
                                      {"compare.column.reference", {"reference"}, Format::fixed},
                                      {"compare.column.value", {"value"}, Format::fixed},
                                      {"column.difference", {"difference"}, Format::signed_},
                                      {"column.interval", {"low", "high"}, Format::signed_interval},
                                      {"column.verdict", {"verdict"}, Format::verdict}},
                          .rows = rows,
                          .cards = true});
    }
    std::vector<std::string> advice;
    for (const json& one : result_["advice"]) advice.push_back(advice_text(say_, one));
    return text + "</div><h3>" + escape(say_("compare.advice")) + "</h3>" + item_list("advice", advice);
  }

  std::string forest() {
    struct Group {
      const char *id, *better;
      std::vector<std::string> metrics;
    };
    const Group groups[] = {{"accuracy", "better.right", {"accuracy"}},
                            {"nll", "better.left", {"nll"}},
                            {"nll_t", "better.left", {"nll_calibrated", "nll_against_calibrated"}},
                            {"augrc", "better.left", {"augrc_calibrated"}}};
    std::vector<std::string> charts;
    for (const Group& group : groups) {
      json spec = {{"kind", "forest"},
                   {"label", say_("compare.forest.axis", {{"baseline", baseline()}})},
                   {"better", say_(group.better)},
                   {"rows", json::array()}};
      for (const std::string& metric : group.metrics) {
        for (const Row& row : differences([&](const json& one) { return one["metric"] == metric; })) {
          const json& one = *row.row;
          spec["rows"].push_back({{"name", metric_name(say_, metric)},
                                  {"group", one["name"]},
                                  {"value", one["difference"]},
                                  {"low", one["low"]},
                                  {"high", one["high"]},
                                  {"margin", one["margin"]},
                                  {"verdict", verdict_name(say_, one["verdict"])}});
        }
      }
      charts.push_back(charts_.panel(fmt::format("forest-{}", group.id),
                                     say_("forest.panel." + std::string(group.id)), std::move(spec)));
    }
    const Table table = {.id = "forest-table",
                         .caption = say_("compare.forest.table"),
                         .columns = {{"compare.column.name", {"name"}, Format::text},
                                     {"column.metric", {"metric"}, Format::metric},
                                     {"column.seeds", {"seeds"}, Format::amount},
                                     {"compare.column.reference", {"reference"}, Format::fixed},
                                     {"compare.column.value", {"value"}, Format::fixed},
                                     {"column.difference", {"difference"}, Format::signed_},
                                     {"column.interval", {"low", "high"}, Format::signed_interval},
                                     {"column.interval90", {"low90", "high90"}, Format::signed_interval},
                                     {"column.p", {"p"}, Format::p},
                                     {"column.p_holm", {"p_holm"}, Format::p},
                                     {"column.margin", {"margin"}, Format::fixed},
                                     {"compare.column.method", {"method"}, Format::text},
                                     {"column.verdict", {"verdict"}, Format::verdict}},
                         .rows = rows_of(result_["differences"], "/differences")};
    return figure(
        "forest", say_("compare.forest.title", {{"baseline", baseline()}}), panels(charts),
        say_("compare.forest.caption", {{"size", shown(say_, result_["family"]["size"], Format::amount)}}),
        folded(say_, table));
  }

  // One panel a model: it and the reference, as trained and with T.
  std::string overlays(const std::vector<std::string>& models, const char* id,
                       const std::function<json(const json&, const char*, const std::string&)>& series_of,
                       const json& axes) {
    std::vector<std::string> charts;
    for (size_t m = 0; m < models.size(); ++m) {
      json spec = axes;
      for (const json& picture : result_["pictures"]) {
        const bool reference = picture["name"] == baseline();
        if (!reference && picture["name"] != models[m]) continue;
        spec["series"].push_back(series_of(picture, reference ? "hard" : "smoothed", arm(picture)));
      }
      charts.push_back(charts_.panel(fmt::format("{}-{}", id, m), models[m], std::move(spec)));
    }
    return panels(charts, "pairs");
  }

  std::string arm(const json& picture) const {
    return say_("compare.arm", {{"name", picture["name"]},
                                {"kind", shown(say_, picture["with_temperature"], Format::temperature)}});
  }

  std::string reliability(const std::vector<std::string>& models) {
    json axes = xy_spec(say_("axis.confidence"), say_("axis.accuracy"));
    for (const char* axis : {"x", "y"}) axes[axis]["min"] = 0, axes[axis]["max"] = 1;
    axes["diagonal"] = true;
    const auto series_of = [](const json& picture, const char* color, const std::string& name) {
      json points = json::array(), counts = json::array();
      for (const json& bin : picture["bins"]) {
        if (bin["count"] == 0) continue;
        points.push_back({bin["confidence"], bin["accuracy"]});
        counts.push_back(bin["count"]);
      }
      json one = series(name, color, points, picture["with_temperature"] ? "dashed" : "solid");
      one["counts"] = counts;
      return one;
    };
    const std::string charts = overlays(models, "reliability", series_of, axes);
    std::string tables;
    for (size_t i = 0; i < result_["pictures"].size(); ++i) {
      const json& picture = result_["pictures"][i];
      tables += folded(say_, {.id = fmt::format("reliability-table-{}", i),
                              .caption = arm(picture),
                              .columns = {{"column.from_to", {"from", "to"}, Format::bin},
                                          {"compare.column.rows", {"count"}, Format::amount},
                                          {"column.confidence", {"confidence"}, Format::fixed},
                                          {"column.accuracy", {"accuracy"}, Format::fixed},
                                          {"column.band", {"band_low", "band_high"}, Format::interval}},
                              .rows = rows_of(picture["bins"], fmt::format("/pictures/{}/bins", i))});
    }
    return figure("reliability", say_("compare.reliability.title"), charts,
                  say_("compare.reliability.caption"), tables);
  }

  std::string risk(const std::vector<std::string>& models) {
    json axes = xy_spec(say_("axis.coverage"), say_("axis.risk"));
    axes["x"]["min"] = 0, axes["x"]["max"] = 1;
    const auto series_of = [](const json& picture, const char* color, const std::string& name) {
      return series(name, color, curve(picture["points"], "coverage", "risk"),
                    picture["with_temperature"] ? "dashed-curve" : "curve");
    };
    const std::string charts = overlays(models, "risk", series_of, axes);
    std::string tables;
    for (size_t i = 0; i < result_["pictures"].size(); ++i) {
      const json& picture = result_["pictures"][i];
      tables += folded(say_, {.id = fmt::format("risk-table-{}", i),
                              .caption = arm(picture),
                              .columns = {{"column.coverage", {"coverage"}, Format::fixed},
                                          {"compare.column.risk", {"risk"}, Format::fixed}},
                              .rows = rows_of(picture["points"], fmt::format("/pictures/{}/points", i))});
    }
    return figure("risk", say_("compare.risk.title"), charts, say_("compare.risk.caption"), tables);
  }

  std::string each_run() const {
    Table table = {.id = "",
                   .caption = "",
                   .columns = {{"compare.column.file", {"file"}, Format::text},
                               {"column.accuracy", {"metrics/accuracy"}, Format::fixed},
                               {"column.nll", {"metrics/nll"}, Format::fixed},
                               {"column.nll_t", {"calibrated/nll"}, Format::fixed},
                               {"compare.column.brier", {"metrics/brier"}, Format::fixed},
                               {"compare.column.brier_t", {"calibrated/brier"}, Format::fixed},
                               {"column.gap", {"metrics/gap"}, Format::signed_},
                               {"column.gap_t", {"calibrated/gap"}, Format::signed_},
                               {"compare.column.augrc", {"metrics/augrc"}, Format::fixed},
                               {"column.augrc", {"calibrated/augrc"}, Format::fixed},
                               {"column.temperature", {"temperatures"}, Format::fixed}},
                   .rows = {},
                   .sortable = true};
    std::string text;
    for (size_t m = 0; m < result_["models"].size(); ++m) {
      const json& model = result_["models"][m];
      table.id = fmt::format("runs-table-{}", m);
      table.caption = model["name"];
      table.rows = rows_of(model["runs"], fmt::format("/models/{}/runs", m));
      text += html(say_, table);
    }
    return text;
  }

  std::string groups() const {
    std::string text;
    for (size_t g = 0; g < result_["groups"].size(); ++g) {
      const json& group = result_["groups"][g];
      std::vector<Row> rows;
      for (const Row& row : rows_of(group["differences"], fmt::format("/groups/{}/differences", g))) {
        if ((*row.row)["primary"]) rows.push_back(row);
      }
      text += folded(say_, {.id = fmt::format("group-{}", g),
                            .caption = fmt::format("{} ({} {})", group["group"].get<std::string>(),
                                                   group["rows"].get<int64_t>(), say_("script.images")),
                            .columns = {{"compare.column.name", {"name"}, Format::text},
                                        {"column.metric", {"metric"}, Format::metric},
                                        {"compare.column.reference", {"reference"}, Format::fixed},
                                        {"compare.column.value", {"value"}, Format::fixed},
                                        {"column.difference", {"difference"}, Format::signed_},
                                        {"column.interval", {"low", "high"}, Format::signed_interval},
                                        {"column.p_holm", {"p_holm"}, Format::p},
                                        {"column.verdict", {"verdict"}, Format::verdict}},
                            .rows = rows});
    }
    return text;
  }

  const json& result_;
  const Strings say_;
  Charts charts_;
};

}  // namespace

std::string page(const json& result, const std::string& language) { return Writer(result, language).page(); }

std::vector<std::string> notes(const json& result, const std::string& language) {
  return Writer(result, language).notes();
}

}  // namespace labelsmooth::compare
