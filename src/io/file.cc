// SPDX-License-Identifier: MIT
#include "io/file.h"

#include <fcntl.h>     // open, fcntl
#include <sys/stat.h>  // stat, fstat
#include <unistd.h>    // access, read, write, lseek, fsync, close, unlink, getpid, linkat

#include <cerrno>        // errno
#include <cstdio>        // std::rename
#include <filesystem>    // std::filesystem::path, canonical
#include <system_error>  // std::generic_category, std::error_code
#include <utility>       // std::exchange

#include "labelsmooth/tensor.h"

namespace labelsmooth::io {
namespace {

std::string describe(int error) { return std::generic_category().message(error); }

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return value_; }

 private:
  int value_;
};

std::vector<std::byte> read_to_end(int file, const std::string& name) {
  constexpr size_t kChunkBytes = size_t{1} << 16;
  std::vector<std::byte> buffer;
  for (size_t size = 0;;) {
    buffer.resize(size + kChunkBytes);
    const ssize_t got = read(file, buffer.data() + size, kChunkBytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(name, "cannot be read: " + describe(errno));
    size += static_cast<size_t>(got);
    if (got == 0) {
      buffer.resize(size);
      return buffer;
    }
  }
}

std::string follow_links(const std::string& path) {
  std::error_code broken;  // a dangling link, or nothing there yet: the name itself is the target
  const std::filesystem::path target = std::filesystem::canonical(path, broken);
  return broken ? path : target.string();
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  const Descriptor file(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                    : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) throw Error(name_, "cannot be opened: " + describe(errno));
  if (S_ISDIR(status.st_mode)) throw Error(name_, "is a directory, a file is needed");
  // An offset is standard input that somebody has begun to read.
  if (S_ISREG(status.st_mode) && lseek(file, 0, SEEK_CUR) == 0) {
    const auto size_bytes = static_cast<size_t>(status.st_size);
    void* mapping = mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapping != MAP_FAILED) mapping_ = {mapping, Unmap{size_bytes}};
  }
  // Also where a file claims 0 bytes, which cannot be mapped: those of /proc do, and hold some.
  if (!mapping_) buffer_ = read_to_end(file, name_);
}

std::span<const std::byte> MappedFile::bytes() const {
  if (!mapping_) return buffer_;
  return {static_cast<const std::byte*>(mapping_.get()), mapping_.get_deleter().size_bytes};
}

NewFile::NewFile(const std::string& path) : path_(path), target_(follow_links(path)) {
  struct stat status;
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) throw Error(path, "is a directory, a file is needed");
  if (exists && !S_ISREG(status.st_mode)) {
    descriptor_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail(errno);
    return;
  }
  in_place_ = false;
  const std::string folder = std::filesystem::path(target_).parent_path() / ".";
  // A file without a name, which is gone with the process however that ends; its name will come through
  // /proc.
  if (access("/proc/self/fd", X_OK) == 0)
    descriptor_ = open(folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  // Not every file system has that.
  if (descriptor_ < 0) {
    take_temporary([this](const char* name) {
      return descriptor_ = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    });
  }
}

// Makes a hidden file beside the target, by a name that nobody has.
template <class Make>
void NewFile::take_temporary(const Make& make) {
  const std::filesystem::path folder = std::filesystem::path(target_).parent_path();
  for (int attempt = 0;; ++attempt) {
    const std::string name =
        folder / (".labelsmooth-" + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".tmp");
    if (make(name.c_str()) >= 0) {
      temporary_ = name;
      return;
    }
    if (errno != EEXIST) fail(errno);
  }
}

NewFile::~NewFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void NewFile::fail(int error) const { throw Error(path_, "cannot be written: " + describe(error)); }

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void NewFile::commit() {
  // Before it has its name, so that not even a power failure leaves that on half a file.
  if (!in_place_ && fsync(descriptor_) != 0) fail(errno);
  if (!in_place_ && temporary_.empty()) {
    // A link replaces nothing, so it is made beside the target and moved there: two calls, between which a
    // kill would leave a hidden file, a whole one.
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
    take_temporary([&self](const char* name) {
      return linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW);
    });
  }
  if (close(std::exchange(descriptor_, -1)) != 0) fail(errno);
  if (in_place_) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  NewFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file(const std::string& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace labelsmooth::io
