#ifndef DEN_EXPERIMENT_CASE_H
#define DEN_EXPERIMENT_CASE_H

/* The smallest experiment that compares something. */

#include "experiment_cells.h"
#include "job_case.h"

/* Two noisy frames of each of three scenes; the third is called s3_f-1. */
static inline struct den_dataset_row add_scenes(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_item items[6];
    struct den_dataset_row row;
    for (int i = 0; i < 6; i++) {
        uint64_t scene = (uint64_t)i / 2 + 1;
        assign(items[i].noisy, add_frame(scene, i % 2).id);
        assign(items[i].clean, add_frame(scene, -1).id);
    }
    must(den_service_add_dataset(service, DEN_OWNER_LOCAL, "scenes", "pairs", items, 6,
                                 &row, &err));
    return row;
}

struct entry {
    const char *key, *value;
};

static inline void put_all(struct den_experiment *e, const struct entry *entries)
{
    struct den_err err = DEN_ERR_INIT;
    for (; entries->key != NULL; entries++)
        must(den_experiment_put(e, entries->key, entries->value, &err));
}

/* Settings of the smallest net; no rows yet. */
static inline struct den_experiment *tiny(const char *iterations)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = NULL;
    must(den_experiment_new(&e, &err));
    must(den_experiment_put(e, "preset", "cpu", &err));
    must(den_experiment_put(e, "common.iterations", iterations, &err));
    put_all(e, (const struct entry[]){{"common.batch", "2"},
                                      {"common.crop", "32"},
                                      {"common.ngf", "4"},
                                      {"common.validation_fraction", "0"},
                                      {NULL, NULL}});
    return e;
}

/* 2 rows x 2 sample counts x 2 seeds, tested on scene 3. */
static inline struct den_experiment *tiny_grid(const char *iterations)
{
    struct den_experiment *e = tiny(iterations);
    put_all(e, (const struct entry[]){{"row", "baseline"},
                                      {"row", "SSIM"},
                                      {"set.lambda_ssim", "10"},
                                      {"sample", "0"},
                                      {"sample", "2"},
                                      {"seed", "1"},
                                      {"seed", "2"},
                                      {"metric", "psnr_matched"},
                                      {"metric", "ssim"},
                                      {"filter", "median"},
                                      {"test_scene", "s3_f-1"},
                                      {NULL, NULL}});
    return e;
}

static inline struct den_job_request experiment_request(const char *dataset,
                                                        struct den_experiment *e)
{
    struct den_job_request request = {.kind = "experiment", .experiment = e};
    assign(request.dataset, dataset);
    return request;
}

/* All that must not depend on interruptions, as text; den_buf_release. */
static inline struct den_buf cells_of(const char *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_cell_row *rows = NULL;
    size_t count = 0;
    struct den_buf text;
    den_buf_init(&text, 1 << 24);
    must(kind->cell_list(store, DEN_OWNER_LOCAL, job, &rows, &count, &err));
    for (size_t i = 0; i < count; i++) {
        char *crop = NULL;
        must(kind->cell_crop(store, DEN_OWNER_LOCAL, job, rows[i].cell, &crop, &err));
        den_buf_printf(&text, "%lld %s %llu %s%s %s\n", (long long)rows[i].cell,
                       rows[i].state, (unsigned long long)rows[i].images, rows[i].values,
                       rows[i].text, crop != NULL ? crop : "-");
        den_free(crop);
    }
    must(den_buf_ok(&text, &err));
    den_free(rows);
    return text;
}

#endif
