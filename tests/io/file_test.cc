// SPDX-License-Identifier: MIT
// Files are read whole whatever their kind, and appear under their name complete or not at all.
#include "io/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>  // setrlimit
#include <sys/stat.h>      // mkfifo, stat, umask
#include <sys/wait.h>      // waitpid
#include <unistd.h>        // close, dup, dup2, fork, lseek, pause, pipe

#include <csignal>      // kill, SIGKILL, SIGXFSZ
#include <type_traits>  // std::is_copy_constructible_v
#include <utility>      // std::move

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string read(const std::string& path) { return text(MappedFile(path)); }

/// Standard input is `descriptor` while this lives; -1 closes it.
class StandardInput {
 public:
  explicit StandardInput(int descriptor) : saved_(dup(STDIN_FILENO)) {
    if (descriptor < 0) {
      close(STDIN_FILENO);
    } else {
      dup2(descriptor, STDIN_FILENO);
      close(descriptor);
    }
  }
  ~StandardInput() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }

 private:
  int saved_;
};

/// The reading end of a pipe that holds `content` and has no writer.
int pipe_with(const std::string& content) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], content.data(), content.size()), static_cast<ssize_t>(content.size()));
  close(ends[1]);
  return ends[0];
}

TEST(MappedFile, ReadsRegularFiles) {
  const TempFolder folder;
  const std::string large(3 << 20, 'x');
  put(folder.path("small"), std::string("a\0b\n", 4));
  put(folder.path("large"), large);
  put(folder.path("empty"), "");
  EXPECT_EQ(read(folder.path("small")), std::string("a\0b\n", 4));
  EXPECT_EQ(read(folder.path("large")), large);
  EXPECT_EQ(read(folder.path("empty")), "");
}

TEST(MappedFile, IsPageAligned) {
  const TempFolder folder;
  put(folder.path("file"), "content");
  const MappedFile file(folder.path("file"));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.bytes().data()) % 4096, 0u);
}

TEST(MappedFile, ReadsWhatCannotBeMapped) {
  EXPECT_EQ(read("/dev/null"), "");
  EXPECT_THAT(read("/proc/self/status"), StartsWith("Name:"));  // a regular file that claims 0 bytes
  const std::string content(60000, 'p');
  const int end = pipe_with(content);
  EXPECT_EQ(read("/dev/fd/" + std::to_string(end)), content);
  close(end);
}

TEST(MappedFile, DashIsStandardInput) {
  const TempFolder folder;
  put(folder.path("file"), "from a file");
  {
    const StandardInput input(pipe_with("from a pipe"));
    const MappedFile file("-");
    EXPECT_EQ(text(file), "from a pipe");
    EXPECT_EQ(file.name(), "standard input");
  }
  {
    const StandardInput input(open(folder.path("file").c_str(), O_RDONLY));
    EXPECT_EQ(read("-"), "from a file");
    lseek(STDIN_FILENO, 5, SEEK_SET);  // somebody has read the first word
    EXPECT_EQ(read("-"), "a file");
  }
  const StandardInput input(-1);
  EXPECT_THAT(error_of([] { read("-"); }), StartsWith("standard input: cannot be opened: "));
}

