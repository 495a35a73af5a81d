// SPDX-License-Identifier: MIT
// .csv files: what NumPy and pandas write is read, what could mean something else is refused.
#include "io/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>      // std::bit_cast
#include <cmath>    // std::isnan, std::signbit
#include <cstdio>   // std::snprintf
#include <limits>   // std::numeric_limits
#include <utility>  // std::pair

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

using Shape = std::vector<int64_t>;

Array parse(const std::string& text) { return parse_csv(bytes_of(text), "file"); }
std::string refusal(const std::string& text) {
  return error_of([&] { parse(text); });
}

TEST(ParseCsv, RowsAndColumns) {
  for (const char* text : {"1,2.5\n-3,4e2\n", "1,2.5\n-3,4e2", "1,2.5\r\n-3,4e2\r\n",
                           "1,2.5\r\n-3,4e2\n\n\r\n \t\n", " 1 ,\t2.5\n-3, +4e2 \n",
                           "\xef\xbb\xbf"
                           "1,2.5\n-3,400\n",
                           "a,b\n1,2.5\n-3,400\n", "# a\n# b, c, d\n1,2.5\n-3,400\n",
                           "# a\r\n\"x\", log p \r\n1,2.5\n-3,400\n", "+1,2.50000\n-3.0,0.04E4"}) {
    const Array array = parse(text);
    EXPECT_EQ(array.dtype, DType::f64) << text;
    EXPECT_EQ(array.shape, (Shape{2, 2})) << text;
    EXPECT_THAT(values<double>(array), ElementsAre(1, 2.5, -3, 400)) << text;
  }
  EXPECT_EQ(parse("1,2").shape, (Shape{1, 2}));
  EXPECT_EQ(parse("1,2").dtype, DType::f64);
}

TEST(ParseCsv, OneColumnIsAVector) {
  EXPECT_EQ(parse("1.5\n2\n").dtype, DType::f64);
  EXPECT_THAT(values<double>(parse("1.5\n2\n")), ElementsAre(1.5, 2));
  EXPECT_EQ(parse("1.5\n2\n").shape, Shape{2});
  EXPECT_EQ(parse("7").shape, Shape{1});
}

TEST(ParseCsv, IntegersOfOneColumnAreLabels) {
  for (const char* text : {"3\n-100\n+0\n", "y\n3\n-100\n0", "# y\r\n 3 \r\n-100\r\n\t0\r\n\r\n"}) {
    const Array array = parse(text);
    EXPECT_EQ(array.dtype, DType::i64) << text;
    EXPECT_EQ(array.shape, Shape{3}) << text;
    EXPECT_THAT(values<int64_t>(array), ElementsAre(3, -100, 0)) << text;
  }
  EXPECT_THAT(values<int64_t>(parse("9223372036854775807\n-9223372036854775808\n9007199254740993\n")),
              ElementsAre(INT64_MAX, INT64_MIN, 9007199254740993));
  // One that is none makes all of them numbers.
  for (const char* text : {"3\n1.0\n", "3\n1e0\n", "3\nnan\n", "3\n9223372036854775808\n"}) {
    EXPECT_EQ(parse(text).dtype, DType::f64) << text;
    EXPECT_EQ(values<double>(parse(text))[0], 3) << text;
  }
}

TEST(ParseCsv, InfinityAndNan) {
  const std::vector<double> found =
      values<double>(parse("inf,-inf,+inf,INF,Infinity,-infinity\nnan,NaN,-nan,NAN,1,1"));
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(std::vector<double>(found.begin(), found.begin() + 6),
              ElementsAre(inf, -inf, inf, inf, inf, -inf));
  for (size_t i = 6; i < 10; ++i) EXPECT_TRUE(std::isnan(found[i])) << i;
}

TEST(ParseCsv, ZerosAndSubnormals) {
  const std::vector<double> found =
      values<double>(parse("-0.0,4.9406564584124654e-324,1.7976931348623157e308,.5,5."));
  EXPECT_TRUE(std::signbit(found[0]));
  EXPECT_EQ(std::bit_cast<uint64_t>(found[1]), 1u);
  EXPECT_EQ(found[2], std::numeric_limits<double>::max());
  EXPECT_EQ(found[3], 0.5);
  EXPECT_EQ(found[4], 5);
}

