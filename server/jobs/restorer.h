#ifndef DEN_RESTORER_H
#define DEN_RESTORER_H

/* What takes the noise out of a page: a model of the store, or a classical filter. */

#include "filter.h"
#include "infer.h"
#include "run.h"

struct den_restorer {
    struct den_pool *pool;
    size_t tile;
    struct den_model *model; /* or NULL: then a filter with its values */
    const struct den_filter *filter;
    double values[DEN_FILTER_OPTIONS];
    struct den_infer *infer; /* for pages of this size */
    size_t width, height;
    float *noisy, *restored;      /* pages of this size, made when asked for */
    char label[DEN_NAME_SIZE];    /* "nuclei@3", "median", "median(radius=3)" */
    char sha256[DEN_SHA256_SIZE]; /* of the model's weights */
};

/* Resolves the request's model or method, and its settings, into row. */
bool den_restorer_check(struct den_service *service,
                        const struct den_job_request *request, struct den_job_row *row,
                        struct den_err *err) DEN_CHECKED;
/* Peak bytes for pages of this size (the two of den_restorer_buffers are part of it), and
 * ticks per page. */
bool den_restorer_plan(struct den_service *service, const struct den_job_row *row,
                       size_t width, size_t height, size_t *ret_bytes, size_t *ret_units,
                       struct den_err *err) DEN_CHECKED;

/* Seconds per pixel, as measured by earlier jobs or as built in, and the name in
 * den_rates by which that is known.  Fails when the model is gone. */
bool den_restorer_rate(struct den_service *service, const struct den_job_row *row,
                       double *ret, bool *ret_measured, char *key /* [DEN_NAME_SIZE] */,
                       struct den_err *err) DEN_CHECKED;
/* The name under which den_restorer_rate looks: after a job it gets seconds and pixels
 * by den_rates_add. */
const char *den_restorer_key(const struct den_restorer *restorer);

/* For one job of a worker.  A model is read and made ready once: what the worker's last
 * job gave back is taken over when it has the same weights. */
bool den_restorer_open(struct den_job_context *context, const struct den_job_row *row,
                       struct den_restorer *ret, struct den_err *err) DEN_CHECKED;
/* Back to the worker, who keeps a model for its next job. */
void den_restorer_give_back(struct den_job_context *context,
                            struct den_restorer *restorer);
/* A filter with its defaults; nothing to close. */
void den_restorer_filter(const struct den_filter *filter, struct den_pool *pool,
                         struct den_restorer *ret);
void den_restorer_close(struct den_restorer *restorer); /* all zero is fine */
/* Makes ready for pages of this size; *ret_units: ticks per page. */
bool den_restorer_size(struct den_restorer *restorer, size_t width, size_t height,
                       size_t *ret_units, struct den_err *err) DEN_CHECKED;
/* Two pages [height][width] of the size made ready for, the restorer's own.  They are
 * kept with a model: fresh memory for each job would cost more than reading the file. */
bool den_restorer_buffers(struct den_restorer *restorer, float **ret_noisy,
                          float **ret_restored, struct den_err *err) DEN_CHECKED;
/* Is the normalisation one of the images at hand?  Then den_norm_see every plane of a
 * series and set the span, after den_restorer_size; NULL: each plane by itself again. */
bool den_restorer_by_image(const struct den_restorer *restorer);
void den_restorer_set_span(struct den_restorer *restorer,
                           const struct den_norm_span *span);
/* noisy, restored: [height][width] grey values of the size made ready for.  Ticks from
 * `first` of `total`; progress NULL: none. */
bool den_restorer_page(struct den_restorer *restorer, const float *noisy, float *restored,
                       const struct den_progress *progress, size_t first, size_t total,
                       struct den_err *err) DEN_CHECKED;

#endif
