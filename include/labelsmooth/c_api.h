/* SPDX-License-Identifier: MIT
 * The C interface: C99, binary-stable. Semantics, formulas and error bounds are those of cross_entropy.h and
 * smoothing.h, whose names these are.
 *
 *   labelsmooth_options options = labelsmooth_default_options();
 *   options.smoothing.amount = 0.1;
 *   labelsmooth_target target = labelsmooth_labels(y, LABELSMOOTH_I64, rows);
 *   labelsmooth_view logits = labelsmooth_rows(z, LABELSMOOTH_F32, rows, classes);
 *   labelsmooth_result result;
 *   result.struct_size = sizeof result;
 *   if (labelsmooth_cross_entropy(&logits, &target, NULL, &options, NULL, NULL, &result) != LABELSMOOTH_OK)
 *     fputs(labelsmooth_last_error(), stderr);
 *
 * Sizes are counts of elements, strides are in elements. A function returns a status and never throws; where
 * it fails it has written no output, and labelsmooth_last_error() says in one line which argument, what was
 * found and what is allowed. Structs that may grow begin with their size: set it to sizeof; a library that is
 * newer fills in what it misses, one that is older refuses what it does not know, unless that is 0. Pointers
 * are borrowed for the call. Thread-safe. */
#ifndef LABELSMOOTH_C_API_H_
#define LABELSMOOTH_C_API_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h> /* memset */

#include "labelsmooth/export.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  LABELSMOOTH_OK = 0,
  LABELSMOOTH_INVALID_ARGUMENT = 1,
  LABELSMOOTH_OUT_OF_MEMORY = 2,
  LABELSMOOTH_FAILED = 3 /* none of these; the message says what */
};

/* Of this thread's last call that failed. The text is valid until the thread's next failure. */
LABELSMOOTH_API const char* labelsmooth_last_error(void);
LABELSMOOTH_API const char* labelsmooth_last_error_argument(void);
LABELSMOOTH_API int64_t labelsmooth_last_error_row(void); /* -1 where no row is to blame */

LABELSMOOTH_API const char* labelsmooth_version(void); /* "MAJOR.MINOR.PATCH" */

/* ---- Arrays ---- */

enum {
  LABELSMOOTH_F32 = 0,
  LABELSMOOTH_F64 = 1,
  LABELSMOOTH_F16 = 2,
  LABELSMOOTH_BF16 = 3,
  LABELSMOOTH_I8 = 4,
  LABELSMOOTH_U8 = 5,
  LABELSMOOTH_I16 = 6,
  LABELSMOOTH_U16 = 7,
  LABELSMOOTH_I32 = 8,
  LABELSMOOTH_U32 = 9,
  LABELSMOOTH_I64 = 10,
  LABELSMOOTH_U64 = 11
};

/* A contiguous vector; {NULL, 0, 0} where an option is not given. */
typedef struct labelsmooth_vector {
  const void* data;
  int64_t size;
  int32_t dtype;
} labelsmooth_vector;

/* Rows by class: element (outer, class, inner) at data + outer * outer_stride + class * class_stride +
 * inner * inner_stride. A shard holds [class_begin, class_begin + classes) of total_classes; `padding` counts
 * classes past these that are there in memory only. */
typedef struct labelsmooth_view {
  void* data; /* written only where it is a gradient */
  int64_t outer, classes, inner;
  int64_t outer_stride, class_stride, inner_stride;
  int64_t class_begin, total_classes, padding;
  int32_t dtype;
} labelsmooth_view;

/* (rows, classes), contiguous. */
static inline labelsmooth_view labelsmooth_rows(const void* data, int32_t dtype, int64_t rows,
                                                int64_t classes) {
  labelsmooth_view view = {(void*)data, rows, classes, 1, classes, 1, 1, 0, classes, 0, dtype};
  return view;
}

/* ---- Targets ---- */

enum { LABELSMOOTH_LABELS = 0, LABELSMOOTH_MIXED = 1, LABELSMOOTH_DENSE = 2 };

typedef struct labelsmooth_target {
  size_t struct_size;
  int32_t kind;
  labelsmooth_vector labels;         /* of dense targets optional */
  labelsmooth_vector second, weight; /* mixed */
  labelsmooth_view dense;
} labelsmooth_target;

static inline labelsmooth_target labelsmooth_labels(const void* data, int32_t dtype, int64_t rows) {
  labelsmooth_target target;
  memset(&target, 0, sizeof target);
  target.struct_size = sizeof target;
  target.labels.data = data;
  target.labels.size = rows;
  target.labels.dtype = dtype;
  return target;
}

