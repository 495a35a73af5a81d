// SPDX-License-Identifier: MIT
#include "report/html.h"

#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::replace
#include <cmath>      // std::abs

namespace labelsmooth {
namespace {

using nlohmann::json;

const std::string kMinus = "\u2212";

std::string with_minus(const std::string& text) {
  std::string shown;
  for (const char c : text) shown += c == '-' ? kMinus : std::string(1, c);
  return shown;
}

std::string decimal(double value, bool with_sign) {
  if (std::abs(value) >= 1e6) return with_minus(fmt::format("{:.4g}", value));
  std::string text = fmt::format("{:.4f}", value);
  if (text == "-0.0000") text = "0.0000";
  if (with_sign && text[0] != '-' && text != "0.0000") text = "+" + text;
  return with_minus(text);
}

std::string probability(double p) { return p < 1e-4 ? "<0.0001" : fmt::format("{:.4f}", p); }

// A path of keys without the first slash; null where one is missing.
const json& at(const json& row, const std::string& key) {
  static const json kNull;
  const json::json_pointer pointer("/" + key);
  return row.contains(pointer) ? row[pointer] : kNull;
}

std::string cell_text(const Strings& say, const json& row, const Column& column) {
  if (column.keys.size() == 2) {
    const json &low = at(row, column.keys[0]), &high = at(row, column.keys[1]);
    if (!low.is_number() || !high.is_number()) return say("none");
    const bool open = column.format == Format::bin && high < 1;
    return "[" + shown(say, low, column.format) + ", " + shown(say, high, column.format) + (open ? ")" : "]");
  }
  return shown(say, at(row, column.keys[0]), column.format);
}

bool is_number(Format format) { return format <= Format::amount; }

std::string cell_class(const json& row, const Column& column) {
  if (column.format == Format::interval || column.format == Format::signed_interval) return " class=\"n i\"";
  if (is_number(column.format)) return " class=\"n\"";
  if (column.format != Format::verdict) return "";
  std::string word = at(row, column.keys[0]).get<std::string>();
  std::replace(word.begin(), word.end(), ' ', '-');
  return fmt::format(" class=\"word w-{}\"", escape(word));
}

}  // namespace

std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:  // control characters have no place in a page
        escaped +=
            static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? "\ufffd" : std::string(1, c);
    }
  }
  return escaped;
}