RC_GTEST_PROP(Csv, RoundTrip, ()) {
  const auto columns = *rc::gen::inRange<size_t>(2, 5);
  const auto bits = *rc::gen::container<std::vector<uint64_t>>(columns * *rc::gen::inRange<size_t>(1, 5),
                                                               rc::gen::arbitrary<uint64_t>());
  std::string text;
  for (size_t i = 0; i < bits.size(); ++i) {
    char cell[40];
    std::snprintf(cell, sizeof cell, "%.17g", std::bit_cast<double>(bits[i]));
    // A point in each: rows 0,1,... would be names of columns.
    text += std::string(cell) + (std::string(cell).find_first_of(".en") == std::string::npos ? ".0" : "") +
            ((i + 1) % columns == 0 ? "\n" : ",");
  }
  const std::vector<double> found = values<double>(parse(text));
  RC_ASSERT(found.size() == bits.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    const double expected = std::bit_cast<double>(bits[i]);
    RC_ASSERT((std::isnan(expected) ? std::isnan(found[i]) : found[i] == expected));
  }
}

TEST(ParseCsv, RefusesRaggedRows) {
  EXPECT_EQ(refusal("1,2\n3\n"), "file: line 2: 1 numbers found, 2 are needed as in the lines above");
  EXPECT_EQ(refusal("1,2\n3,4,5\n"), "file: line 2: 3 numbers found, 2 are needed as in the lines above");
  EXPECT_EQ(refusal("1\n2\n3,4\n"), "file: line 3: 2 numbers found, 1 are needed as in the lines above");
  EXPECT_EQ(refusal("a,b,c\n1,2\n"), "file: line 2: 2 numbers found, 3 are needed as in the lines above");
  EXPECT_EQ(refusal("# a\n\"a,b\",c\n1,2\n"),
            "file: line 3: 2 numbers found, 3 are needed as in the lines above");
}

TEST(ParseCsv, RefusesCells) {
  const std::pair<std::string, const char*> files[] = {
      {"1,2\n3,x\n", "line 2, column 2: 'x' found, a number is needed"},
      {"1\n2\nx\n", "line 3, column 1: 'x' found, a number is needed"},
      {"1,2\n3,\n", "line 2, column 2: is empty, a number is needed"},
      {"1,2\n,3\n", "line 2, column 1: is empty, a number is needed"},
      {"1\n\n2\n", "line 2, column 1: is empty, a number is needed"},
      {"\n1\n2\n", "line 1, column 1: is empty, a number is needed"},
      {"1,2,\n3,4,\n", "line 1, column 3: is empty, a number is needed"},
      {"1;2\n3;4\n", "line 1, column 1: '1;2' found, a number is needed"},
      {"1 2\n3 4\n", "line 1, column 1: '1 2' found, a number is needed"},
      {"1\t2\n", "line 1, column 1: '1\\x092' found, a number is needed"},
      {"1.O,2\n3,4\n", "line 1, column 1: '1.O' found"},
      {"1\r2\r", "line 1, column 1: '1\\x0d2' found"},
      {"1,2\n0x10,1\n", "'0x10' found"},
      {"1,2\n1_000,1\n", "'1_000' found"},
      {"1,2\n1d5,1\n", "'1d5' found"},
      {"1,2\n1.5.2,1\n", "'1.5.2' found"},
      {"1,2\n--1,1\n", "'--1' found"},
      {"1,2\n+-1,1\n", "'+-1' found"},
      {"1,2\n++1,1\n", "'++1' found"},
      {"1,2\n+,1\n", "'+' found"},
      {"1,2\n-,1\n", "'-' found"},
      {"1,2\n.,1\n", "'.' found"},
      {"1,2\n1e,1\n", "'1e' found"},
      {"1,2\n\"1\",1\n", "'\"1\"' found"},
      {"1,2\nNA,1\n", "'NA' found"},
      {"1,2\n1\0002,1\n"s, "'1\\x002' found"},
      {"1,2\n\x1b[31m,1\n", "'\\x1b[31m' found"},
      {"1,2\n1e999,1\n", "'1e999' found, a number in f64's range is needed"},
      {"1,2\n1e-999,1\n", "'1e-999' found, a number in f64's range is needed"},
      {"1,2\n-1e999,1\n", "'-1e999' found, a number in f64's range is needed"},
      {"1,2\n" + std::string(1000, 'x') + ",1\n", "xxx...' found, a number is needed"},
  };
  for (const auto& [text, reason] : files) {
    EXPECT_THAT(refusal(text), StartsWith("file: line ")) << text;
    EXPECT_THAT(refusal(text), HasSubstr(reason)) << text;
    EXPECT_EQ(refusal(text).find('\n'), std::string::npos) << text;
  }
}