/* ---- Smoothing ---- */

enum { LABELSMOOTH_UNIFORM = 0, LABELSMOOTH_OTHERS = 1, LABELSMOOTH_FLIP = 2, LABELSMOOTH_ADDITIVE = 3 };
enum {
  LABELSMOOTH_PRIOR_UNIFORM = 0,
  LABELSMOOTH_PRIOR_SHARED = 1,
  LABELSMOOTH_PRIOR_BY_LABEL = 2,
  LABELSMOOTH_PRIOR_BY_ROW = 3
};

/* All zeros: no smoothing. */
typedef struct labelsmooth_smoothing {
  int32_t rule, prior_kind;
  double amount;
  labelsmooth_view prior;
  labelsmooth_vector amount_by_class, amount_by_row;
} labelsmooth_smoothing;

/* The target row of `label`, (classes,), and its sum. */
LABELSMOOTH_API int labelsmooth_target_row(const labelsmooth_smoothing* smoothing, int64_t classes,
                                           int64_t label, double* row, double* mass);
/* The uniform smoothing of the same optimum, and the factor of its loss. */
LABELSMOOTH_API int labelsmooth_as_uniform(const labelsmooth_smoothing* smoothing, int64_t classes,
                                           double* amount, double* scale);
LABELSMOOTH_API int labelsmooth_optimum(const labelsmooth_smoothing* smoothing, int64_t classes,
                                        int64_t label, double* probability, double* gap, double* floor);

/* ---- Cross-entropy ---- */

enum { LABELSMOOTH_PER_TERM = 0, LABELSMOOTH_LABEL = 1, LABELSMOOTH_EXPECTED = 2 };
enum { LABELSMOOTH_ALL = 0, LABELSMOOTH_FINITE = 1 };
enum { LABELSMOOTH_MEAN = 0, LABELSMOOTH_SUM = 1, LABELSMOOTH_NONE = 2 };
enum { LABELSMOOTH_BY_WEIGHTS = 0, LABELSMOOTH_BY_ROWS = 1, LABELSMOOTH_BY_CONSTANT = 2 };
enum { LABELSMOOTH_EMPTY_NAN = 0, LABELSMOOTH_EMPTY_ZERO = 1, LABELSMOOTH_EMPTY_ERROR = 2 };

/* The host's scheduler: calls body(context, begin, end) on disjoint ranges that cover [0, tasks), in any
 * order, on any threads, and returns when all are done. */
typedef void (*labelsmooth_body)(void* context, int64_t begin, int64_t end);
typedef void (*labelsmooth_parallel_for)(void* host, int64_t tasks, labelsmooth_body body, void* context);

typedef struct labelsmooth_options {
  size_t struct_size;
  labelsmooth_smoothing smoothing;
  labelsmooth_vector class_weights, row_weights;
  labelsmooth_view mask; /* u8; shared where it has one row of all classes */
  int64_t ignore_index;
  double scale, soft_cap, z_loss, entropy_penalty, max_suppression;
  double denominator_value;
  int32_t weighting, support, reduction, denominator, empty;
  int32_t ignore;                        /* 0: every row counts, whatever ignore_index */
  labelsmooth_parallel_for parallel_for; /* NULL: the library's own threads */
  void* host;
} labelsmooth_options;

static inline labelsmooth_options labelsmooth_default_options(void) {
  labelsmooth_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.ignore_index = -100;
  options.ignore = 1;
  options.scale = 1;
  return options;
}

/* (rows,) each or NULL. */
typedef struct labelsmooth_parts {
  size_t struct_size;
  double *loss, *nll, *lse, *confidence, *entropy;
  int64_t* argmax;
  uint8_t* correct;
} labelsmooth_parts;

typedef struct labelsmooth_result {
  size_t struct_size;
  double loss, nll, denominator;
  int64_t rows, counted, correct, first_impossible_row;
} labelsmooth_result;

typedef struct labelsmooth_upstream {
  size_t struct_size;
  double scalar;
  labelsmooth_vector rows;
  int32_t accumulate;
} labelsmooth_upstream;

/* Loss, and gradient unless dlogits is NULL. NULL options are the defaults, NULL upstream is the scalar 1. */
LABELSMOOTH_API int labelsmooth_cross_entropy(const labelsmooth_view* logits,
                                              const labelsmooth_target* target,
                                              const labelsmooth_view* dlogits,
                                              const labelsmooth_options* options,
                                              const labelsmooth_upstream* upstream,
                                              const labelsmooth_parts* parts, labelsmooth_result* result);

