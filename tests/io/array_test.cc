// SPDX-License-Identifier: MIT
// The one door: which reader a name asks for, and what the readers share.
#include "io/array.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>  // dup, dup2, close

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

const std::string kNpy = npy(dictionary("|u1", "(3,)"), "npy");
const std::string kCsv = "1\n2\n3\n4\n";
const std::string kSafetensors =
    "\x37\0\0\0\0\0\0\0"s
    R"({"a:b":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}abcde)";
const std::string kEmptyNpz = "PK\5\6" + std::string(18, '\0');

TEST(ReadArray, TheNameSaysTheFormat) {
  const TempFolder folder;
  const auto size = [&](const std::string& name, const std::string& content) {
    put(folder.path(name), content);
    return read_array(folder.path(name)).size();
  };
  EXPECT_EQ(size("a.npy", kNpy), 3);
  EXPECT_EQ(size("a.csv", kCsv), 4);
  EXPECT_EQ(size("a.safetensors", kSafetensors), 5);
  EXPECT_EQ(read_array(folder.path("a.safetensors:a:b")).size(), 5);
  // Any other name, as of a pipe, is a .npy's.
  EXPECT_EQ(size("a", kNpy), 3);
  EXPECT_EQ(size("npz", kNpy), 3);
  EXPECT_EQ(size("a.csv.npy", kNpy), 3);
  EXPECT_EQ(size("a.npy:b", kNpy), 3);
  put(folder.path("a.npz"), kEmptyNpz);
  const std::string npz = folder.path("a.npz");
  EXPECT_THAT(error_of([&] { read_array(npz); }),
              StartsWith(npz + ": 0 arrays found, one or " + npz + ":NAME"));
}

TEST(ReadArray, TheFirstEndingWithAColonEndsThePath) {
  const TempFolder folder;
  put(folder.path("a.npz"), kEmptyNpz);
  put(folder.path("a.safetensors"), kSafetensors);
  for (const char* name : {":", ":b", ":a/b:c", ":x.npz:y", ":x.safetensors:y", ":x.csv", ":.npz"}) {
    for (const char* file : {"a.npz", "a.safetensors"}) {
      EXPECT_THAT(error_of([&] { read_array(folder.path(file) + name); }),
                  StartsWith(folder.path(file) + name + ": no such array"));
    }
  }
  EXPECT_THAT(error_of([&] { read_array("missing.npz:a"); }), StartsWith("missing.npz: cannot be opened"));
  EXPECT_THAT(error_of([&] { read_array("missing.safetensors:a.npz:b"); }),
              StartsWith("missing.safetensors: cannot be opened"));
}

TEST(ReadArray, AnotherFormatUnderTheNameIsRefused) {
  const TempFolder folder;
  const auto error = [&](const std::string& name, const std::string& content) {
    put(folder.path(name), content);
    return error_of([&] { read_array(folder.path(name)); });
  };
  EXPECT_THAT(error("a.npy", kEmptyNpz), HasSubstr("no .npy file"));
  EXPECT_THAT(error("a.npz", kNpy), HasSubstr("no .npz file"));
  EXPECT_THAT(error("a.safetensors", kEmptyNpz), HasSubstr("a header of"));
  EXPECT_THAT(error("b.safetensors", kCsv), HasSubstr("a header of"));
  EXPECT_THAT(error("a.csv", kNpy), HasSubstr("a number is needed"));
  EXPECT_THAT(error("b.csv", kEmptyNpz), HasSubstr("no numbers"));
  for (const char* name : {"c.npy", "c.npz", "c.safetensors", "c.csv", "c"}) {
    EXPECT_THAT(error(name, ""), StartsWith(folder.path(name) + ": ")) << name;
  }
}

TEST(ReadArray, DashIsANpyOnStandardInput) {
  const TempFolder folder;
  put(folder.path("a"), kNpy);
  const int saved = dup(STDIN_FILENO), file = open(folder.path("a").c_str(), O_RDONLY);
  dup2(file, STDIN_FILENO);
  close(file);
  EXPECT_EQ(values<char>(read_array("-")), (std::vector<char>{'n', 'p', 'y'}));
  dup2(saved, STDIN_FILENO);
  close(saved);
}

TEST(Array, ShapeText) {
  EXPECT_EQ(shape_text({}), "()");
  EXPECT_EQ(shape_text({3}), "(3,)");
  EXPECT_EQ(shape_text({3, 0, 5}), "(3, 0, 5)");
}

TEST(Array, CheckedSize) {
  EXPECT_EQ(checked_size({}, 1, "file"), 1);
  EXPECT_EQ(checked_size({2, 3}, 6, "file"), 6);
  EXPECT_EQ(checked_size({2, 0, 3}, 6, "file"), 0);
  const auto error = [](const std::vector<int64_t>& shape, int64_t most) {
    return error_of([&] { checked_size(shape, most, "file"); });
  };
  EXPECT_EQ(error({2, 3}, 5), "file: shape (2, 3) is too large for 64 bits");
  EXPECT_THAT(error({2, 0, 3}, 5), HasSubstr("too large"));
  EXPECT_THAT(error({INT64_MAX, 2}, INT64_MAX), HasSubstr("too large"));
  EXPECT_THAT(error({0, INT64_MAX, 2}, INT64_MAX), HasSubstr("too large"));
}

}  // namespace
}  // namespace labelsmooth::io
