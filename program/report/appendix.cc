// SPDX-License-Identifier: MIT
// After the pictures: the claims, all runs, and the appendix.
#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::any_of

#include "report/sections.h"
#include "report/specs.h"
#include "study/own.h"

namespace labelsmooth::sections {
namespace {

using nlohmann::json;

// ---- Learning curves ----

json training_spec(const Strings& say, const json& one) {
  json spec = xy_spec(say("axis.epoch"), say("axis.train"));
  const json& points = one["points"];
  const auto add = [&](const char* name, const char* color, const char* key, const char* style) {
    json drawn = curve(points, "epoch", key);
    if (!drawn.empty()) spec["series"].push_back(series(say(name), color, drawn, style));
  };
  add("learning.hard", "hard", "hard_train_loss", "curve");
  add("learning.smoothed", "smoothed", "smoothed_train_loss", "curve");
  add("learning.smoothed_nll", "smoothed", "smoothed_train_nll", "dashed-curve");
  if (one["floor"].is_number()) {
    spec["lines"].push_back({{"at", one["floor"]}, {"name", say("learning.floor")}, {"color", "third"}});
  }
  spec["y"]["min"] = 0;
  return spec;
}

json validation_spec(const Strings& say, const json& one) {
  json spec = xy_spec(say("axis.epoch"), say("axis.validation"));
  for (const char* arm : {"hard", "smoothed"}) {
    json drawn = curve(one["points"], "epoch", std::string(arm) + "_validation_nll");
    if (!drawn.empty())
      spec["series"].push_back(series(say(std::string("learning.") + arm + "_arm"), arm, drawn, "curve"));
  }
  spec["y"]["min"] = 0;
  return spec;
}

// The user's own training need not tell its curves.
bool has_points(const json& learning) {
  return std::any_of(learning.begin(), learning.end(),
                     [](const json& one) { return !one["points"].empty(); });
}

std::string learning(Page& page) {
  const Strings& say = page.say;
  if (!has_points(page.pictures()["learning"])) return "";
  std::vector<std::string> charts;
  std::string tables;
  int index = 0;
  for (const json& one : page.pictures()["learning"]) {
    const std::string id = fmt::format("learning-{}", index), title = page.title(one);
    const auto draw = [&](const std::string& name, const char* kind, const json& spec) {
      if (spec["series"].empty()) return;
      charts.push_back(page.charts.panel(name, say(kind, {{"title", title}}), spec));
    };
    draw(id, "learning.train", training_spec(say, one));
    draw(id + "-validation", "learning.validation", validation_spec(say, one));
    tables += folded(
        say, {.id = id + "-table",
              .caption = say("learning.table", {{"title", title}}),
              .columns = {{"column.epoch_number", {"epoch"}, Format::amount},
                          {"learning.hard", {"hard_train_loss"}, Format::fixed},
                          {"learning.smoothed", {"smoothed_train_loss"}, Format::fixed},
                          {"learning.smoothed_nll", {"smoothed_train_nll"}, Format::fixed},
                          {"learning.hard_validation", {"hard_validation_nll"}, Format::fixed},
                          {"learning.smoothed_validation", {"smoothed_validation_nll"}, Format::fixed},
                          {"learning.hard_accuracy", {"hard_validation_accuracy"}, Format::fixed},
                          {"learning.smoothed_accuracy", {"smoothed_validation_accuracy"}, Format::fixed}},
              .rows = rows_of(one["points"], fmt::format("/pictures/learning/{}/points", index))});
    ++index;
  }
  const Table floors = {.id = "learning-floor",
                        .caption = say("learning.floors"),
                        .columns = {{"column.setting", {"setting"}, Format::setting},
                                    {"column.smoothing", {"smoothing"}, Format::amount},
                                    {"column.rule", {"rule"}, Format::rule},
                                    {"learning.floor", {"floor"}, Format::fixed}},
                        .rows = rows_of(page.pictures()["learning"], "/pictures/learning")};
  return figure("learning", say("learning.title"), panels(charts, "pairs"),
                say("learning.caption", {{"seeds", page.seeds()}}), folded(say, floors) + tables);
}

// ---- Logit gaps ----

std::string logit_gaps(Page& page) {
  const Strings& say = page.say;
  const json& all = page.pictures()["logit_gaps"];
  std::vector<std::string> charts;
  int index = 0;
  for (const json& shown : page.pictures()["shown"]) {
    json spec = xy_spec(say("axis.smoothing"), say("axis.logit_gap"));
    json mean = json::array(), predicted = json::array();
    for (const json& one : all) {
      if (one["setting"] != shown["setting"] ||
          (one["rule"] != "none" && one["rule"] != page.results["rule"]))
        continue;
      if (one["mean"].is_number())
        mean.push_back({one["smoothing"], one["mean"], one["q05"], one["q95"], one["q25"], one["q75"]});
      if (one["predicted"].is_number()) predicted.push_back({one["smoothing"], one["predicted"]});
    }
    spec["series"] = {series(say("gaps.mean"), "smoothed", mean)};
    if (!predicted.empty())
      spec["series"].push_back(series(say("gaps.predicted"), "third", predicted, "dashed"));
    charts.push_back(page.charts.panel(fmt::format("gaps-{}", index++), page.title(shown), spec));
  }
  const Table table = {.id = "gaps-table",
                       .caption = say("gaps.table"),
                       .columns = {{"column.setting", {"setting"}, Format::setting},
                                   {"column.rule", {"rule"}, Format::rule},
                                   {"column.smoothing", {"smoothing"}, Format::amount},
                                   {"column.seeds", {"seeds"}, Format::amount},
                                   {"gaps.predicted", {"predicted"}, Format::fixed},
                                   {"column.mean", {"mean"}, Format::fixed},
                                   {"column.q05", {"q05"}, Format::fixed},
                                   {"column.q25", {"q25"}, Format::fixed},
                                   {"column.q50", {"q50"}, Format::fixed},
                                   {"column.q75", {"q75"}, Format::fixed},
                                   {"column.q95", {"q95"}, Format::fixed}},
                       .rows = rows_of(all, "/pictures/logit_gaps")};
  return figure(
      "gaps", say("gaps.title"), panels(charts, "pairs"),
      say("gaps.caption", {{"seeds", page.seeds()}, {"rows", page.text(page.results["data"]["test_rows"])}}),
      folded(say, table));
}

std::string by_class(Page& page) {
  const Strings& say = page.say;
  std::string text = "<h3 id=\"classes\">" + escape(say("classes.title")) + "</h3>" +
                     paragraph(say("classes.caption", {{"seeds", page.seeds()}}));
  int index = 0;
  for (const json& one : page.pictures()["classes"]) {
    text += html(say, {.id = fmt::format("classes-{}", index),
                       .caption = page.title(one),
                       .columns = {{"column.class", {"class"}, Format::amount},
                                   {"column.class_name", {"name"}, Format::text},
                                   {"column.rows", {"rows"}, Format::amount},
                                   {"classes.hard_accuracy", {"hard_accuracy"}, Format::fixed},
                                   {"classes.smoothed_accuracy", {"smoothed_accuracy"}, Format::fixed},
                                   {"column.difference", {"difference"}, Format::signed_},
                                   {"column.interval", {"low", "high"}, Format::signed_interval},
                                   {"classes.hard_confidence", {"hard_confidence"}, Format::fixed},
                                   {"classes.smoothed_confidence", {"smoothed_confidence"}, Format::fixed}},
                       .rows = rows_of(one["rows"], fmt::format("/pictures/classes/{}/rows", index))});
    ++index;
  }
  return text;
}

}  // namespace

std::string claims(Page& page) {
  const Strings& say = page.say;
  std::string text = paragraph(say("claims.intro"));
  text += "<ul class=\"claims\">";
  for (const json& claim : page.results["claims"]) {
    const std::string id = claim["id"];
    std::vector<std::string> evidence;
    for (const json& row : claim["evidence"]["comparisons"]) {
      evidence.push_back(say("claims.evidence", {{"setting", setting_name(say, row["setting"])},
                                                 {"metric", metric_name(say, row["metric"])},
                                                 {"verdict", verdict_name(say, row["verdict"])}}));
    }
    const std::string sentence = say.or_else("claim." + id, claim["claim"]);
    text += fmt::format(
        "<li><b>{}</b> {} <b class=\"word\">{}</b><br><small>{}</small></li>", escape(id), escape(sentence),
        escape(verdict_name(say, claim["verdict"])),
        escape(evidence.empty() ? say("claims.no_evidence") : fmt::format("{}", fmt::join(evidence, "; "))));
  }
  return text + "</ul>\n";
}

std::string runs(Page& page) {
  const Strings& say = page.say;
  std::vector<Column> columns = {{"column.setting", {"setting"}, Format::setting},
                                 {"column.rule", {"rule"}, Format::rule},
                                 {"column.smoothing", {"smoothing"}, Format::amount},
                                 {"column.noise_kind", {"noise_kind"}, Format::noise_kind},
                                 {"column.noise", {"noise"}, Format::amount},
                                 {"column.seed", {"seed"}, Format::amount},
                                 {"column.accuracy", {"test/accuracy"}, Format::fixed},
                                 {"column.nll", {"test/nll"}, Format::fixed},
                                 {"column.nll_t", {"calibrated/nll"}, Format::fixed},
                                 {"column.temperature", {"calibrated/temperature"}, Format::fixed},
                                 {"column.gap", {"test/gap"}, Format::signed_},
                                 {"column.gap_t", {"calibrated/gap"}, Format::signed_},
                                 {"column.ece", {"test/ece"}, Format::fixed},
                                 {"column.ece_null95", {"test/ece_null_p95"}, Format::fixed},
                                 {"column.auroc", {"calibrated/auroc"}, Format::fixed},
                                 {"column.augrc", {"calibrated/augrc"}, Format::fixed},
                                 {"column.early_epoch", {"early_epoch"}, Format::amount},
                                 {"column.accuracy_early", {"early/accuracy"}, Format::fixed},
                                 {"column.memorised", {"noise_fit/memorised"}, Format::fixed}};
  if (is_own(page.results)) {  // what only its training would know
    std::erase_if(columns, [&](const Column& column) {
      const std::string& key = column.keys[0];
      return key == "noise_kind" || key == "noise" || key == "early_epoch" || key == "noise_fit/memorised" ||
             (key == "early/accuracy" && !has_early(page.results["runs"][0]));
    });
  }
  return paragraph(say("runs.intro")) + folded(say, {.id = "runs-table",
                                                     .caption = say("runs.table"),
                                                     .columns = columns,
                                                     .rows = rows_of(page.results["runs"], "/runs"),
                                                     .sortable = true});
}

std::string appendix(Page& page) { return learning(page) + logit_gaps(page) + by_class(page); }

}  // namespace labelsmooth::sections
