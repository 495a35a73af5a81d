// SPDX-License-Identifier: MIT
#include "io/csv.h"

#include <algorithm>     // std::min, std::ranges::count
#include <charconv>      // std::from_chars
#include <memory>        // std::make_shared
#include <optional>      // std::optional
#include <string_view>   // std::string_view
#include <system_error>  // std::errc
#include <type_traits>   // std::is_integral_v
#include <utility>       // std::move
#include <vector>        // std::vector

#include "io/file.h"
#include "io/printable.h"

namespace labelsmooth::io {
namespace {

/// Lines in order, without their ends.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  bool only_blank_left() const { return rest_.find_first_not_of(" \t\r\n") == std::string_view::npos; }
  std::string_view peek() const {
    const std::string_view line = rest_.substr(0, rest_.find('\n'));
    return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
  }
  std::string_view next() {
    const std::string_view line = peek();
    rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size() - 1) + 1);
    ++number_;
    return line;
  }
  /// Of the line that next() gave last, from 1.
  int64_t number() const { return number_; }
  /// What the next lines may hold at most.
  size_t most_cells() const {
    return static_cast<size_t>(std::ranges::count(rest_, ',') + std::ranges::count(rest_, '\n') + 1);
  }

 private:
  std::string_view rest_;
  int64_t number_ = 0;
};

/// The next cell, without the spaces around it; takes it and its comma off `line`, which becomes null at its
/// end.
std::string_view take_cell(std::string_view& line) {
  const size_t comma = line.find(',');
  std::string_view cell = line.substr(0, comma);
  line = comma == std::string_view::npos ? std::string_view() : line.substr(comma + 1);
  cell.remove_prefix(std::min(cell.find_first_not_of(" \t"), cell.size()));
  return cell.substr(0, cell.find_last_not_of(" \t") + 1);
}

template <class Test>
bool all_cells(std::string_view line, const Test& test) {
  while (line.data() != nullptr) {
    if (!test(take_cell(line))) return false;
  }
  return true;
}

template <class T>
std::errc parse(std::string_view cell, T& value) {
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc()) return error;
  return end == cell.data() + cell.size() ? std::errc() : std::errc::invalid_argument;
}

/// A word, but no number that went wrong ("1.O", "-"): those must not vanish in a line of names.
bool is_name(std::string_view cell) {
  double value;
  return !cell.empty() && std::string_view("0123456789+-.").find(cell[0]) == std::string_view::npos &&
         parse(cell, value) != std::errc();
}

/// 0,1,2,... as pandas names columns that have no names.
bool is_numbering(std::string_view line) {
  int64_t i = 0;
  return all_cells(line, [&](std::string_view cell) { return cell == std::to_string(i++); }) && i > 1;
}

bool has_no_integer(std::string_view line) {
  return all_cells(line, [](std::string_view cell) {
    return cell.find_first_of(".eEnN") != std::string_view::npos;  // 1.5, 1e5, nan, inf
  });
}

[[noreturn]] void refuse(std::string_view cell, std::errc error, int64_t line, int64_t column,
                         const std::string& file) {
  const std::string where = "line " + std::to_string(line) + ", column " + std::to_string(column) + ": ";
  if (cell.empty()) throw Error(file, where + "is empty, a number is needed");
  const char* needed = error == std::errc::result_out_of_range ? "' found, a number in f64's range is needed"
                                                               : "' found, a number is needed";
  throw Error(file, where + "'" + printable(cell) + needed);
}

/// Skips what may stand above the numbers. Returns how many columns it names, 0 if none.
int64_t skip_heading(Lines& lines, const std::string& file) {
  while (!lines.done() && lines.peek().starts_with('#')) lines.next();
  if (lines.done()) return 0;
  if (all_cells(lines.peek(), is_name)) return 1 + std::ranges::count(lines.next(), ',');
  Lines below = lines;
  const std::string_view first = below.next();
  if (is_numbering(first) && !below.only_blank_left() && has_no_integer(below.peek())) {
    throw Error(file, "line " + std::to_string(below.number()) + ": '" + printable(first) +
                          "' seem to be the columns' numbers: leave them out, or write values with a point");
  }
  return 0;
}

/// `columns` is 0 where the first row says how many. Nothing if a cell is no T and T are integers.
template <class T>
std::optional<Array> parse_rows(Lines lines, int64_t columns, const std::string& file) {
  constexpr bool kIntegers = std::is_integral_v<T>;
  std::vector<T> values;
  values.reserve(lines.most_cells());
  int64_t rows = 0;
  while (!lines.only_blank_left()) {
    std::string_view line = lines.next();
    int64_t found = 0;
    do {
      const std::string_view cell = take_cell(line);
      ++found;
      T value;
      const std::errc error = parse(cell, value);
      if (error == std::errc()) {
        values.push_back(value);
      } else if (kIntegers) {
        return std::nullopt;
      } else {
        refuse(cell, error, lines.number(), found, file);
      }
    } while (line.data() != nullptr);
    ++rows;
    if (columns == 0) columns = found;
    if (found != columns) {
      throw Error(file, "line " + std::to_string(lines.number()) + ": " + std::to_string(found) +
                            " numbers found, " + std::to_string(columns) +
                            " are needed as in the lines above");
    }
  }
  Array array;
  array.dtype = dtype_of<T>();
  array.shape = columns == 1 ? std::vector<int64_t>{rows} : std::vector<int64_t>{rows, columns};
  const auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  array.data = owner->data();
  array.owner = owner;
  return array;
}

}  // namespace

Array parse_csv(std::span<const std::byte> bytes, const std::string& file) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Lines lines(text);
  const int64_t columns = skip_heading(lines, file);
  if (lines.only_blank_left()) throw Error(file, "holds no numbers, a row of them is needed");
  if (lines.peek().find(',') == std::string_view::npos) {
    if (const std::optional<Array> labels = parse_rows<int64_t>(lines, columns, file)) return *labels;
  }
  return *parse_rows<double>(lines, columns, file);
}

Array read_csv(const std::string& path) {
  const MappedFile file(path);
  return parse_csv(file.bytes(), file.name());
}

}  // namespace labelsmooth::io
