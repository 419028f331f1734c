#ifndef DEN_TRAIN_HELP_H
#define DEN_TRAIN_HELP_H

/* What the tests of whole runs share: simulated scenes in a folder, data sets of them, a
 * tiny configuration, and a record of all that a run tells. */

#include <math.h>
#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"
#include "synth.h"
#include "trainer.h"

enum { PATH = 96, SIDE = 64, SCENES = 5, NUMBERS = 4000 };

/* ---- simulated scenes on disk ---------------------------------------------------- */

static char folder[32];
static struct den_pool *pool;
static struct den_dataset *pairs, *repeats;

static inline const char *path_of(const char *name, char *to)
{
    ck_assert(den_str_format(to, PATH, "%s/%s", folder, name));
    return to;
}

static inline struct den_scene scene_of(uint64_t seed)
{
    struct den_scene scene = den_scene_default();
    scene.width = scene.height = SIDE;
    scene.seed = seed;
    scene.peak_photons = 40;
    return scene;
}

static inline void write_image(const char *name, uint32_t pages, const float *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_image image = {{.format = "tiff",
                               .width = SIDE,
                               .height = SIDE,
                               .pages = pages,
                               .channels = 1,
                               .dtype = DEN_F32},
                              NULL};
    image.pixels = den_calloc((size_t)SIDE * SIDE * pages, sizeof(float));
    memcpy(image.pixels, pixels, (size_t)SIDE * SIDE * pages * sizeof(float));
    must(den_image_save(path_of(name, path), &image, &err));
    den_image_release(&image);
}

/* Clean scene and its noisy frame 0 as floats [SIDE][SIDE]. */
static inline void simulate(uint64_t seed, uint64_t index, float *clean, float *noisy)
{
    struct den_err err = DEN_ERR_INIT;
    static uint16_t frame[SIDE * SIDE];
    struct den_scene scene = scene_of(seed);
    must(den_scene_clean(&scene, clean, &err));
    den_scene_frame(&scene, clean, index, frame);
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        noisy[i] = (float)frame[i];
}

static inline void write_scenes(void)
{
    static float clean[SCENES * SIDE * SIDE], noisy[SCENES * SIDE * SIDE];
    const size_t plane = (size_t)SIDE * SIDE;
    for (size_t i = 0; i < SCENES; i++)
        simulate(100 + i, 0, clean + i * plane, noisy + i * plane);
    write_image("clean.tif", SCENES, clean);
    write_image("noisy.tif", SCENES, noisy);
    for (size_t i = 0; i < SCENES; i++)
        simulate(100, i, clean, noisy + i * plane);
    write_image("repeats.tif", SCENES, noisy);
}

static inline void open_sets(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_limits limits = den_image_limits_default();
    char noisy[PATH], clean[PATH], stack[PATH];
    struct den_source sources[SCENES];
    path_of("noisy.tif", noisy);
    path_of("clean.tif", clean);
    for (uint32_t i = 0; i < SCENES; i++)
        sources[i] = (struct den_source){"noisy.tif", noisy, i, clean, i, NULL};
    must(den_dataset_open(DEN_PAIRS, sources, SCENES, &limits, 1 << 24, &pairs, &err));
    path_of("repeats.tif", stack);
    for (uint32_t i = 0; i < SCENES; i++)
        sources[i] = (struct den_source){"repeats.tif", stack, i, NULL, 0, NULL};
    must(
        den_dataset_open(DEN_REPEATS, sources, SCENES, &limits, 1 << 24, &repeats, &err));
}

static inline void set_up(void)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/den_trainer_XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_scenes();
    open_sets();
    must(den_pool_new(2, &pool, &err));
}

static inline void tear_down(void)
{
    struct den_err err = DEN_ERR_INIT;
    den_dataset_free(pairs);
    den_dataset_free(repeats);
    den_pool_free(pool);
    must(den_fs_remove_tree(folder, &err));
}

/* ---- a run ----------------------------------------------------------------------- */

/* Everything a run told, and when it is to be stopped. */
struct watch {
    size_t ticks, stop_at; /* stop_at: steps done, SIZE_MAX = never */
    enum den_verdict verdict;
    size_t numbers;
    struct {
        size_t step;
        char name[24];
        double value;
    } told[NUMBERS];
};

static inline enum den_verdict tick(void *context, size_t done, size_t total)
{
    struct watch *watch = context;
    ck_assert_uint_le(done, total);
    watch->ticks++;
    return done >= watch->stop_at ? watch->verdict : DEN_GO_ON;
}

static inline void metric(void *context, size_t step, const char *name, double value)
{
    struct watch *watch = context;
    ck_assert_uint_lt(watch->numbers, NUMBERS);
    watch->told[watch->numbers].step = step;
    ck_assert(den_str_copy(watch->told[watch->numbers].name, 24, name));
    watch->told[watch->numbers++].value = value;
}

static inline struct watch *new_watch(size_t stop_at, enum den_verdict verdict)
{
    struct watch *watch = calloc(1, sizeof *watch);
    watch->stop_at = stop_at;
    watch->verdict = verdict;
    return watch;
}