/* ---- The pipeline opened ---- */

typedef struct labelsmooth_row_summary {
  double max, tail, tail_z, label_dot, label_mass, prior_dot, prior_mass, prior_norm;
  int64_t argmax, classes;
} labelsmooth_row_summary;

typedef struct labelsmooth_shard {
  int64_t class_begin, classes;
  const labelsmooth_row_summary* summaries; /* (rows,) */
} labelsmooth_shard;

LABELSMOOTH_API int labelsmooth_summarize(const labelsmooth_view* logits, const labelsmooth_target* target,
                                          const labelsmooth_options* options,
                                          labelsmooth_row_summary* summaries);
LABELSMOOTH_API int labelsmooth_merge_shards(const labelsmooth_shard* shards, int64_t shard_count,
                                             int64_t rows, int64_t total_classes,
                                             labelsmooth_row_summary* merged);
LABELSMOOTH_API int labelsmooth_finish(const labelsmooth_row_summary* summaries, int64_t rows,
                                       int64_t total_classes, const labelsmooth_target* target,
                                       const labelsmooth_options* options, const labelsmooth_parts* parts,
                                       labelsmooth_result* result);
LABELSMOOTH_API int labelsmooth_gradient(const labelsmooth_view* logits, const labelsmooth_target* target,
                                         const labelsmooth_row_summary* summaries,
                                         const labelsmooth_view* dlogits, const labelsmooth_options* options,
                                         const labelsmooth_upstream* upstream);

/* ---- Sigmoid cross-entropy: binary and multi-label, see sigmoid_cross_entropy.h ---- */

enum {
  LABELSMOOTH_BINARY_FLIP = 0,
  LABELSMOOTH_BINARY_HALF = 1,
  LABELSMOOTH_BINARY_UNIFORM = 2,
  LABELSMOOTH_BINARY_SPREAD = 3
};
enum {
  LABELSMOOTH_SIGMOID_BY_ELEMENTS = 0,
  LABELSMOOTH_SIGMOID_BY_ROWS = 1,
  LABELSMOOTH_SIGMOID_BY_WEIGHTS = 2,
  LABELSMOOTH_SIGMOID_BY_CONSTANT = 3
};

typedef struct labelsmooth_sigmoid_options {
  size_t struct_size;
  double amount;
  labelsmooth_vector pos_weight, class_weights, row_weights;
  labelsmooth_view element_weights, mask;
  int64_t ignore_index;
  double denominator_value;
  int32_t rule, reduction, denominator, empty;
  int32_t ignore;                        /* 0: everything counts, whatever ignore_index */
  labelsmooth_parallel_for parallel_for; /* NULL: the library's own threads */
  void* host;
} labelsmooth_sigmoid_options;

static inline labelsmooth_sigmoid_options labelsmooth_default_sigmoid_options(void) {
  labelsmooth_sigmoid_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.ignore_index = -100;
  options.ignore = 1;
  return options;
}

/* (rows,), (rows,) and (rows * classes,), each or NULL. */
typedef struct labelsmooth_sigmoid_parts {
  size_t struct_size;
  double *loss, *nll, *elements;
} labelsmooth_sigmoid_parts;

typedef struct labelsmooth_sigmoid_result {
  size_t struct_size;
  double loss, nll, denominator;
  int64_t rows, counted, elements, correct, first_impossible_row;
} labelsmooth_sigmoid_result;

LABELSMOOTH_API int labelsmooth_sigmoid_cross_entropy(
    const labelsmooth_view* logits, const labelsmooth_target* target, const labelsmooth_view* dlogits,
    const labelsmooth_sigmoid_options* options, const labelsmooth_upstream* upstream,
    const labelsmooth_sigmoid_parts* parts, labelsmooth_sigmoid_result* result);

/* ---- The process ---- */

LABELSMOOTH_API int labelsmooth_set_threads(int count); /* 0: the default */
LABELSMOOTH_API int labelsmooth_threads(int* count);
LABELSMOOTH_API int labelsmooth_set_isa(const char* name); /* "": the best usable */
LABELSMOOTH_API int labelsmooth_isa(const char** name);

#ifdef __cplusplus
}
#endif

#endif /* LABELSMOOTH_C_API_H_ */
