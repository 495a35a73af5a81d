// SPDX-License-Identifier: MIT
#include "evaluate/page.h"

#include <deque>  // std::deque
#include <nlohmann/json.hpp>

#include "evaluate/summary.h"
#include "report/document.h"
#include "report/html.h"
#include "report/specs.h"

namespace labelsmooth {
namespace {

using nlohmann::json;

class EvaluationPage {
 public:
  EvaluationPage(const json& results, const std::string& language) : results_(results), say_(language) {
    say_.prefer(".evaluate");
  }

  std::string html() {
    const std::vector<Section> sections = {{"metrics", metrics()},
                                           {"diagrams", reliability() + risk()},
                                           {"classes", classes()},
                                           {"conventions", conventions()},
                                           {"reproduce", paragraph(say_("evaluate.reproduce"))}};
    return document(say_, say_("evaluate.title"), results_["command"], sections, charts_);
  }

 private:
  std::string text(const json& value) const { return shown(say_, value, Format::amount); }
  std::string convention(const char* key) const { return text(results_["conventions"][key]); }
  std::string edges() const {
    return say_("evaluate.edges." + results_["conventions"]["edges"].get<std::string>());
  }

  std::string metrics() {
    std::deque<json> named;  // each metric with its name in words
    std::vector<Row> rows;
    for (const std::string& name : evaluation_metrics()) {
      named.push_back(results_["metrics"][name]);
      named.back()["metric"] = say_("evaluate.metric." + name);
      rows.push_back({"/metrics/" + name, &named.back()});
    }
    std::string notes;
    for (const json& warning : results_["warnings"])
      notes += "<li>" + escape(warning.get<std::string>()) + "</li>\n";
    const std::string input = results_["conventions"]["input"];
    return paragraph(say_("evaluate.intro", {{"counted", text(results_["counted"])},
                                             {"rows", text(results_["rows"])},
                                             {"classes", text(results_["classes"])},
                                             {"input", say_("evaluate.input." + input)}})) +
           labelsmooth::html(say_, {.id = "metrics-table",
                                    .caption = say_("evaluate.table"),
                                    .columns = {{"column.metric", {"metric"}, Format::text},
                                                {"evaluate.column.value", {"value"}, Format::fixed},
                                                {"column.interval", {"low", "high"}, Format::interval},
                                                {"evaluate.column.null_mean", {"null_mean"}, Format::fixed},
                                                {"evaluate.column.null_p95", {"null_p95"}, Format::fixed},
                                                {"column.p", {"p"}, Format::p}},
                                    .rows = rows,
                                    .cards = true}) +
           paragraph(say_("evaluate.null", {{"redraws", convention("redraws")}})) +
           (notes.empty() ? "" : "<ul class=\"notes\">" + notes + "</ul>\n");
  }

  Table bins_table(const std::string& id, const std::string& caption, const std::string& key) const {
    return {.id = id,
            .caption = caption,
            .columns = {{"column.from_to", {"from", "to"}, Format::interval},
                        {"evaluate.column.rows", {"count"}, Format::amount},
                        {"column.confidence", {"confidence"}, Format::fixed},
                        {"column.accuracy", {"accuracy"}, Format::fixed},
                        {"column.band", {"band_low", "band_high"}, Format::interval}},
            .rows = rows_of(results_[key], "/" + key)};
  }

  // What the report's charts want to know of a model.
  json arm(const char* key) const {
    return {{"bins", results_[key]}, {"rule", "none"}, {"with_temperature", false}};
  }

  json smooth_spec() const {
    json spec = xy_spec(say_("axis.confidence"), say_("axis.accuracy"));
    for (const char* axis : {"x", "y"}) spec[axis]["min"] = 0, spec[axis]["max"] = 1;
    const json& points = results_["smooth"]["points"];
    spec["series"] = {
        series(say_("column.accuracy"), "hard", curve(points, "confidence", "accuracy"), "curve")};
    spec["bands"] = json::array();
    for (const json& point : points) {
      if (point["band_low"].is_number())
        spec["bands"].push_back({point["confidence"], point["band_low"], point["band_high"]});
    }
    spec["diagonal"] = true;
    spec["legend"] = false;
    return spec;
  }

  json density_spec() const {
    json spec = xy_spec(say_("axis.confidence"), say_("evaluate.column.density"));
    spec["x"]["min"] = 0, spec["x"]["max"] = 1, spec["y"]["min"] = 0;
    spec["y"]["ticks"] = 3;
    spec["series"] = {series(say_("evaluate.column.density"), "hard",
                             curve(results_["smooth"]["points"], "confidence", "density"), "curve")};
    spec["legend"] = false;
    return spec;
  }