/* The last (or first) number told under this name. */
static inline double told(const struct watch *watch, const char *name, bool last)
{
    double value = (double)NAN;
    for (size_t i = 0; i < watch->numbers; i++)
        if (strcmp(watch->told[i].name, name) == 0 && (last || isnan(value)))
            value = watch->told[i].value;
    return value;
}

static inline const struct den_backend *backend(void)
{
    const char *name = getenv("DENOISED_BACKEND");
    return name != NULL ? den_backend_find(name) : den_backends[0];
}

static inline struct den_train_config tiny(int64_t iterations)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must(den_train_config_preset("cpu", &config, &err));
    config.iterations = iterations;
    config.batch = 4;
    config.crop = 32;
    config.ngf = config.ndf = 4;
    config.d_layers = 2;
    config.validation_fraction = 0.2;
    return config;
}

/* best.model and last.model in the folder; no checkpoint. */
static inline struct den_train_job job_of(struct den_train_config config,
                                          struct watch *watch)
{
    static char best[PATH], last[PATH];
    return (struct den_train_job){
        .method = "cgan",
        .config = config,
        .seed = 42,
        .dataset = pairs,
        .backend = backend(),
        .pool = pool,
        .checkpoint_seconds = 1e9,
        .best_path = path_of("best.model", best),
        .last_path = path_of("last.model", last),
        .hooks = {.progress = {tick, watch},
                  .metric = watch != NULL ? metric : NULL,
                  .context = watch},
    };
}

static inline enum den_verdict never_stop(void *context, size_t done, size_t total)
{
    (void)context, (void)done, (void)total;
    return DEN_GO_ON;
}

static inline struct den_train_result train(const struct den_train_job *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    must(den_train(job, &result, &err));
    return result;
}

static inline void gan(struct den_train_config *c)
{
    c->lambda_gan = 1;
    c->lambda_ssim = 10;
    c->lambda_tv = 1e-3;
}

static inline void lsgan(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->gan_mode, DEN_WORD, "lsgan");
}

static inline void two_d_steps(struct den_train_config *c)
{
    gan(c);
    c->d_steps = 2;
}

static inline void late_gan(struct den_train_config *c)
{
    gan(c);
    c->gan_start = 0.5;
    c->gan_ramp = 0.25;
    c->d_lr = 0.5;
}

static inline void augmented(struct den_train_config *c)
{
    two_d_steps(c);
    den_str_copy(c->diff_augment, DEN_WORD, "translation-cutout");
}

static inline void infonce(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->contrastive, DEN_WORD, "disc-infonce");
}

static inline void ntxent_trained(struct den_train_config *c)
{
    two_d_steps(c);
    den_str_copy(c->contrastive, DEN_WORD, "disc-ntxent");
    den_str_copy(c->contrastive_head, DEN_WORD, "trained");
    c->contrastive_l2norm = true;
}

static inline void encoder_views(struct den_train_config *c)
{
    den_str_copy(c->contrastive, DEN_WORD, "enc-ntxent");
    c->contrastive_weight = 0.1;
}

static inline void patches(struct den_train_config *c)
{
    encoder_views(c);
    den_str_copy(c->contrastive, DEN_WORD, "patchnce");
}

static inline void pretrained(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->contrastive, DEN_WORD, "enc-pretrain");
    c->pretrain_fraction = 0.5;
}

static inline void instance_norm(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->norm_layer, DEN_WORD, "instance");
}

static inline void tanh_min_max(struct den_train_config *c)
{
    den_str_copy(c->normalisation, DEN_WORD, "min_max");
    den_str_copy(c->output, DEN_WORD, "tanh");
}

static inline void percentile(struct den_train_config *c)
{
    den_str_copy(c->normalisation, DEN_WORD, "percentile");
}

static inline void batch_joint(struct den_train_config *c)
{
    den_str_copy(c->normalisation, DEN_WORD, "batch_joint");
    den_str_copy(c->output, DEN_WORD, "tanh");
}

static inline void dropout(struct den_train_config *c)
{
    c->downs = 6; /* dropout sits in downs - 5 blocks */
    c->crop = 64;
    c->dropout = true;
}

static inline void wide_window(struct den_train_config *c)
{
    c->lambda_ssim = 10;
    c->ssim_window = 11;
}

static inline void two_samples(struct den_train_config *c)
{
    c->samples = 2;
}

static inline void no_validation(struct den_train_config *c)
{
    c->validation_fraction = 0;
}

static inline void by_epochs(struct den_train_config *c)
{
    c->epochs = 3;
    c->batch = 3;
}

static inline void without_gain(struct den_train_config *c)
{
    c->match_gain = false;
    c->augment = false;
}

/* The run of the job with allocation after allocation failing: each time an error that
 * says so, and nothing leaks. */
static inline void fail_each_allocation(const struct den_train_job *job)
{
    struct den_train_result result;
    size_t failed = 0, live = den_mem_live();
    bool done = false;
    for (size_t n = 150; !done; n += 1 + failed / 16) {
        struct den_err err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = den_train(job, &result, &err);
        den_mem_fail_at(0);
        failed += !done;
        ck_assert_msg(done || err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    printf("%zu allocations failed\n", failed);
    ck_assert_uint_gt(failed, 20);
}

#endif