TEST(MappedFile, RefusesWithThePath) {
  const TempFolder folder;
  put(folder.path("file"), "content");
  const auto error = [&](const std::string& name) { return error_of([&] { read(folder.path(name)); }); };
  EXPECT_EQ(error("missing"), folder.path("missing") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(error("file/below"), folder.path("file/below") + ": cannot be opened: Not a directory");
  EXPECT_EQ(error(""), folder.path("") + ": is a directory, a file is needed");
  EXPECT_THAT(error_of([] { read(""); }), EndsWith("No such file or directory"));
  EXPECT_THAT(error_of([] { read("/proc/self/mem"); }), HasSubstr("cannot be read: Input/output error"));
}

TEST(MappedFile, Moves) {
  static_assert(!std::is_copy_constructible_v<MappedFile>);
  const TempFolder folder;
  put(folder.path("file"), "content");
  MappedFile first(folder.path("file"));
  MappedFile second = std::move(first);
  EXPECT_EQ(text(second), "content");
  EXPECT_TRUE(first.bytes().empty());
  second = MappedFile("/dev/null");
  EXPECT_TRUE(second.bytes().empty());
}

bool knows_nameless_files(const TempFolder& folder) {
  const int file = open(folder.path(".").c_str(), O_WRONLY | O_TMPFILE, 0600);
  if (file >= 0) close(file);
  return file >= 0;
}

TEST(NewFile, AppearsComplete) {
  const TempFolder folder;
  const std::string path = folder.path("file");
  put(path, "old");
  NewFile file(path);
  file.write("new ");
  file.write(bytes_of("content"));
  EXPECT_EQ(get(path), "old");
  file.commit();
  EXPECT_EQ(get(path), "new content");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  put(folder.path("old"), "old");
  for (const char* name : {"old", "new"}) {
    NewFile file(folder.path(name));
    file.write("half");
  }
  EXPECT_EQ(get(folder.path("old")), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, LeavesNothingOfAKilledProcess) {
  const TempFolder folder;
  put(folder.path("old"), "old");
  int made[2];
  ASSERT_EQ(pipe(made), 0);
  const pid_t child = fork();
  if (child == 0) {
    NewFile file(folder.path("old")), other(folder.path("new"));
    file.write("half");
    other.write("half");
    if (write(made[1], "x", 1) != 1) _exit(1);
    pause();
  }
  char byte;
  ASSERT_EQ(::read(made[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(made[0]);
  close(made[1]);
  EXPECT_EQ(get(folder.path("old")), "old");
  if (!knows_nameless_files(folder)) GTEST_SKIP() << "this file system knows no files without a name";
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, MayBeEmptyAndHaveTheLongestName) {
  const TempFolder folder;
  const std::string path = folder.path(std::string(255, 'n'));
  NewFile(path).commit();
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST(NewFile, SeveralOfOneFolderDoNotCollide) {
  const TempFolder folder;
  NewFile first(folder.path("file")), second(folder.path("file"));
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  EXPECT_EQ(get(folder.path("file")), "first");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, ObeysTheUmask) {
  const TempFolder folder;
  const mode_t before = umask(027);
  write_file(folder.path("file"), "content");
  umask(before);
  struct stat status;
  ASSERT_EQ(stat(folder.path("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(NewFile, FollowsLinks) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path("elsewhere"));
  put(folder.path("elsewhere/target"), "old");
  std::filesystem::create_symlink("elsewhere/target", folder.path("link"));
  write_file(folder.path("link"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
  EXPECT_EQ(get(folder.path("elsewhere/target")), "new");
}

TEST(NewFile, WritesDevicesAndPipesInPlace) {
  write_file("/dev/null", "content");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));

  const TempFolder folder;
  const std::string path = folder.path("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  write_file(path, "content");
  char buffer[16];
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(::read(reader, buffer, sizeof buffer))), "content");
  close(reader);
  EXPECT_TRUE(std::filesystem::is_fifo(path));
}

TEST(NewFile, RefusesWithThePath) {
  const TempFolder folder;
  put(folder.path("file"), "content");
  const auto error = [](const std::string& path) { return error_of([&] { NewFile file(path); }); };
  EXPECT_EQ(error(folder.path("missing/file")),
            folder.path("missing/file") + ": cannot be written: No such file or directory");
  EXPECT_EQ(error(folder.path("file/below")),
            folder.path("file/below") + ": cannot be written: Not a directory");
  EXPECT_EQ(error(folder.path("")), folder.path("") + ": is a directory, a file is needed");
  EXPECT_THAT(error("/proc/labelsmooth"), StartsWith("/proc/labelsmooth: cannot be written: "));
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, ReportsAFullDevice) {
  EXPECT_EQ(error_of([] { write_file("/dev/full", "content"); }),
            "/dev/full: cannot be written: No space left on device");
}

TEST(NewFile, FailureHalfwayLeavesTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.path("file");
  put(path, "old");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit saved;
  getrlimit(RLIMIT_FSIZE, &saved);
  const rlimit small = {4096, saved.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of([&] { write_file(path, std::string(10000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &saved);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(error, path + ": cannot be written: File too large");
  EXPECT_EQ(get(path), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewFile, FailureToRenameLeavesNothing) {
  const TempFolder folder;
  const std::string path = folder.path("name");
  const std::string error = error_of([&] {
    NewFile file(path);
    std::filesystem::create_directory(path);  // somebody else was faster
    file.commit();
  });
  EXPECT_EQ(error, path + ": cannot be written: Is a directory");
  EXPECT_EQ(folder.entries(), 1);
}

}  // namespace
}  // namespace labelsmooth::io
