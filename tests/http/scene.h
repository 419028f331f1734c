#ifndef TEST_SCENE_H
#define TEST_SCENE_H

/* Small simulated images as files, for tests of the whole path. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "image.h"
#include "mem.h"
#include "synth.h"

/* Writes DIR/clean<seed>.tif and DIR/noisy<seed>_<k>.tif for k < frames; side x side,
 * uint16. */
static inline void scene_write(const char *dir, uint64_t seed, uint32_t side,
                               unsigned frames)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = den_scene_default();
    scene.width = scene.height = side;
    scene.seed = seed;
    size_t n = (size_t)side * side;
    float *clean = den_calloc(n, sizeof *clean);
    uint16_t *frame = den_calloc(n, sizeof *frame);
    struct den_image_info info = {.format = "tiff",
                                  .width = side,
                                  .height = side,
                                  .pages = 1,
                                  .channels = 1,
                                  .dtype = DEN_U16};
    char path[256];
    struct den_writer *writer = NULL;
    ck_assert_msg(den_scene_clean(&scene, clean, &err), "%s", err.text);
    (void)snprintf(path, sizeof path, "%s/clean%u.tif", dir, (unsigned)seed);
    ck_assert_msg(den_writer_open(path, &info, &writer, &err), "%s", err.text);
    ck_assert_msg(den_writer_page_float(writer, clean, NULL, &err), "%s", err.text);
    ck_assert_msg(den_writer_finish(writer, &err), "%s", err.text);
    for (unsigned k = 0; k < frames; k++) {
        den_scene_frame(&scene, clean, k, frame);
        (void)snprintf(path, sizeof path, "%s/noisy%u_%u.tif", dir, (unsigned)seed, k);
        ck_assert_msg(den_writer_open(path, &info, &writer, &err), "%s", err.text);
        ck_assert_msg(den_writer_page(writer, frame, &err), "%s", err.text);
        ck_assert_msg(den_writer_finish(writer, &err), "%s", err.text);
    }
    den_free(clean);
    den_free(frame);
}

#endif
