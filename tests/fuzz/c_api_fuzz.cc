// SPDX-License-Identifier: MIT
// Fuzz target of the C interface: hostile shapes, enums, sizes and numbers end in a status, never in a crash,
// a hang or a byte outside the arrays. The input is read as numbers; what points to memory points to arrays
// that are large enough for the shapes that pass the door.
#include <algorithm>  // std::min
#include <cstdint>    // uint8_t
#include <cstdlib>    // std::abort
#include <cstring>    // std::memcpy
#include <memory>     // std::make_unique

#include "labelsmooth/c_api.h"

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  template <class T>
  T take() {
    T value{};
    const size_t bytes = std::min(sizeof value, size_);
    if (bytes > 0) std::memcpy(&value, data_, bytes);
    data_ += bytes;
    size_ -= bytes;
    return value;
  }
  // Mostly a sane value, now and then any.
  int64_t number(int64_t limit) {
    const auto kind = take<uint8_t>();
    return kind < 230 ? kind % (limit + 1) : take<int64_t>();
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Exactly the elements of a view, so that AddressSanitizer sees a step outside; null where the shape is no
// shape.
constexpr int64_t kMost = 4096;
std::unique_ptr<uint8_t[]> memory_of(Input& input, labelsmooth_view& view) {
  const int64_t sizes[] = {view.outer, view.classes, view.inner},
                strides[] = {view.outer_stride, view.class_stride, view.inner_stride};
  int64_t low = 0, high = 0;
  bool empty = false;
  for (int i = 0; i < 3; ++i) {
    const int64_t size =
        i == 1 ? std::min(kMost, sizes[i]) + std::min(kMost, std::max<int64_t>(0, view.padding)) : sizes[i];
    if (size <= 0) empty = true;
    if (size > kMost || strides[i] > kMost || strides[i] < -kMost) empty = true;
    if (!empty) (strides[i] < 0 ? low : high) += (size - 1) * strides[i];
  }
  if (empty || high - low > (1 << 20)) return nullptr;
  const int64_t width = 8, elements = high - low + 1;
  auto memory = std::make_unique<uint8_t[]>(static_cast<size_t>(elements * width));
  for (int64_t i = 0; i < std::min<int64_t>(elements * width, 256); ++i) memory[i] = input.take<uint8_t>();
  // Any width up to 8 fits where the strides are counted in elements of it.
  const int64_t widths[] = {4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8};
  const int64_t step = view.dtype >= 0 && view.dtype < 12 ? widths[view.dtype] : 1;
  view.data = memory.get() - low * step;
  return memory;
}

labelsmooth_view view_of(Input& input) {
  labelsmooth_view view =
      labelsmooth_rows(nullptr, static_cast<int32_t>(input.number(11)), input.number(9), input.number(40));
  view.inner = input.number(3);
  view.outer_stride = input.number(200);
  view.class_stride = input.number(7);
  view.inner_stride = input.number(7);
  view.class_begin = input.number(2);
  view.total_classes = input.number(42);
  view.padding = input.number(5);
  return view;
}

// The size is the array's own: a caller who lies about it is beyond help.
labelsmooth_vector vector_of(Input& input, std::unique_ptr<uint8_t[]>& memory) {
  const int64_t size = input.number(60);
  labelsmooth_vector vector = {nullptr, size, static_cast<int32_t>(input.number(11))};
  if (size <= 0 || size > kMost) return vector;
  memory = std::make_unique<uint8_t[]>(static_cast<size_t>(size) * 8);
  for (int64_t i = 0; i < std::min<int64_t>(size * 8, 128); ++i) memory[i] = input.take<uint8_t>();
  vector.data = memory.get();
  return vector;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  labelsmooth_set_threads(1);
  Input input(data, size);
  std::unique_ptr<uint8_t[]> memory[12];
  labelsmooth_view logits = view_of(input),
                   dlogits = input.take<uint8_t>() % 2 == 0 ? logits : view_of(input);
  memory[0] = memory_of(input, logits);
  memory[1] = memory_of(input, dlogits);
  labelsmooth_target target = labelsmooth_labels(nullptr, 0, 0);
  target.kind = static_cast<int32_t>(input.number(2));
  target.labels = vector_of(input, memory[2]);
  target.second = vector_of(input, memory[3]);
  target.weight = vector_of(input, memory[4]);
  target.dense = view_of(input);
  memory[5] = memory_of(input, target.dense);
  labelsmooth_options options = labelsmooth_default_options();
  options.smoothing.rule = static_cast<int32_t>(input.number(3));
  options.smoothing.amount = input.take<uint8_t>() % 2 == 0 ? 0.1 : input.take<double>();
  options.smoothing.prior_kind = static_cast<int32_t>(input.number(3));
  options.smoothing.prior = view_of(input);
  memory[6] = memory_of(input, options.smoothing.prior);
  options.smoothing.amount_by_class = vector_of(input, memory[7]);
  options.smoothing.amount_by_row = vector_of(input, memory[8]);
  options.class_weights = vector_of(input, memory[9]);
  options.row_weights = vector_of(input, memory[10]);
  options.mask = view_of(input);
  memory[11] = memory_of(input, options.mask);
  options.ignore_index = input.number(100);
  options.ignore = input.take<uint8_t>() % 2;
  options.scale = input.take<uint8_t>() % 2 == 0 ? 1 : input.take<double>();
  for (double* value :
       {&options.soft_cap, &options.z_loss, &options.entropy_penalty, &options.max_suppression}) {
    *value = input.take<uint8_t>() % 2 == 0 ? 0 : input.take<double>();
  }
  for (int32_t* value :
       {&options.weighting, &options.support, &options.reduction, &options.denominator, &options.empty}) {
    *value = static_cast<int32_t>(input.number(2));
  }
  options.denominator_value = input.take<double>();
  labelsmooth_upstream upstream = {sizeof upstream, 1, {nullptr, 0, 0}, input.take<uint8_t>() % 2};
  labelsmooth_result result;
  result.struct_size = sizeof result;

  const int loss = labelsmooth_cross_entropy(&logits, &target, nullptr, &options, nullptr, nullptr, &result);
  const int both =
      labelsmooth_cross_entropy(&logits, &target, &dlogits, &options, &upstream, nullptr, &result);

  labelsmooth_sigmoid_options binary = labelsmooth_default_sigmoid_options();
  binary.rule = options.smoothing.rule;
  binary.amount = options.smoothing.amount;
  binary.pos_weight = binary.class_weights = options.class_weights;
  binary.row_weights = options.row_weights;
  binary.element_weights = options.smoothing.prior;
  binary.mask = options.mask;
  binary.ignore_index = options.ignore_index;
  binary.ignore = options.ignore;
  binary.reduction = options.reduction;
  binary.denominator = options.denominator;
  binary.denominator_value = options.denominator_value;
  const int sigmoid =
      labelsmooth_sigmoid_cross_entropy(&logits, &target, &dlogits, &binary, &upstream, nullptr, nullptr);
  for (const int status : {loss, both, sigmoid}) {
    if (status != LABELSMOOTH_OK && status != LABELSMOOTH_INVALID_ARGUMENT) std::abort();
    if (status != LABELSMOOTH_OK && *labelsmooth_last_error() == 0) std::abort();
  }
  double row[64], mass;
  if (const int64_t classes = input.number(60); classes <= 64)
    labelsmooth_target_row(&options.smoothing, classes, input.number(60), row, &mass);
  return 0;
}
