/* SPDX-License-Identifier: MIT
 * The document's own example in C: five classes, p = (.1, .1, .1, .36, .34), label 3, smoothing 0.1, under
 * the rule of its code (uniform) and that of its worked example (additive). And what an error looks like. */
#include <math.h>  /* log */
#include <stdio.h> /* printf */

#include "labelsmooth/c_api.h"

int main(void) {
  double z[5] = {0.1, 0.1, 0.1, 0.36, 0.34}, dz[5];
  int32_t label = 3;
  for (int k = 0; k < 5; ++k) z[k] = log(z[k]); /* the log of a distribution is its logits */

  labelsmooth_view logits = labelsmooth_rows(z, LABELSMOOTH_F64, 1, 5);
  labelsmooth_view dlogits = labelsmooth_rows(dz, LABELSMOOTH_F64, 1, 5);
  labelsmooth_target target = labelsmooth_labels(&label, LABELSMOOTH_I32, 1);
  labelsmooth_options options = labelsmooth_default_options();
  options.smoothing.amount = 0.1;
  const int32_t rules[] = {LABELSMOOTH_UNIFORM, LABELSMOOTH_ADDITIVE};
  for (int i = 0; i < 2; ++i) {
    labelsmooth_result result;
    result.struct_size = sizeof result;
    options.smoothing.rule = rules[i];
    if (labelsmooth_cross_entropy(&logits, &target, &dlogits, &options, NULL, NULL, &result) !=
        LABELSMOOTH_OK) {
      fprintf(stderr, "%s\n", labelsmooth_last_error());
      return 1;
    }
    printf("%s loss %.12f  gradient %.3f %.3f %.3f %.3f %.3f\n", i == 0 ? "uniform " : "additive",
           result.loss, dz[0], dz[1], dz[2], dz[3], dz[4]);
  }

  label = 7;
  if (labelsmooth_cross_entropy(&logits, &target, NULL, NULL, NULL, NULL, NULL) == LABELSMOOTH_OK) return 1;
  printf("row %lld, argument %s: %s\n", (long long)labelsmooth_last_error_row(),
         labelsmooth_last_error_argument(), labelsmooth_last_error());
  return 0;
}
