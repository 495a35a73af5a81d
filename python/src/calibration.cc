// SPDX-License-Identifier: MIT
#include "calibration.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <memory>  // std::make_unique
#include <new>     // placement new

#include "array.h"
#include "labelsmooth/calibration.h"

namespace labelsmooth::python {
namespace {

using Flat = nb::ndarray<nb::numpy, double, nb::ndim<1>>;

// Logits whose classes lie along the last axis, and one label a row, with what keeps their memory.
struct LabelledRows {
  In logits, labels;
  Logits view;
  Vector vector;

  LabelledRows(nb::handle z, nb::handle y) : logits("logits", z), labels("labels", y) {
    const auto axes = static_cast<int64_t>(logits.shape().size());
    if (axes == 0) throw Error("logits", "no axes found, (..., classes) are needed");
    const std::vector<int64_t>& shape = logits.shape();
    if (labels.shape() != std::vector<int64_t>(shape.begin(), shape.end() - 1))
      throw Error("labels", "another shape than that of the logits' rows found");
    const auto found = logits.view({.axis = axes - 1, .outer_axes = axes - 1});
    if (!found) throw Error("logits", "rows that lie at no one stride found; make the array contiguous");
    view = *found;
    vector = labels.vector("labels");
  }
};

// What the GIL is released for joins under it, so that threads may share one object.
void add(CalibrationStats& stats, nb::handle logits, nb::handle labels, std::optional<int64_t> ignore_index,
         double scale) {
  const LabelledRows rows(logits, labels);
  CalibrationStats next;
  {
    const nb::gil_scoped_release release;
    next.add(rows.view, rows.vector, {.ignore_index = ignore_index, .scale = scale});
  }
  stats.merge(next);
}

Flat flat(const CalibrationStats& stats) {
  auto values = std::make_unique<std::vector<double>>(stats.flat());
  double* data = values->data();
  const size_t size = values->size();
  const nb::capsule owner(values.release(),
                          [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
  return Flat(data, {size}, owner);
}

CalibrationStats from_flat(nb::handle object) {
  const In array("flat", object);
  const Vector vector = array.vector("flat");
  if (vector.dtype != DType::f64) throw Error("flat", "float64 values, those of flat(), are needed");
  return CalibrationStats::from_flat(
      {static_cast<const double*>(vector.data), static_cast<size_t>(vector.size)});
}

nb::bytes to_bytes(const CalibrationStats& stats) {
  const std::vector<std::byte> bytes = stats.to_bytes();
  return nb::bytes(bytes.data(), bytes.size());
}

CalibrationStats from_bytes(const nb::bytes& bytes) {
  return CalibrationStats::from_bytes({static_cast<const std::byte*>(bytes.data()), bytes.size()});
}

TemperatureFit fit(nb::handle logits, nb::handle labels, std::optional<int64_t> ignore_index, double least,
                   double most) {
  const LabelledRows rows(logits, labels);
  const nb::gil_scoped_release release;
  return fit_temperature(rows.view, rows.vector,
                         {.ignore_index = ignore_index, .least = least, .most = most});
}

constexpr const char* kStatsDoc =
    R"(What rows of logits contribute to every binned measure of calibration; shards add up to the whole.

.. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N} \left|\mathrm{acc}_b - \mathrm{conf}_b\right|

The confidence of a row is its largest probability, its prediction the class that has it, the lowest on
ties. Bins are [low, high), the last closed, of equal width, and as many as divide 3840 (10, 12, 15, 16,
20, ...). All in float64. Shards merge by `merge`, by a sum of `flat` (torch.distributed.all_reduce,
MPI_Allreduce), or as pickles (multiprocessing, Spark, Ray); counts are exact, sums hold to rounding.

Example:
    >>> import numpy as np
    >>> import labelsmooth
    >>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> here, there = labelsmooth.CalibrationStats(), labelsmooth.CalibrationStats()
    >>> here.add(logits[:2], np.array([0, 1]))
    >>> there.add(logits[2:], np.array([1, 1]))
    >>> whole = labelsmooth.CalibrationStats.from_flat(here.flat() + there.flat())
    >>> whole.counted, whole.accuracy, round(whole.confidence, 12), round(whole.ece(), 12)
    (4, 0.75, 0.75, 0.4)

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017; docs/calibration.md.)";

}  // namespace

void bind_calibration(nb::module_& m) {
  using namespace nb::literals;  // NOLINT: nanobind's own way to name arguments
  nb::class_<ReliabilityBin>(m, "ReliabilityBin", R"(Rows whose confidence lies in one bin.

Attributes:
    low, high: the bin's edges, [low, high); the last bin has its high edge too.
    count: how many rows it holds.
    confidence, accuracy: means over them; NaN where there are none.)")
      .def_ro("low", &ReliabilityBin::low)
      .def_ro("high", &ReliabilityBin::high)
      .def_ro("count", &ReliabilityBin::count)
      .def_ro("confidence", &ReliabilityBin::confidence)
      .def_ro("accuracy", &ReliabilityBin::accuracy);

  nb::class_<CalibrationStats>(m, "CalibrationStats", kStatsDoc)
      .def(nb::init<>())
      .def("add", &add, "logits"_a, "labels"_a, nb::kw_only(), "ignore_index"_a.none() = -100,
           "scale"_a = 1.0,
           R"(Count some rows. Nothing is counted where it raises.

Args:
    logits: (..., classes), a NumPy array or a CPU tensor: float32, float64, float16 or bfloat16.
    labels: integers of the logits' shape without the classes, contiguous.
    ignore_index: rows with this label do not count; None: all do.
    scale: factor of the logits, the inverse of a temperature.

Raises:
    Error: a label outside [0, classes), NaN or +inf in a counted row, or -inf alone; with the row.)")
      .def("merge", &CalibrationStats::merge, "other"_a, "Count the rows of another one too.")
      .def_prop_ro("counted", &CalibrationStats::counted, "How many rows.")
      .def_prop_ro("accuracy", &CalibrationStats::accuracy)
      .def_prop_ro("confidence", &CalibrationStats::confidence, "Mean of the largest probabilities.")
      .def_prop_ro("gap", &CalibrationStats::gap, "confidence - accuracy: above 0 is over-confident.")
      .def_prop_ro("nll", &CalibrationStats::nll, "Mean of the hard-label loss, nats.")
      .def_prop_ro("brier", &CalibrationStats::brier, "Mean of the sum over the classes, 0 to 2.")
      .def_prop_ro("entropy", &CalibrationStats::entropy, "Mean of the predictions' entropy, nats.")
      .def_prop_ro("nll_error", &CalibrationStats::nll_error, "Standard error; NaN below two rows.")
      .def_prop_ro("brier_error", &CalibrationStats::brier_error, "Standard error; NaN below two rows.")
      .def_prop_ro("gap_error", &CalibrationStats::gap_error, "Standard error; NaN below two rows.")
      .def("reliability", &CalibrationStats::reliability, "bins"_a = 15,
           "Every bin, the empty ones too. `bins` divides 3840.")
      .def("ece", &CalibrationStats::ece, "bins"_a = 15, "Expected calibration error, biased up by noise.")
      .def("max_error", &CalibrationStats::max_error, "bins"_a = 15, "That of the worst bin that has rows.")
      .def("rms_error", &CalibrationStats::rms_error, "bins"_a = 15, "Root mean square over the rows' bins.")
      .def("flat", &flat, "All of it as float64 values, whose element-wise sum is that of `merge`.")
      .def_static("from_flat", &from_flat, "flat"_a, "From `flat`, or from a sum of such arrays.")
      .def("to_bytes", &to_bytes, "The same with a version in front, in this machine's byte order.")
      .def_static("from_bytes", &from_bytes, "bytes"_a, "From `to_bytes`.")
      .def("__getstate__", &to_bytes)
      .def("__setstate__", [](CalibrationStats& stats, const nb::bytes& bytes) {
        new (&stats) CalibrationStats(from_bytes(bytes));
      });

  nb::class_<TemperatureFit>(m, "TemperatureFit")
      .def_ro("temperature", &TemperatureFit::temperature)
      .def_ro("low", &TemperatureFit::low)
      .def_ro("high", &TemperatureFit::high)
      .def_ro("log_error", &TemperatureFit::log_error)
      .def_ro("nll_before", &TemperatureFit::nll_before)
      .def_ro("nll_after", &TemperatureFit::nll_after)
      .def_ro("entropy_after", &TemperatureFit::entropy_after)
      .def_ro("counted", &TemperatureFit::counted)
      .def_ro("at_bound", &TemperatureFit::at_bound);
  m.def("fit_temperature", &fit, "logits"_a, "labels"_a, nb::kw_only(), "ignore_index"_a.none() = -100,
        "least"_a = TemperatureOptions().least, "most"_a = TemperatureOptions().most,
        "The temperature with the least mean NLL.");
}

}  // namespace labelsmooth::python
