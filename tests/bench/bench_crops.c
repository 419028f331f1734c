#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dataset.h"
#include "mem.h"
#include "patch.h"
#include "str.h"
#include "synth.h"

/* What a batch of crops costs beside the step that learns from it.  Images are decoded
 * once, when a training begins. */

enum { FRAMES = 4, PATH = 96 };

static bool write_stack(const char *path, uint32_t pages, size_t side,
                        const float *pixels, struct den_err *err)
{
    struct den_image image = {{.format = "tiff",
                               .width = (uint32_t)side,
                               .height = (uint32_t)side,
                               .pages = pages,
                               .channels = 1,
                               .dtype = DEN_F32},
                              NULL};
    image.pixels = den_new(pages, side * side * sizeof(float), err);
    if (image.pixels == NULL)
        return false;
    memcpy(image.pixels, pixels, pages * side * side * sizeof(float));
    bool done = den_image_save(path, &image, err);
    den_image_release(&image);
    return done;
}

/* A simulated scene and some frames of it, as two files. */
static bool write_scene(const char *clean_path, const char *noisy_path, size_t side,
                        struct den_err *err)
{
    struct den_scene scene = den_scene_default();
    scene.width = scene.height = (uint32_t)side;
    size_t pixels = side * side;
    float *clean = den_new(pixels, sizeof *clean, err);
    float *noisy = den_new(FRAMES * pixels, sizeof *noisy, err);
    uint16_t *frame = den_new(pixels, sizeof *frame, err);
    bool done = clean != NULL && noisy != NULL && frame != NULL &&
                den_scene_clean(&scene, clean, err);
    for (size_t i = 0; done && i < FRAMES; i++) {
        den_scene_frame(&scene, clean, i, frame);
        for (size_t k = 0; k < pixels; k++)
            noisy[i * pixels + k] = (float)frame[k];
    }
    done = done && write_stack(clean_path, 1, side, clean, err) &&
           write_stack(noisy_path, FRAMES, side, noisy, err);
    den_free(clean);
    den_free(noisy);
    den_free(frame);
    return done;
}

static bool open_scene(const char *folder, size_t side, struct den_dataset **ret,
                       struct den_err *err)
{
    char clean[PATH], noisy[PATH];
    struct den_image_limits limits = den_image_limits_default();
    if (!den_str_format(clean, PATH, "%s/clean.tif", folder) ||
        !den_str_format(noisy, PATH, "%s/noisy.tif", folder))
        return den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
    struct den_source sources[FRAMES];
    for (uint32_t i = 0; i < FRAMES; i++)
        sources[i] = (struct den_source){"frame", noisy, i, clean, 0, "scene"};
    bool done = write_scene(clean, noisy, side, err) &&
                den_dataset_open(DEN_PAIRS, sources, FRAMES, &limits, SIZE_MAX, ret, err);
    (void)unlink(clean);
    (void)unlink(noisy);
    return done;
}

struct fill {
    struct den_patches patches;
    float *noisy, *clean;
    size_t step;
};

static void call_fill(void *context)
{
    struct fill *f = context;
    den_patches_fill(&f->patches, f->step++, f->noisy, f->clean);
}

bool bench_crops(struct bench *b, double *ret_seconds, struct den_err *err)
{
    static const size_t all[FRAMES] = {0, 1, 2, 3};
    char folder[] = "/tmp/denoised_bench_XXXXXX";
    size_t side = (size_t)b->config.crop, order[FRAMES];
    struct den_dataset *dataset = NULL;
    struct fill f = {0};
    if (mkdtemp(folder) == NULL)
        return den_err_set(err, DEN_E_INTERNAL, "no temporary folder could be made");
    bool done = open_scene(folder, 2 * side, &dataset, err) &&
                (f.noisy = den_new(b->batch, side * side * sizeof(float), err)) != NULL &&
                (f.clean = den_new(b->batch, side * side * sizeof(float), err)) != NULL;
    if (done) {
        f.patches = (struct den_patches){.dataset = dataset,
                                         .images = all,
                                         .count = FRAMES,
                                         .batch = b->batch,
                                         .side = side,
                                         .augment = true,
                                         .match_gain = true,
                                         .seed = 1,
                                         .norm = {"mean_std", 0, 1},
                                         .order = order};
        *ret_seconds = bench_time(b, call_fill, &f);
    }
    (void)rmdir(folder);
    den_free(f.noisy);
    den_free(f.clean);
    den_dataset_free(dataset);
    return done;
}
