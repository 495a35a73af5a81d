// SPDX-License-Identifier: MIT
// Tables and charts as HTML. A row of a table is one object of results.json and says which (data-path), a
// column says which of its keys it shows (data-key), so that every number can be traced.
#pragma once

#include <nlohmann/json.hpp>
#include <string>  // std::string
#include <vector>  // std::vector

#include "report/strings.h"

namespace labelsmooth {

/// For text and for quoted attributes.
std::string escape(const std::string& text);
/// For a <script> block: "<" cannot end it.
std::string script_json(const nlohmann::json& value);

/// "over-trained-wd0.005" for people.
std::string setting_name(const Strings& say, const std::string& setting);
std::string metric_name(const Strings& say, const std::string& metric);
std::string verdict_name(const Strings& say, const std::string& verdict);

enum class Format {
  fixed,     // four decimals
  signed_,   // with its sign
  interval,  // two keys, [low, high]
  signed_interval,
  bin,  // [low, high), closed at 1
  p,
  amount,  // as short as it is exact
  text,
  setting,
  metric,
  rule,
  verdict,
  noise_kind,
  epoch,  // which epoch: "last" or "early-stopped"
  contrast,
  temperature,  // a boolean: with one or as trained
};

/// The text of one value; null is "n/a".
std::string shown(const Strings& say, const nlohmann::json& value, Format format);

struct Column {
  std::string title;              // key of a string
  std::vector<std::string> keys;  // relative JSON pointers without the first slash
  Format format;
};
struct Row {
  std::string path;  // JSON pointer
  const nlohmann::json* row;
};
/// Rows of an array, with their places.
std::vector<Row> rows_of(const nlohmann::json& array, const std::string& path);

/// Stands alone. The first column heads its row.
struct Table {
  std::string id, caption;
  std::vector<Column> columns;
  std::vector<Row> rows;
  bool sortable = false;
  bool cards = false;  // on a phone a row becomes a card
};
std::string html(const Strings& say, const Table& table);
/// The same behind a summary that JavaScript folds: the numbers of a chart.
std::string folded(const Strings& say, const Table& table);

/// Charts are drawn by page.js from specs in the data block; a panel is the place of one.
class Charts {
 public:
  /// HTML of a panel; `spec` joins the data block.
  /// `beneath`, where given, is a second, lower chart.
  std::string panel(const std::string& id, const std::string& title, nlohmann::json spec,
                    nlohmann::json beneath = {});
  const nlohmann::json& specs() const { return specs_; }

 private:
  nlohmann::json specs_ = nlohmann::json::object();
};
std::string panels(const std::vector<std::string>& all, const char* kind = "");
/// A numbered picture: panels, caption, the numbers.
std::string figure(const std::string& id, const std::string& title, const std::string& panels,
                   const std::string& caption, const std::string& tables);
std::string paragraph(const std::string& text);

}  // namespace labelsmooth
