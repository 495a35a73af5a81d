// SPDX-License-Identifier: MIT
// The module labelsmooth._core: the library as it is, for the package's own files. Users meet those.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <cstring>  // std::strcmp

#include "calibration.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"
#include "loss.h"

namespace labelsmooth::python {
namespace {

// What the library calls otherwise than Python does.
const char* python_name(const std::string& argument) {
  constexpr const char* kNames[][2] = {{"class_weights", "weight"},
                                       {"weight", "mixed"},
                                       {"row_weights", "row_weight"},
                                       {"smoothing", "label_smoothing"},
                                       {"amount_by_row", "label_smoothing"},
                                       {"amount_by_class", "class_smoothing"},
                                       {"soft_cap", "softcap"},
                                       {"z_loss", "lse_square_scale"},
                                       {"dlogits", "out"},
                                       {"options.least", "least"}};
  for (const auto& [library, python] : kNames) {
    if (argument == library) return python;
  }
  return argument.c_str();
}

// labelsmooth.errors.Error, a ValueError that keeps the argument, the finding and the row.
void raise(const Error& error) {
  const nb::object type = nb::module_::import_("labelsmooth.errors").attr("Error");
  const nb::object value = type(python_name(error.argument), error.found, error.row);
  PyErr_SetObject(type.ptr(), value.ptr());
}

Rule rule_of(const std::string& name) {
  constexpr const char* kNames[] = {"uniform", "others", "flip", "additive"};
  for (int i = 0; i < 4; ++i) {
    if (name == kNames[i]) return static_cast<Rule>(i);
  }
  throw Error("rule", "'" + name + "' found; uniform, others, flip, additive are allowed");
}

}  // namespace

NB_MODULE(_core, m) {
  using namespace nb::literals;  // NOLINT: nanobind's own way to name arguments
  m.doc() = "The labelsmooth library, bound as it is.";
  nb::set_leak_warnings(false);  // settings are kept in a cache, which outlives the module
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise(error);
    }
  });

  nb::class_<Value>(m, "Value")
      .def_ro("loss", &Value::loss)
      .def_ro("nll", &Value::nll)
      .def_ro("denominator", &Value::denominator)
      .def_ro("rows", &Value::rows)
      .def_ro("counted", &Value::counted)
      .def_ro("correct", &Value::correct)
      .def_ro("first_impossible_row", &Value::first_impossible_row);

  nb::class_<Settings>(m, "Settings")
      .def(nb::init<const std::string&, double, const std::string&, const std::string&, double, double,
                    double, double, double, std::optional<int64_t>, const std::string&, const std::string&,
                    double, const std::string&, int64_t, int64_t>(),
           "rule"_a, "label_smoothing"_a, "weighting"_a, "support"_a, "scale"_a, "softcap"_a,
           "lse_square_scale"_a, "entropy_penalty"_a, "max_suppression"_a, "ignore_index"_a.none(),
           "reduction"_a, "denominator"_a, "denominator_value"_a, "empty"_a, "axis"_a, "padded_classes"_a);

  nb::class_<Loss>(m, "Loss")
      .def(nb::init<const Settings&, nb::handle, nb::handle, nb::handle, nb::handle, nb::handle, nb::handle,
                    nb::handle, nb::handle, nb::handle, nb::handle, nb::handle, nb::handle>(),
           "settings"_a, "logits"_a, "labels"_a.none(), "second"_a.none() = nb::none(),
           "mixing"_a.none() = nb::none(), "targets"_a.none() = nb::none(), "prior"_a.none() = nb::none(),
           "matrix"_a.none() = nb::none(), "amounts"_a.none() = nb::none(),
           "class_amounts"_a.none() = nb::none(), "weight"_a.none() = nb::none(),
           "row_weight"_a.none() = nb::none(), "mask"_a.none() = nb::none())
      .def_prop_ro("rows", &Loss::rows)
      .def("value", &Loss::value, "dlogits"_a.none() = nb::none(), "upstream"_a = 1.0,
           "upstream_rows"_a.none() = nb::none(), "parts"_a.none() = nb::none())
      .def("summarize", &Loss::summarize, "summaries"_a, "parts"_a.none() = nb::none())
      .def("finish", &Loss::finish, "summaries"_a, "parts"_a.none() = nb::none())
      .def("gradient", &Loss::gradient, "summaries"_a, "dlogits"_a, "upstream"_a = 1.0,
           "upstream_rows"_a.none() = nb::none());

  m.def(
      "affine",
      [](const std::string& rule, double amount, int64_t classes) {
        const Affine q = affine(rule_of(rule), amount, classes);
        return std::pair(q.a, q.b);
      },
      "rule"_a, "amount"_a, "classes"_a, "(a, b) of q = a * label + b * prior.");

  m.def("read_by_exchange", &read_by_exchange, "type"_a,
        "Read arrays of the type by its __dlpack_c_exchange_api__, where it has one.");
  m.def("exchanged", &exchanged, nb::sig("def exchanged(*arrays: object) -> bool"),
        "Whether each of these is None or can be read so.");

  bind_calibration(m);

  m.def("isa", &isa, "The instruction set in use.");
  m.def("set_isa", &set_isa, "name"_a, "Use an instruction set; '' returns to the default.");
  m.def("threads", &threads, "How many threads a call may use.");
  m.def("set_threads", &set_threads, "count"_a, "0 returns to the default.");
}

}  // namespace labelsmooth::python
