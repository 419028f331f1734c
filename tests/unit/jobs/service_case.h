#ifndef DEN_SERVICE_CASE_H
#define DEN_SERVICE_CASE_H

/* A job machine in a fresh folder, and small simulated images to feed it. */

#include <limits.h>
#include <string.h>

#include "clock.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "service.h"
#include "str.h"
#include "synth.h"

/* Copies text into a char array, whole. */
#define assign(to, from) ck_assert(den_str_copy((to), sizeof(to), (from)))

enum { SIDE = 64, WAIT_S = 60 };

/* Until when to wait for a job; sanitizers make everything slower. */
static inline double wait_end(void)
{
    return den_monotonic_s() + (test_sanitized() ? 5.0 * WAIT_S : WAIT_S);
}

static char folder[64];
static struct den_service *service;
static const struct den_store_kind *kind;
static struct den_store *store;

static inline struct den_service_config usual_config(void)
{
    return (struct den_service_config){.state = folder,
                                       .threads = 1,
                                       .with_workers = true,
                                       .queue_limit = 50,
                                       .max_attempts = 3,
                                       .checkpoint_seconds = 1000};
}

static inline void open_with(struct den_service_config config)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_service_open(&config, &service, &err));
    kind = den_service_store(service, &store);
    must(den_service_start(service, &err));
}

static inline void close_all(void)
{
    den_service_stop(service);
    den_service_close(service);
    service = NULL;
}

static inline void setup(void)
{
    assign(folder, "/tmp/denoised_service_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_with(usual_config());
}

static inline void setup_idle(void) /* without workers: jobs stay queued */
{
    struct den_service_config config = usual_config();
    assign(folder, "/tmp/denoised_service_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    config.with_workers = false;
    open_with(config);
}

static inline void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    if (service != NULL)
        close_all();
    must(den_fs_remove_tree(folder, &err));
}

/* ---- images ---- */

static inline struct den_image_info info_of(const char *format, enum den_dtype dtype,
                                            uint32_t side, uint32_t pages)
{
    struct den_image_info info = {
        .width = side, .height = side, .pages = pages, .channels = 1, .dtype = dtype};
    assign(info.format, format);
    return info;
}

static inline struct den_image_row add_file(const char *temporary, const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row;
    bool fresh;
    must(den_service_add_image(service, DEN_OWNER_LOCAL, temporary, name, NULL, &row,
                               &fresh, &err));
    return row;
}

/* Page p is frame first + p of scene number `scene`; first < 0: its clean image. */
static inline struct den_image_row add_scene(const char *name, uint64_t scene, int first,
                                             struct den_image_info info)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_scene s = den_scene_default();
    size_t n = (size_t)info.width * info.height;
    float *clean = den_calloc(n, sizeof *clean);
    uint16_t *frame = den_calloc(n, sizeof *frame);
    struct den_image image = {.info = info,
                              .pixels = den_calloc(n * info.pages, sizeof(float))};
    char path[PATH_MAX];
    s.width = info.width;
    s.height = info.height;
    s.seed = scene;
    must(den_scene_clean(&s, clean, &err));
    for (uint32_t p = 0; p < info.pages; p++) {
        if (first >= 0)
            den_scene_frame(&s, clean, (uint64_t)first + p, frame);
        for (size_t i = 0; i < n; i++)
            image.pixels[p * n + i] = first >= 0 ? (float)frame[i] : clean[i];
    }
    den_blobs_temporary(den_service_blobs(service), path, sizeof path);
    must(den_image_save(path, &image, &err));
    den_image_release(&image);
    den_free(clean);
    den_free(frame);
    return add_file(path, name);
}

static inline struct den_image_row add_frame(uint64_t scene, int frame)
{
    char name[32];
    den_str_format(name, sizeof name, "s%llu_f%d.tif", (unsigned long long)scene, frame);
    return add_scene(name, scene, frame, info_of("tiff", DEN_U16, SIDE, 1));
}

/* Two noisy frames of each of two scenes. */
static inline struct den_dataset_row add_pairs(const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_item items[4];
    struct den_dataset_row row;
    for (int i = 0; i < 4; i++) {
        uint64_t scene = (uint64_t)i / 2 + 1;
        assign(items[i].noisy, add_frame(scene, i % 2).id);
        assign(items[i].clean, add_frame(scene, -1).id);
    }
    must(den_service_add_dataset(service, DEN_OWNER_LOCAL, name, "pairs", items, 4, &row,
                                 &err));
    ck_assert_uint_eq(row.samples, 4);
    ck_assert_uint_eq(row.scenes, 2);
    return row;
}

#endif