// The line above the numbers is names only if all of it is: a number that went wrong must not vanish as one.
TEST(ParseCsv, RefusesDoubtfulNames) {
  for (const char* line : {"a,1", "1,a", "a,nan", "a,", ",a", ",", "a,-", "a,1st", "a,.b", "\"\",a,"}) {
    EXPECT_THAT(refusal(std::string(line) + "\n1,2\n"), StartsWith("file: line 1")) << line;
  }
  EXPECT_EQ(refusal("a,b\nc,d\n1,2\n"), "file: line 2, column 1: 'c' found, a number is needed");
  EXPECT_EQ(refusal("a,b\n# c\n1,2\n"), "file: line 2, column 1: '# c' found, a number is needed");
  EXPECT_EQ(refusal("1,2\n# c\n"), "file: line 2, column 1: '# c' found, a number is needed");
}

// pandas names nameless columns 0,1,...: that is no row of values where all below have a point.
TEST(ParseCsv, RefusesNumbersOfColumns) {
  EXPECT_EQ(
      refusal("0,1,2\n0.5,1.5,-2.0\n"),
      "file: line 1: '0,1,2' seem to be the columns' numbers: leave them out, or write values with a point");
  EXPECT_THAT(refusal("# a\n0,1\nnan,1e5\n"), HasSubstr("file: line 2: '0,1' seem to be"));
  for (const char* text : {"0,1,2\n", "0,1,2\n3,4,5\n", "0,1,2\n0.5,1,2.5\n", "0,1,2.0\n0.5,0.5,0.5\n",
                           "0,2\n0.5,0.5\n", "1,2\n0.5,0.5\n", "0\n0.5\n"}) {
    EXPECT_EQ(refusal(text), "") << text;
  }
}

TEST(ParseCsv, RefusesFilesWithoutNumbers) {
  for (const char* text :
       {"", "\n", "\r\n\n", " \t", "a,b\n", "a\n\n", "# a\n", "# a", "# a\nb\n", "\xef\xbb\xbf", "garbage"}) {
    EXPECT_EQ(refusal(text), "file: holds no numbers, a row of them is needed") << text;
  }
}

TEST(ParseCsv, LongLinesAndManyLines) {
  std::string line = "0.5";
  for (int i = 1; i < 1000000; ++i) line += ",1";
  EXPECT_EQ(parse(line).shape, (Shape{1, 1000000}));
  std::string lines;
  for (int i = 0; i < 1000000; ++i) lines += "1\n";
  EXPECT_EQ(parse(lines).shape, Shape{1000000});
  EXPECT_THAT(refusal(line + "\n" + lines), HasSubstr("line 2: 1 numbers found, 1000000 are needed"));
  EXPECT_EQ(parse("1." + std::string(1000000, '0') + "1,1").shape, (Shape{1, 2}));
}

TEST(ParseCsv, EveryPrefixAndWrongByteParsesOrIsRefused) {
  std::string text = "a,b\n-1.5,inf\r\n2e3,4\n";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(refusal(text.substr(0, size)).find('\n'), std::string::npos);
  }
  for (char& byte : text) {
    const char right = byte;
    for (int wrong = 0; wrong < 256; ++wrong) {
      byte = static_cast<char>(wrong);
      EXPECT_EQ(refusal(text).find('\n'), std::string::npos);
    }
    byte = right;
  }
}

TEST(ReadCsv, NamesTheFile) {
  const TempFolder folder;
  put(folder.path("a.csv"), "1,2\n3\n");
  put(folder.path("b.csv"), "1,2\n3,4\n");
  EXPECT_THAT(error_of([&] { read_csv(folder.path("a.csv")); }),
              StartsWith(folder.path("a.csv") + ": line 2: "));
  EXPECT_THAT(error_of([&] { read_csv(folder.path("c.csv")); }), HasSubstr("c.csv: cannot be opened"));
  EXPECT_THAT(values<double>(read_csv(folder.path("b.csv"))), ElementsAre(1, 2, 3, 4));
}

}  // namespace
}  // namespace labelsmooth::io
