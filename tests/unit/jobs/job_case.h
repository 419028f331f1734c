#ifndef DEN_JOB_CASE_H
#define DEN_JOB_CASE_H

/* Jobs for the machine of service_case.h: asking, waiting, looking at events and pixels.
 */

#include "service_case.h"

static inline void set(struct den_job_request *request, const char *key,
                       const char *value)
{
    struct den_setting *setting = &request->settings[request->setting_count++];
    assign(setting->key, key);
    assign(setting->value, value);
}

/* A training of the smallest net. */
static inline struct den_job_request train_request(const char *dataset,
                                                   const char *iterations)
{
    struct den_job_request request = {.kind = "train", .preset = "cpu"};
    assign(request.dataset, dataset);
    set(&request, "iterations", iterations);
    set(&request, "batch", "2");
    set(&request, "crop", "32");
    set(&request, "ngf", "4");
    return request;
}

static inline struct den_job_row submit(const struct den_job_request *request)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate estimate;
    must(den_service_submit(service, DEN_OWNER_LOCAL, request, false, &row, &estimate,
                            &err));
    ck_assert(den_id_valid(row.id, "job_"));
    ck_assert_uint_gt(estimate.bytes, 0);
    ck_assert_uint_gt(estimate.steps, 0);
    return row;
}

static inline struct den_job_row get_job(const char *id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    must(kind->job_get(store, DEN_OWNER_LOCAL, id, &row, &err));
    return row;
}

static inline struct den_job_row wait_for(const char *id, enum den_job_state state)
{
    double until = wait_end();
    struct den_job_row row = get_job(id);
    while (row.state != state && den_monotonic_s() < until) {
        ck_assert_msg(row.state != DEN_JOB_FAILED, "failed: %s", row.error_text);
        usleep(2000);
        row = get_job(id);
    }
    ck_assert_str_eq(den_job_state_name(row.state), den_job_state_name(state));
    return row;
}

/* Of an image or of a result, by its hash (the file of a result names its job, too);
 * den_image_release. */
static inline struct den_image pixels_of(const char *sha256)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    char path[PATH_MAX];
    den_blobs_path(den_service_blobs(service), sha256, path, sizeof path);
    must(den_image_load(path, NULL, &image, &err));
    return image;
}

/* Is there an event of this type whose name or text holds `words`?  `waiting`: until
 * there is one. */
static inline bool has_event(const char *job, const char *type, const char *words,
                             bool waiting)
{
    enum { MOST = 4000 };
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row *rows = den_calloc(MOST, sizeof *rows);
    double until = wait_end();
    bool found = false;
    do {
        size_t count = 0;
        must(kind->event_list(store, DEN_OWNER_LOCAL, job, 0, MOST, rows, &count, &err));
        for (size_t i = 0; i < count; i++)
            if (strcmp(rows[i].type, type) == 0 && (strstr(rows[i].name, words) != NULL ||
                                                    strstr(rows[i].text, words) != NULL))
                found = true;
        if (!found)
            usleep(2000);
    } while (waiting && !found && den_monotonic_s() < until);
    den_free(rows);
    return found;
}

#endif
