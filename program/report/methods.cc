// SPDX-License-Identifier: MIT
// Every convention in words, where smoothing does not help, and how to make the page again.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::find

#include "report/sections.h"
#include "study/own.h"

namespace labelsmooth::sections {
namespace {

using nlohmann::json;

// A term and what it means here.
std::string entry(const std::string& term, const std::string& text) {
  return "<dt>" + escape(term) + "</dt><dd>" + escape(text) + "</dd>\n";
}

// The sizes of each setting, in words.
std::string settings(const Page& page) {
  std::string text;
  std::vector<json> told;
  for (const json& arm : page.pictures()["arms"]) {
    if (std::find(told.begin(), told.end(), arm["setting"]) != told.end()) continue;
    told.push_back(arm["setting"]);
    text += page.say("methods.setting", {{"setting", setting_name(page.say, arm["setting"])},
                                         {"train", page.text(arm["train_size"])},
                                         {"epochs", page.text(arm["epochs"])},
                                         {"decay", page.text(arm["weight_decay"])}});
  }
  return text;
}

}  // namespace

std::string methods(Page& page) {
  const Strings& say = page.say;
  const json &data = page.results["data"], &c = page.pictures()["conventions"];
  const json &margins = c["margins"], &run = page.results["runs"][0];
  std::string text = "<dl>";
  const auto add = [&](const char* name, Strings::Values values = {}) {
    const std::string key = std::string("methods.") + name;
    text += entry(say(key + ".term"), say(key, values));
  };
  add("data", {{"name", data["name"]},
               {"pool", page.text(data["pool_rows"])},
               {"test", page.text(data["test_rows"])},
               {"classes", page.text(data["classes"])}});
  if (!is_own(page.results)) {
    add("network", {{"features", page.text(data["features"])},
                    {"hidden", run.contains("hidden") ? page.text(run["hidden"]) : say("none")},
                    {"classes", page.text(data["classes"])},
                    {"rate", page.text(c["rate"])},
                    {"momentum", page.text(c["momentum"])},
                    {"batch", page.text(c["batch"])}});
    text += entry(say("methods.settings.term"), settings(page));
  }
  add("split", {{"share", page.text(c["validation_share"])}});
  add("noise");
  add("smoothing",
      {{"rule", say.or_else("rule." + page.results["rule"].get<std::string>(), page.results["rule"])}});
  if (has_early(page.results["runs"][0])) add("early");
  add("temperature");
  add("estimand", {{"smoothing", page.text(c["primary_smoothing"])}});
  add("interval", {{"pool", page.text(data["pool_rows"])}});
  add("family", {{"size", page.text(page.results["family"]["size"])}});
  add("words", {{"accuracy", page.text(margins["accuracy"])},
                {"nll", page.text(margins["nll"])},
                {"augrc", page.text(margins["augrc_relative"])},
                {"seeds", page.text(c["verdict_seeds"])}});
  add("tuned");
  add("ece", {{"bins", page.text(c["bins"])}, {"redraws", page.text(c["null_redraws"])}});
  add("ranking");
  add("units");
  add("trace");
  return text + "</dl>\n";
}

std::string limits(Page& page) {
  std::string text = paragraph(page.say("limits.intro")) + "<ul>";
  for (const char* name :
       {"clean", "temperature", "ranking", "noise", "distillation", "transfer", "classes", "frequencies"}) {
    text += "<li>" + escape(page.say(std::string("limits.") + name)) + "</li>\n";
  }
  return text + "</ul>\n";
}

}  // namespace labelsmooth::sections
