#ifndef DEN_JUDGE_H
#define DEN_JUDGE_H

/* The images of a data set one by one, ready to be restored and judged. */

#include "dataset.h"
#include "metric.h"

struct den_judge {
    const struct den_dataset *dataset; /* borrowed */
    const float *noisy;                /* the image at hand, of the data set */
    float *target, *restored; /* [height][width], ours; restored: room for a result */
    /* size, reference and gain match are set; prediction is the caller's to set */
    struct den_metric_case c;
    size_t room; /* pixels */
};

/* Makes sample number `sample` the image at hand.  The reference of the "_matched"
 * metrics is fitted to the noisy image, once for all methods: what a method does to the
 * gain must not hide in the match. */
bool den_judge_page(struct den_judge *judge, size_t sample,
                    struct den_err *err) DEN_CHECKED;
void den_judge_release(struct den_judge *judge);

#endif
