// SPDX-License-Identifier: MIT
// The page of a small study that is made here, and of what untrusted files make of it.
#include "report/report.h"

#include <fmt/format.h>  // fmt::format
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>  // std::count
#include <nlohmann/json.hpp>
#include <regex>   // std::regex
#include <set>     // std::set
#include <string>  // std::string
#include <vector>  // std::vector

#include "io/fixtures.h"
#include "labelsmooth/tensor.h"
#include "random.h"
#include "report/assets.h"
#include "report/html.h"
#include "report/strings.h"
#include "study/analysis.h"
#include "study/grid.h"
#include "study/model.h"
#include "study/pictures.h"
#include "study/training.h"

namespace labelsmooth {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int64_t kFeatures = 6, kClasses = 3;

// Three overlapping clouds.
Images clouds(int64_t rows, uint32_t part) {
  Images images;
  for (int64_t row = 0; row < rows; ++row) {
    images.labels.push_back(row % kClasses);
    for (int64_t i = 0; i < kFeatures; ++i) {
      const double noise = draw(7, Stream::split, part, static_cast<uint64_t>(row * kFeatures + i)).normal();
      images.values.push_back(static_cast<float>(noise + (i % kClasses == row % kClasses ? 1.5 : 0)));
    }
  }
  return images;
}

// The results of the grids' runs on the clouds, as the file has them.
json results_of(std::vector<Grid> grids) {
  const Dataset data = {"custom", kFeatures, kClasses, 0, 1, clouds(400, 0), clouds(150, 1)};
  const io::TempFolder folder;
  use_one_blas_thread(1);
  json results = {{"schema", 1},
                  {"command", "labelsmooth study"},
                  {"rule", "uniform"},
                  {"environment", {{"version", "1"}, {"isa", "any"}, {"blas", "any"}}},
                  {"data",
                   {{"name", data.name},
                    {"classes", kClasses},
                    {"features", kFeatures},
                    {"pool_rows", 400},
                    {"test_rows", 150}}},
                  {"runs", json::array()}};
  for (Grid& grid : grids) {
    grid.train_size = 100;
    grid.epochs = 3;
    for (RunConfig run : runs_of(grid, Rule::uniform, 1)) {
      run.hidden = {8};
      json told = train_run(data, run, folder.path(name_of(run)), [](double) {});
      told["dir"] = name_of(run);
      results["runs"].push_back(told);
    }
  }
  analyse(results, folder.path(""), "uniform");
  add_pictures(results, folder.path(""));
  return json::parse(results.dump());  // null in place of NaN
}

Grid grid_of(const std::string& setting, std::vector<double> smoothings, std::vector<double> noises,
             int64_t seeds = 2, double decay = 0) {
  Grid grid = {setting, std::move(smoothings), std::move(noises)};
  grid.seeds = seeds;
  grid.weight_decay = decay;
  return grid;
}

// Both settings, both decays, noise: every section has something to show.
const json& whole() {
  static const json results =
      results_of({grid_of("over-trained", {0, .05, .1}, {0, .1}),
                  grid_of("over-trained", {0, .1}, {0, .1}, 2, .005), grid_of("normal", {0, .1}, {0})});
  return results;
}

std::string page_of(const json& results, const std::string& language = "en") {
  return report_page(results.dump(), "results.json", language);
}

std::string error_of(const std::string& text) {
  try {
    report_page(text, "results.json", "en");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Report, IsTheSameForTheSameResults) {
  EXPECT_EQ(page_of(whole()), page_of(whole()));
  EXPECT_NE(page_of(whole()), page_of(whole(), "zh"));
  EXPECT_EQ(report_page(whole().dump(1), "other.json", "en"), page_of(whole()));
}

TEST(Report, StaysSmall) { EXPECT_LT(page_of(whole()).size(), 450'000); }

TEST(Report, HasTheVerdictThenThePicturesInOrder) {
  for (const std::string& language : Strings::languages()) {
    const std::string page = page_of(whole(), language);
    size_t last = 0;
    for (const char* id :
         {"verdict", "box-0", "box-1", "immunity", "forest", "sweep", "reliability", "noise", "risk",
          "claims", "runs", "learning", "gaps", "classes", "methods", "limits", "reproduce"}) {
      const size_t at = page.find(fmt::format("id=\"{}\"", id));
      ASSERT_NE(at, std::string::npos) << id;
      EXPECT_GT(at, last) << id;
      last = at;
    }
  }
}

TEST(Report, AdmitsItsOwnScriptsAlone) {
  const std::string page = page_of(whole());
  EXPECT_THAT(page, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_EQ(count(page, "<script"), 3);
  EXPECT_EQ(page.find("http://"),
            page.find("http://", page.find("<script")));  // none but in Chart.js' comments
}

TEST(Report, EscapesWhatItIsGiven) {
  EXPECT_EQ(escape("<a href='x'>&\"\x01"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\ufffd");
  EXPECT_EQ(script_json("</script>"), "\"\\u003c/script>\"");
  const std::string attack = "</script><img src=x onerror=alert(1)>\"'";
  json results = whole();
  std::string text = results.dump();
  for (const char* name : {"\"over-trained\"", "\"uniform\"", "\"labelsmooth study\"", "\"screening\"",
                           "\"S6\"", "\"custom\""}) {
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, std::string(name).size(), json(attack).dump());
  }
  const std::string page = report_page(text, "results.json", "en");
  EXPECT_THAT(page, AllOf(HasSubstr("&lt;img"), Not(HasSubstr("<img"))));
  EXPECT_EQ(count(page, "</script"), 3);
}

TEST(Report, NamesWhatItCannotUse) {
  const std::string text = whole().dump();
  EXPECT_THAT(error_of("{"), StartsWith("results.json: not JSON at byte"));
  EXPECT_THAT(error_of("[1e999]"), StartsWith("results.json: a number too large"));
  EXPECT_THAT(error_of("{\"schema\": NaN}"), StartsWith("results.json: not JSON"));
  EXPECT_EQ(error_of("[]"), "results.json: an empty list found, an object is needed");
  EXPECT_EQ(error_of("{\"schema\": 2}"), "results.json: schema: 2 found, 1 is needed");
  json results = whole();
  results["runs"][3]["test"]["nll"] = "low";
  EXPECT_EQ(error_of(results.dump()),
            "results.json: runs/3/test/nll: text found, a number or null is needed");
  results = whole();
  results["runs"] = json::array();
  EXPECT_EQ(error_of(results.dump()),
            "results.json: runs: an empty list found, a list that is not empty is needed");
  results = whole();
  results["comparisons"][0].erase("margin");
  EXPECT_EQ(error_of(results.dump()),
            "results.json: comparisons/0/margin: nothing found, a number or null is needed");
  EXPECT_THROW(page_of(whole(), "fr"), Error);
}

// Every place of the file, the first of each list.
void collect(const json& value, const json::json_pointer& at, std::vector<json::json_pointer>& places) {
  if (value.is_array() && !value.empty()) collect(value[0], at / 0, places);
  if (!value.is_object()) return;
  for (const auto& [key, one] : value.items()) {
    places.push_back(at / key);
    collect(one, at / key, places);
  }
}

TEST(Report, MeetsAnyChangeWithAPageOrOneLine) {
  const json whole_results = results_of({grid_of("over-trained", {0, .1}, {0, .1}, 1)});
  std::vector<json::json_pointer> places;
  collect(whole_results, json::json_pointer(), places);
  ASSERT_GT(places.size(), 200);
  int64_t refused = 0;
  for (const auto& place : places) {
    for (const json& other : {json(), json("text"), json(1e300), json::array()}) {
      json results = whole_results;
      results[place] = other;
      const std::string error = error_of(results.dump());
      if (error == "no error") continue;
      ++refused;
      EXPECT_THAT(error, AllOf(StartsWith("results.json: "), Not(HasSubstr("\n")))) << place;
    }
    json results = whole_results;
    results[place.parent_pointer()].erase(place.back());
    const std::string error = error_of(results.dump());
    if (error != "no error") {
      EXPECT_THAT(error, HasSubstr(place.back())) << place;
    }
  }
  EXPECT_GT(refused, 300);
}

TEST(Report, MakesDoWithAnyGrid) {
  const std::vector<std::vector<Grid>> studies = {
      {grid_of("custom", {0, .1}, {0, .2}, 1)},             // one seed: no intervals
      {grid_of("custom", {0}, {0})},                        // nothing smoothed
      {grid_of("custom", {.1}, {0})},                       // nothing hard
      {grid_of("custom", {0, .3}, {.2})},                   // one rate of noise, not 0
      {grid_of("custom", {0, .3}, {0, .1, .2}, 2, .001)}};  // with a weight decay
  for (const auto& study : studies) {
    const json results = results_of(study);
    for (const std::string& language : Strings::languages()) {
      EXPECT_THAT(page_of(results, language),
                  AllOf(HasSubstr("id=\"risk-0\""), Not(HasSubstr(">nan<")), Not(HasSubstr(">null<"))))
          << results["command"];
    }
  }
}

std::set<std::string> placeholders(const std::string& text) {
  static const std::regex kName("\\{[a-z]+\\}");
  return {std::sregex_token_iterator(text.begin(), text.end(), kName), std::sregex_token_iterator()};
}

TEST(Strings, AreCompleteInBothLanguages) {
  const json all = json::parse(assets::kStringsJson);
  for (const auto& [key, texts] : all.items()) {
    if (key == "license") continue;
    ASSERT_EQ(texts.size(), Strings::languages().size()) << key;
    for (const std::string& language : Strings::languages())
      EXPECT_FALSE(texts.value(language, "").empty()) << key;
    EXPECT_EQ(placeholders(texts["en"]), placeholders(texts["zh"])) << key;
  }
}

TEST(Strings, PreferAVariant) {
  Strings say("en",
              R"({"a": {"en": "1", "zh": ""}, "a.own": {"en": "2", "zh": ""}, "b": {"en": "3", "zh": ""}})");
  EXPECT_EQ(say("a"), "1");
  say.prefer(".own");
  EXPECT_EQ(say("a") + say("b"), "23");
}

TEST(Strings, VariantsStandForAKey) {
  const json all = json::parse(assets::kStringsJson);
  for (const auto& [key, texts] : all.items()) {
    if (!key.ends_with(".own")) continue;
    const std::string base = key.substr(0, key.size() - 4);
    ASSERT_TRUE(all.contains(base)) << key;
    for (const std::string& name : placeholders(texts["en"]))
      EXPECT_TRUE(placeholders(all[base]["en"]).contains(name)) << key;
  }
}

TEST(Strings, RefuseWhatIsMissing) {
  const Strings say("en");
  EXPECT_THROW(say("no such key"), Error);
  EXPECT_THROW(say("question"), Error);
  EXPECT_EQ(say("question", {{"rule", "{rule}"}}), "Did label smoothing ({rule}) help?");
  EXPECT_EQ(say.or_else("no such key", "otherwise"), "otherwise");
}

}  // namespace
}  // namespace labelsmooth