std::string script_json(const json& value) {
  std::string text;
  for (const char c : value.dump()) text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

std::string setting_name(const Strings& say, const std::string& setting) {
  const size_t decay = setting.rfind("-wd");
  const std::string name = say.or_else("setting." + setting.substr(0, decay), "");
  if (name.empty()) return setting;  // the user's own
  return decay == std::string::npos
             ? name
             : say("with_decay", {{"setting", name}, {"decay", setting.substr(decay + 3)}});
}

std::string metric_name(const Strings& say, const std::string& metric) {
  return say.or_else("metric." + metric, metric);
}

std::string verdict_name(const Strings& say, const std::string& verdict) {
  return say.or_else("verdict." + verdict, verdict);
}

std::string shown(const Strings& say, const json& value, Format format) {
  if (value.is_boolean()) return say(value ? "with_t" : "as_trained");
  if (value.is_array()) {
    std::vector<std::string> texts;
    for (const json& one : value) texts.push_back(shown(say, one, format));
    return fmt::format("{}", fmt::join(texts, ", "));
  }
  if (value.is_string()) {
    const std::string text = value;
    switch (format) {
      case Format::setting:
        return setting_name(say, text);
      case Format::metric:
        return metric_name(say, text);
      case Format::verdict:
        return verdict_name(say, text);
      case Format::rule:
        return say.or_else("rule." + text, text);
      case Format::noise_kind:
        return say.or_else("noise_kind." + text, text);
      case Format::epoch:
        return say.or_else("epoch." + text, text);
      case Format::contrast:
        return say.or_else("contrast." + text, text);
      default:
        return text;
    }
  }
  if (!value.is_number()) return say("none");
  switch (format) {
    case Format::fixed:
    case Format::interval:
    case Format::bin:
      return decimal(value, false);
    case Format::signed_:
    case Format::signed_interval:
      return decimal(value, true);
    case Format::p:
      return probability(value);
    default:
      return with_minus(value.is_number_integer() ? value.dump() : fmt::format("{}", value.get<double>()));
  }
}

std::vector<Row> rows_of(const json& array, const std::string& path) {
  std::vector<Row> rows;
  for (size_t i = 0; i < array.size(); ++i) rows.push_back({fmt::format("{}/{}", path, i), &array[i]});
  return rows;
}

std::string html(const Strings& say, const Table& table) {
  std::string text = fmt::format(
      "<div class=\"table\"><div class=\"scroll\" role=\"region\" tabindex=\"0\" "
      "aria-labelledby=\"{0}-caption\">"
      "<table id=\"{0}\"{1}{3}><caption id=\"{0}-caption\">{2}</caption><thead><tr>",
      table.id, table.sortable ? " data-sortable" : "", escape(table.caption),
      table.cards ? " class=\"cards\"" : "");
  std::vector<std::string> titles;
  for (const Column& column : table.columns) {
    titles.push_back(escape(say(column.title)));
    text += fmt::format("<th scope=\"col\" data-key=\"{}\"{}>{}</th>", fmt::join(column.keys, " "),
                        is_number(column.format) ? " class=\"n\"" : "", titles.back());
  }
  text += "</tr></thead><tbody>";
  for (const auto& [path, row] : table.rows) {
    text += fmt::format("\n<tr data-path=\"{}\">", path);
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const Column& column = table.columns[i];
      const std::string label = table.cards && i > 0 ? fmt::format(" data-label=\"{}\"", titles[i]) : "";
      text += fmt::format("<{}{}{}>{}</{}>", i == 0 ? "th scope=\"row\"" : "td", cell_class(*row, column),
                          label, escape(cell_text(say, *row, column)), i == 0 ? "th" : "td");
    }
    text += "</tr>";
  }
  return text + "</tbody></table></div></div>\n";
}

std::string folded(const Strings& say, const Table& table) {
  return fmt::format("<details open><summary>{}</summary>{}</details>\n",
                     escape(say("numbers", {{"what", table.caption}})), html(say, table));
}

std::string Charts::panel(const std::string& id, const std::string& title, json spec, json beneath) {
  const auto canvas = [&](const std::string& name, const char* kind, json one) {
    const std::string label = title + ": " + one.value("label", "");
    specs_[name] = std::move(one);
    return fmt::format(
        "<div class=\"canvas{}\"><canvas id=\"{}\" role=\"img\" aria-label=\"{}\"></canvas></div>", kind,
        name, escape(label));
  };
  std::string charts = canvas(id, "", std::move(spec));
  if (!beneath.is_null()) charts += canvas(id + "-beneath", " low", std::move(beneath));
  return fmt::format("<div class=\"panel\"><h4>{}</h4>{}</div>", escape(title), charts);
}

std::string panels(const std::vector<std::string>& all, const char* kind) {
  return fmt::format("<div class=\"panels {}\">{}</div>", kind, fmt::join(all, ""));
}

std::string figure(const std::string& id, const std::string& title, const std::string& panels,
                   const std::string& caption, const std::string& tables) {
  return fmt::format(
      "<figure id=\"{0}\" aria-labelledby=\"{0}-title\"><h3 id=\"{0}-title\">{1}</h3>{2}"
      "<figcaption>{3}</figcaption>{4}</figure>\n",
      id, escape(title), panels, escape(caption), tables);
}

std::string paragraph(const std::string& text) { return "<p>" + escape(text) + "</p>\n"; }

}  // namespace labelsmooth
