#ifndef DEN_JOB_IMAGES_H
#define DEN_JOB_IMAGES_H

/* The images of a data set, for jobs that work on one. */

#include "dataset.h"
#include "service_private.h"

struct den_job_item {
    struct den_image_row noisy, clean; /* clean.id "" for repeats */
};

struct den_job_images {
    enum den_dataset_kind kind;
    char name[DEN_NAME_SIZE];   /* of the data set */
    struct den_job_item *items; /* [count] */
    size_t count;
    size_t samples;       /* noisy pages */
    size_t smallest_side; /* pixels */
    size_t bytes;         /* in memory as a den_dataset */
};

/* DEN_E_NOT_FOUND at "/dataset". */
bool den_job_images_load(struct den_service *service, const char *owner,
                         const char *dataset, struct den_job_images *ret,
                         struct den_err *err) DEN_CHECKED;
void den_job_images_release(struct den_job_images *images);
/* Sample order: items, and in each its pages. */
bool den_job_images_open(struct den_service *service, const struct den_job_images *images,
                         struct den_dataset **ret, struct den_err *err) DEN_CHECKED;

/* The items for which keep[i] is true, in the same order. */
bool den_job_images_select(const struct den_job_images *images, const bool *keep,
                           struct den_job_images *ret, struct den_err *err) DEN_CHECKED;
/* How many images are left to train on when validation takes `fraction` of the scenes:
 * the smallest number that a seed can give. */
bool den_job_images_least(const struct den_job_images *images, double fraction,
                          size_t *ret, struct den_err *err) DEN_CHECKED;

#endif
