// SPDX-License-Identifier: MIT
// The verdict box, and the picture that it rests on.
#include <fmt/format.h>  // fmt::format

#include "report/sections.h"
#include "study/own.h"

namespace labelsmooth::sections {
namespace {

using nlohmann::json;

const char* const kEndpoints[] = {"accuracy", "nll", "nll_calibrated", "augrc_calibrated"};

bool is_immunity(const json& row) { return row["contrast"] == "difference in differences"; }

std::vector<Row> endpoints(const Page& page, const json& shown) {
  std::vector<Row> rows;
  for (const char* metric : kEndpoints) {
    for (const Row& row : page.shown_comparisons(shown, metric)) rows.push_back(row);
  }
  return rows;
}

std::string family(const Page& page) {
  const json& size = page.results["family"]["size"];
  return size == 0 ? page.say("forest.no_family") : page.say("forest.family", {{"size", page.text(size)}});
}

std::vector<std::string> footnotes(const Page& page) {
  const Strings& say = page.say;
  const json &results = page.results, &conventions = page.pictures()["conventions"];
  std::vector<std::string> notes = {
      say("box.arrows"),
      say("box.test", {{"rows", page.text(results["data"]["test_rows"])}, {"seeds", page.seeds()}}),
      say("box.noise"), say("box.temperature")};
  if (results["family"]["size"] == 0) {
    notes.push_back(say("box.no_family"));
  } else {
    notes.push_back(say("box.family", {{"size", page.text(results["family"]["size"])}}));
    notes.push_back(say("box.pilot"));
  }
  notes.push_back(say("box.words", {{"seeds", page.text(conventions["verdict_seeds"])}}));
  return notes;
}

// What the panels of the forest plot share.
struct Group {
  const char* id;
  const char* better;  // the side, as a key
  std::vector<std::string> metrics;
};

json forest_spec(const Page& page, const Group& group, const std::vector<Row>& rows) {
  json spec = {{"kind", "forest"},
               {"label", page.say("forest.axis." + std::string(group.id))},
               {"better", page.say(group.better)},
               {"rows", json::array()}};
  for (const Row& row : rows) {
    const json& one = *row.row;
    const std::string setting = setting_name(page.say, one["setting"]);
    spec["rows"].push_back(
        {{"name", is_immunity(one) ? page.say("forest.immunity") : metric_name(page.say, one["metric"])},
         {"group", setting},
         {"value", one["difference"]},
         {"low", one["low"]},
         {"high", one["high"]},
         {"margin", one["margin"]},
         {"verdict", verdict_name(page.say, one["verdict"])}});
  }
  return spec;
}

}  // namespace

std::string verdict(Page& page) {
  const Strings& say = page.say;
  const std::vector<Column> columns = {{"column.metric", {"metric"}, Format::metric},
                                       {"column.hard", {"reference"}, Format::fixed},
                                       {"column.smoothed", {"value"}, Format::fixed},
                                       {"column.difference", {"difference"}, Format::signed_},
                                       {"column.interval", {"low", "high"}, Format::signed_interval},
                                       {"column.verdict", {"verdict"}, Format::verdict}};
  std::string boxes;
  int index = 0;
  for (const json& shown : page.pictures()["shown"]) {
    const std::vector<Row> rows = endpoints(page, shown);
    if (rows.empty()) continue;
    const std::string caption = say("box.caption", {{"title", page.title(shown)},
                                                    {"smoothing", page.text(shown["smoothing"])},
                                                    {"seeds", page.text((*rows[0].row)["seeds"])}});
    boxes += html(say, {.id = fmt::format("box-{}", index++),
                        .caption = caption,
                        .columns = columns,
                        .rows = rows,
                        .cards = true});
  }
  if (boxes.empty()) boxes = paragraph(say("box.nothing"));
  std::string text = "<div class=\"boxes\">" + boxes + "</div>";
  if (const std::vector<Row> rows = page.comparisons(is_immunity); !rows.empty()) {
    text += html(say, {.id = "immunity",
                       .caption = say("box.immunity"),
                       .columns = {{"column.setting", {"setting"}, Format::setting},
                                   {"column.noise", {"noise"}, Format::amount},
                                   {"column.difference", {"difference"}, Format::signed_},
                                   {"column.interval", {"low", "high"}, Format::signed_interval},
                                   {"column.verdict", {"verdict"}, Format::verdict}},
                       .rows = rows,
                       .cards = true});
  }
  text += "<ul class=\"notes\">";
  for (const std::string& note : footnotes(page)) text += "<li>" + escape(note) + "</li>";
  return text + "</ul>\n";
}

std::string forest(Page& page) {
  const Strings& say = page.say;
  const Group groups[] = {{"accuracy", "better.right", {"accuracy"}},
                          {"nll", "better.left", {"nll", "nll_calibrated"}},
                          {"augrc", "better.left", {"augrc_calibrated"}}};
  std::vector<std::string> charts;
  std::vector<Row> all;
  for (const Group& group : groups) {
    std::vector<Row> rows;
    for (const json& shown : page.pictures()["shown"]) {
      for (const std::string& metric : group.metrics) {
        for (const Row& row : page.shown_comparisons(shown, metric)) rows.push_back(row);
      }
    }
    if (group.metrics[0] == "accuracy") {
      for (const Row& row : page.comparisons(is_immunity)) rows.push_back(row);
    }
    all.insert(all.end(), rows.begin(), rows.end());
    if (rows.empty()) continue;
    charts.push_back(page.charts.panel(fmt::format("forest-{}", group.id),
                                       say("forest.panel." + std::string(group.id)),
                                       forest_spec(page, group, rows)));
  }
  if (all.empty()) return figure("forest", say("forest.title"), "", say("box.nothing"), "");
  const json &data = page.results["data"], &conventions = page.pictures()["conventions"];
  const std::string caption =
      say("forest.caption", {{"smoothing", page.amounts()},
                             {"seeds", page.seeds()},
                             {"rows", page.text(data["test_rows"])},
                             {"pool", page.text(data["pool_rows"])},
                             {"family", family(page)},
                             {"relative", page.text(conventions["margins"]["augrc_relative"])}});
  Table table = {.id = "forest-table",
                 .caption = say("forest.table"),
                 .columns = {{"column.setting", {"setting"}, Format::setting},
                             {"column.contrast", {"contrast"}, Format::contrast},
                             {"column.metric", {"metric"}, Format::metric},
                             {"column.noise", {"noise"}, Format::amount},
                             {"column.smoothing", {"smoothing"}, Format::amount},
                             {"column.seeds", {"seeds"}, Format::amount},
                             {"column.difference", {"difference"}, Format::signed_},
                             {"column.interval", {"low", "high"}, Format::signed_interval},
                             {"column.interval90", {"low90", "high90"}, Format::signed_interval},
                             {"column.p", {"p"}, Format::p},
                             {"column.p_holm", {"p_holm"}, Format::p},
                             {"column.margin", {"margin"}, Format::fixed},
                             {"column.verdict", {"verdict"}, Format::verdict}},
                 .rows = all};
  if (is_own(page.results)) {  // one rate, not known to be 0
    std::erase_if(table.columns, [](const Column& column) { return column.keys[0] == "noise"; });
  }
  return figure("forest", say("forest.title"), panels(charts), caption, folded(say, table));
}

}  // namespace labelsmooth::sections
