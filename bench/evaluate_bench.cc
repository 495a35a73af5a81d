// SPDX-License-Identifier: MIT
// evaluate beside its limit, in turn: what of its time is reading the file and one exp an element.
#include <fcntl.h>       // open, posix_fadvise
#include <fmt/format.h>  // fmt::format, fmt::print
#include <hwy/aligned_allocator.h>
#include <sys/resource.h>  // getrusage
#include <unistd.h>        // close, fdatasync

#include <algorithm>   // std::minmax_element, std::nth_element
#include <chrono>      // std::chrono
#include <cstdlib>     // std::atoll
#include <filesystem>  // std::filesystem
#include <nlohmann/json.hpp>
#include <span>    // std::span
#include <string>  // std::string
#include <vector>  // std::vector

#include "evaluate/summary.h"
#include "io/array.h"
#include "io/npy.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"
#include "parallel.h"
#include "random.h"
#include "softmax.h"

namespace labelsmooth::bench {
namespace {

struct Seconds {
  double wall, cpu;
};

Seconds now() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + 1e-6 * double(time.tv_usec); };
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now().time_since_epoch();
  return {wall.count(), seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

template <class Work>
Seconds time(const Work& work) {
  const Seconds begin = now();
  work();
  const Seconds end = now();
  return {end.wall - begin.wall, end.cpu - begin.cpu};
}

/// A model that is right in most rows.
std::vector<int64_t> write_logits(const std::string& path, int64_t rows, int64_t classes) {
  std::vector<int64_t> labels(static_cast<size_t>(rows));
  io::NewNpy file(path, DType::f32, {rows, classes});
  std::vector<float> row(static_cast<size_t>(classes));
  for (int64_t i = 0; i < rows; ++i) {
    const auto index = static_cast<uint64_t>(i * (classes + 1));
    for (int64_t k = 0; k < classes; ++k)
      row[k] =
          static_cast<float>(1.5 * draw(1, Stream::sampled, 0, index + static_cast<uint64_t>(k)).normal());
    const Draw own = draw(1, Stream::sampled, 0, index + static_cast<uint64_t>(classes));
    labels[i] = own.below(static_cast<uint32_t>(classes), 2);
    row[labels[i]] += static_cast<float>(6 + 2.5 * own.normal());
    file.write(std::as_bytes(std::span(row)));
  }
  file.commit();
  return labels;
}

/// Leaves the file on the disk alone: what the system then reads lies in larger pages than what was written,
/// and maps in a third of the time.
void forget_pages(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY);
  fdatasync(file);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

/// Every row's exps, kept where they fit in a cache, and their sums.
void limit(const std::string& path) {
  const io::Array array = io::read_array(path);
  const int64_t rows = array.shape[0], classes = array.shape[1];
  constexpr int64_t kParts = 1024;
  parallel_for(kParts, rows * classes, [&](int64_t first, int64_t last) {
    const auto e = hwy::AllocateAligned<double>(static_cast<size_t>(classes));
    SoftmaxSums sums;
    for (int64_t i = first * rows / kParts; i < last * rows / kParts; ++i)
      softmax_kernels().f32.exps(static_cast<const float*>(array.data) + i * classes, classes, 1, e.get(),
                                 sums);
  });
}

void whole(const std::string& path, const std::vector<int64_t>& labels) {
  const io::Array array = io::read_array(path);
  const Logits logits(static_cast<const float*>(array.data), array.shape[0], array.shape[1]);
  evaluate(logits, labels, {}, /*quiet=*/true);
}

std::string spread(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  const double median = *middle;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.2f} ({:.2f}-{:.2f})", median, *least, *most);
}

}  // namespace
}  // namespace labelsmooth::bench

// evaluate_bench [ROWS CLASSES]: 4 GB in the temporary folder, for the time that it runs.
int main(int count, char** arguments) {
  using namespace labelsmooth;         // NOLINT
  using namespace labelsmooth::bench;  // NOLINT
  const int64_t rows = count > 2 ? std::atoll(arguments[1]) : 1'000'000;
  const int64_t classes = count > 2 ? std::atoll(arguments[2]) : 1000;
  const std::string path = std::filesystem::temp_directory_path() / "labelsmooth_evaluate_bench.npy";
  const std::vector<int64_t> labels = write_logits(path, rows, classes);
  forget_pages(path);
  limit(path);  // which reads it
  std::vector<double> wall, cpu, seconds, cpu_seconds;
  for (int repetition = 0; repetition < 7; ++repetition) {
    const bool first = repetition % 2 == 0;
    Seconds least = {}, all = {};
    if (first) least = time([&] { limit(path); });
    all = time([&] { whole(path, labels); });
    if (!first) least = time([&] { limit(path); });
    wall.push_back(least.wall / all.wall);
    cpu.push_back(least.cpu / all.cpu);
    seconds.push_back(all.wall);
    cpu_seconds.push_back(all.cpu);
  }
  std::filesystem::remove(path);
  fmt::print("evaluate {} x {} f32, isa {}, {} threads: {} s, {} s of processors\n", rows, classes, isa(),
             threads(), spread(seconds), spread(cpu_seconds));
  fmt::print("of it reading and one exp an element: {}, of processors {}\n", spread(wall), spread(cpu));
}