  std::string reliability() {
    const std::string width = say_("evaluate.reliability.width"), mass = say_("evaluate.reliability.mass"),
                      smooth = say_("evaluate.reliability.smooth");
    const std::vector<std::string> charts = {
        charts_.panel("width", width, reliability_spec(say_, arm("bins")), histogram_spec(say_, arm("bins"))),
        charts_.panel("mass", mass, reliability_spec(say_, arm("groups")), histogram_spec(say_, arm("bins"))),
        charts_.panel("smooth", smooth, smooth_spec(), density_spec())};
    const Table curve = {.id = "smooth-table",
                         .caption = smooth,
                         .columns = {{"axis.confidence", {"confidence"}, Format::fixed},
                                     {"column.accuracy", {"accuracy"}, Format::fixed},
                                     {"column.band", {"band_low", "band_high"}, Format::interval},
                                     {"evaluate.column.density", {"density"}, Format::fixed}},
                         .rows = rows_of(results_["smooth"]["points"], "/smooth/points")};
    return figure("reliability", say_("evaluate.reliability.title"), panels(charts),
                  say_("evaluate.reliability.caption", {{"bins", convention("bins")},
                                                        {"edges", edges()},
                                                        {"sigma", text(results_["smooth"]["sigma"])},
                                                        {"sd", convention("band_sd")}}),
                  folded(say_, bins_table("width-table", width, "bins")) +
                      folded(say_, bins_table("mass-table", mass, "groups")) + folded(say_, curve));
  }

  std::string risk() {
    const std::string title = say_("evaluate.risk.title");
    json spec = xy_spec(say_("axis.coverage"), say_("axis.risk"));
    spec["x"]["min"] = 0, spec["x"]["max"] = 1, spec["y"]["min"] = 0;
    spec["series"] = {
        series(say_("axis.risk"), "hard", curve(results_["risk_coverage"], "coverage", "risk"), "curve")};
    spec["legend"] = false;
    const Table points = {.id = "risk-table",
                          .caption = say_("evaluate.risk.panel"),
                          .columns = {{"axis.coverage", {"coverage"}, Format::fixed},
                                      {"evaluate.column.risk", {"risk"}, Format::fixed}},
                          .rows = rows_of(results_["risk_coverage"], "/risk_coverage")};
    const Table accuracy = {.id = "accuracy-table",
                            .caption = say_("evaluate.risk.accuracy"),
                            .columns = {{"axis.coverage", {"coverage"}, Format::fixed},
                                        {"column.accuracy", {"accuracy"}, Format::fixed}},
                            .rows = rows_of(results_["selective"]["accuracy"], "/selective/accuracy")};
    const Table coverage = {.id = "coverage-table",
                            .caption = say_("evaluate.risk.coverage"),
                            .columns = {{"evaluate.column.risk", {"risk"}, Format::fixed},
                                        {"axis.coverage", {"coverage"}, Format::fixed}},
                            .rows = rows_of(results_["selective"]["coverage"], "/selective/coverage")};
    return figure(
        "risk", title, panels({charts_.panel("risk-coverage", say_("evaluate.risk.panel"), spec)}),
        say_("evaluate.risk.caption"),
        labelsmooth::html(say_, accuracy) + labelsmooth::html(say_, coverage) + folded(say_, points));
  }

  std::string classes() {
    if (!results_.contains("by_class")) return paragraph(say_("evaluate.classes.none"));
    const bool named = results_["by_class"][0]["name"].is_string();
    Table table = {.id = "classes-table",
                   .caption = say_("evaluate.classes"),
                   .columns = {{"column.class", {"class"}, Format::amount},
                               {"evaluate.column.rows", {"rows"}, Format::amount},
                               {"evaluate.column.predicted", {"predicted"}, Format::amount},
                               {"evaluate.column.recall", {"recall"}, Format::fixed},
                               {"evaluate.column.precision", {"precision"}, Format::fixed},
                               {"evaluate.column.frequency", {"frequency"}, Format::fixed},
                               {"evaluate.column.mean_probability", {"mean_probability"}, Format::fixed},
                               {"column.ece", {"ece"}, Format::fixed}},
                   .rows = rows_of(results_["by_class"], "/by_class"),
                   .sortable = true,
                   .cards = true};
    if (named) table.columns.insert(table.columns.begin() + 1, {"column.class_name", {"name"}, Format::text});
    return labelsmooth::html(say_, table);
  }

  std::string conventions() const {
    std::string list;
    for (const std::string& name : evaluation_metrics()) {
      list += "<dt>" + escape(say_("evaluate.metric." + name)) + "</dt><dd>" +
              escape(say_("evaluate.convention." + name)) + "</dd>\n";
    }
    return "<dl>" + list + "</dl>\n";
  }

  const json& results_;
  Strings say_;
  Charts charts_;
};

}  // namespace

std::string evaluation_page(const nlohmann::ordered_json& ordered, const std::string& language) {
  const json results = json::parse(ordered.dump());
  return EvaluationPage(results, language).html();
}

}  // namespace labelsmooth
