#include <math.h>
#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "infer.h"
#include "mem.h"
#include "metric.h"
#include "str.h"
#include "synth.h"
#include "trainer.h"

enum { PATH = 96, SIDE = 64, SCENES = 5, NUMBERS = 4000 };

/* ---- simulated scenes on disk ---------------------------------------------------- */

static char folder[32];
static struct den_pool *pool;
static struct den_dataset *pairs, *repeats;

static const char *path_of(const char *name, char *to)
{
    ck_assert(den_str_format(to, PATH, "%s/%s", folder, name));
    return to;
}

static struct den_scene scene_of(uint64_t seed)
{
    struct den_scene scene = den_scene_default();
    scene.width = scene.height = SIDE;
    scene.seed = seed;
    scene.peak_photons = 40;
    return scene;
}

static void write_image(const char *name, uint32_t pages, const float *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_image image = {{"tiff", SIDE, SIDE, pages, 1, DEN_F32, 0}, NULL};
    image.pixels = den_calloc((size_t)SIDE * SIDE * pages, sizeof(float));
    memcpy(image.pixels, pixels, (size_t)SIDE * SIDE * pages * sizeof(float));
    must(den_image_save(path_of(name, path), &image, &err));
    den_image_release(&image);
}

/* Clean scene and its noisy frame 0 as floats [SIDE][SIDE]. */
static void simulate(uint64_t seed, uint64_t index, float *clean, float *noisy)
{
    struct den_err err = DEN_ERR_INIT;
    static uint16_t frame[SIDE * SIDE];
    struct den_scene scene = scene_of(seed);
    must(den_scene_clean(&scene, clean, &err));
    den_scene_frame(&scene, clean, index, frame);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        noisy[i] = (float)frame[i];
}

static void write_scenes(void)
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

static void open_sets(void)
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

static void set_up(void)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/den_trainer_XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_scenes();
    open_sets();
    must(den_pool_new(2, &pool, &err));
}

static void tear_down(void)
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

static enum den_verdict tick(void *context, size_t done, size_t total)
{
    struct watch *watch = context;
    ck_assert_uint_le(done, total);
    watch->ticks++;
    return done >= watch->stop_at ? watch->verdict : DEN_GO_ON;
}

static void metric(void *context, size_t step, const char *name, double value)
{
    struct watch *watch = context;
    ck_assert_uint_lt(watch->numbers, NUMBERS);
    watch->told[watch->numbers].step = step;
    ck_assert(den_str_copy(watch->told[watch->numbers].name, 24, name));
    watch->told[watch->numbers++].value = value;
}

static struct watch *new_watch(size_t stop_at, enum den_verdict verdict)
{
    struct watch *watch = calloc(1, sizeof *watch);
    watch->stop_at = stop_at;
    watch->verdict = verdict;
    return watch;
}

/* The last (or first) number told under this name. */
static double told(const struct watch *watch, const char *name, bool last)
{
    double value = (double)NAN;
    for (size_t i = 0; i < watch->numbers; i++)
        if (strcmp(watch->told[i].name, name) == 0 && (last || isnan(value)))
            value = watch->told[i].value;
    return value;
}

static const struct den_backend *backend(void)
{
    const char *name = getenv("DENOISED_BACKEND");
    return name != NULL ? den_backend_find(name) : den_backends[0];
}

static struct den_train_config tiny(int64_t iterations)
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
static struct den_train_job job_of(struct den_train_config config, struct watch *watch)
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
        .hooks = {{tick, watch}, watch != NULL ? metric : NULL, watch},
    };
}

static enum den_verdict never_stop(void *context, size_t done, size_t total)
{
    (void)context, (void)done, (void)total;
    return DEN_GO_ON;
}

struct files {
    char *best, *last;
    size_t best_size, last_size;
};

static struct files read_files(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct files f = {0};
    char path[PATH];
    must(den_fs_read(path_of("best.model", path), 1 << 24, &f.best, &f.best_size, &err));
    must(den_fs_read(path_of("last.model", path), 1 << 24, &f.last, &f.last_size, &err));
    return f;
}

static void free_files(struct files *f)
{
    den_free(f->best);
    den_free(f->last);
}

static bool same_files(const struct files *a, const struct files *b)
{
    return a->best_size == b->best_size && a->last_size == b->last_size &&
           memcmp(a->best, b->best, a->best_size) == 0 &&
           memcmp(a->last, b->last, a->last_size) == 0;
}

static struct den_train_result train(const struct den_train_job *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    must(den_train(job, &result, &err));
    return result;
}

/* ---- learning -------------------------------------------------------------------- */

static double psnr_of(const float *clean, const float *prediction)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_metric_case c = {SIDE, SIDE, clean, prediction, 1, 0};
    double value;
    must(den_metric_find("psnr")->value(&c, &value, &err));
    return value;
}

static void denoise(const char *name, const float *noisy, float *to)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_model *model = NULL;
    struct den_infer *infer = NULL;
    struct den_infer_options options = {0};
    must(den_model_load(backend(), path_of(name, path), &model, &err));
    must(den_infer_new(model, pool, SIDE, SIDE, &options, &infer, &err));
    must(den_infer_page(infer, noisy, to, NULL, 0, 1, &err));
    den_infer_free(infer);
    den_model_free(model);
}

START_TEST(training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen)
{
    need_slow();
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], denoised[SIDE * SIDE];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(400);
    config.ngf = 8;
    config.lr = 2e-3;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    double first = told(watch, "loss_l1", false), last = told(watch, "loss_l1", true);
    ck_assert_msg(last < 0.5 * first, "loss_l1 from %g to %g", first, last);
    simulate(999, 0, clean, noisy);
    denoise("best.model", noisy, denoised);
    double before = psnr_of(clean, noisy), after = psnr_of(clean, denoised);
    printf("PSNR %.2f dB noisy, %.2f dB denoised, %.2f s\n", before, after,
           result.seconds);
    ck_assert_msg(after > before + 3, "PSNR from %g to %g", before, after);
    ck_assert_uint_eq(result.steps, 400);
    ck_assert_uint_eq(result.train_images, SCENES - 1);
    ck_assert_uint_eq(result.validation_images, 1);
    free(watch);
}
END_TEST

START_TEST(the_best_model_is_the_best_validation_of_the_decaying_part)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(60);
    config.validate_every = 5;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    double best = -1e9;
    size_t at = 0, seen = 0;
    for (size_t i = 0; i < watch->numbers; i++)
        if (strcmp(watch->told[i].name, "validation_psnr") == 0) {
            seen++;
            if (watch->told[i].step > 30 && watch->told[i].value > best) {
                best = watch->told[i].value;
                at = watch->told[i].step;
            }
        }
    ck_assert_uint_eq(seen, 12);
    ck_assert(result.has_validation && result.chose_best);
    ck_assert_uint_eq(result.best_step, at);
    close_to(result.best_psnr, best, 0);
    /* The file is that very model: measured again from disk it gives the same number. */
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], denoised[SIDE * SIDE];
    size_t train_list[SCENES], valid[SCENES], n, m;
    den_dataset_split(pairs, 0.2, 42, train_list, &n, valid, &m);
    memcpy(noisy, den_dataset_at(pairs, valid[0])->noisy, sizeof noisy);
    den_dataset_target(pairs, valid[0], 0, 0, SIDE, SIDE, true, clean);
    denoise("best.model", noisy, denoised);
    close_to(psnr_of(clean, denoised), best, 1e-9);
    free(watch);
}
END_TEST

/* ---- variants -------------------------------------------------------------------- */

static void gan(struct den_train_config *c)
{
    c->lambda_gan = 1;
    c->lambda_ssim = 10;
    c->lambda_tv = 1e-3;
}

static void lsgan(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->gan_mode, DEN_WORD, "lsgan");
}

static void instance_norm(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->norm_layer, DEN_WORD, "instance");
}

static void tanh_min_max(struct den_train_config *c)
{
    den_str_copy(c->normalisation, DEN_WORD, "min_max");
    den_str_copy(c->output, DEN_WORD, "tanh");
}

static void percentile(struct den_train_config *c)
{
    den_str_copy(c->normalisation, DEN_WORD, "percentile");
}

static void dropout(struct den_train_config *c)
{
    c->downs = 6; /* dropout sits in downs - 5 blocks */
    c->crop = 64;
    c->dropout = true;
}

static void wide_window(struct den_train_config *c)
{
    c->lambda_ssim = 10;
    c->ssim_window = 11;
}

static void two_samples(struct den_train_config *c)
{
    c->samples = 2;
}

static void no_validation(struct den_train_config *c)
{
    c->validation_fraction = 0;
}

static void by_epochs(struct den_train_config *c)
{
    c->epochs = 3;
    c->batch = 3;
}

static void without_gain(struct den_train_config *c)
{
    c->match_gain = false;
    c->augment = false;
}

static const struct {
    const char *name;
    void (*change)(struct den_train_config *config);
    size_t steps, train, terms; /* terms: names of losses that are told */
    bool valid;
} variants[] = {
    {"gan", gan, 6, 4, 6, true},
    {"lsgan", lsgan, 6, 4, 6, true},
    {"instance norm", instance_norm, 6, 4, 6, true},
    {"tanh", tanh_min_max, 6, 4, 2, true},
    {"percentile", percentile, 6, 4, 2, true},
    {"dropout", dropout, 6, 4, 2, true},
    {"ssim window 11", wide_window, 6, 4, 3, true},
    {"two samples", two_samples, 6, 2, 2, true},
    {"no validation", no_validation, 6, 5, 2, false},
    {"three epochs of two steps", by_epochs, 6, 4, 2, true},
    {"without gain match", without_gain, 6, 4, 2, true},
};

START_TEST(every_variant_of_the_settings_trains)
{
    struct den_err err = DEN_ERR_INIT;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(6);
    char path[PATH];
    variants[_i].change(&config);
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    ck_assert_uint_eq(result.steps, variants[_i].steps);
    ck_assert_uint_eq(result.train_images, variants[_i].train);
    ck_assert(result.has_validation == variants[_i].valid);
    ck_assert(result.chose_best == variants[_i].valid);
    ck_assert(den_fs_exists(path_of("best.model", path)) == variants[_i].valid);
    size_t terms = 0;
    for (size_t i = 0; i < watch->numbers; i++) {
        ck_assert(isfinite(watch->told[i].value));
        terms += watch->told[i].step == 6 && den_str_starts(watch->told[i].name, "loss_");
    }
    ck_assert_uint_eq(terms, variants[_i].terms);
    struct den_model *model = NULL;
    must(den_model_load(backend(), path_of("last.model", path), &model, &err));
    ck_assert_str_eq(model->norm.kind, config.normalisation);
    ck_assert(model->options.instance_norm ==
              (strcmp(config.norm_layer, "instance") == 0));
    den_model_free(model);
    free(watch);
}
END_TEST

START_TEST(repeated_frames_train_without_a_clean_image)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(tiny(60), watch);
    job.dataset = repeats;
    train(&job);
    ck_assert(told(watch, "loss_l1", true) < told(watch, "loss_l1", false));
    free(watch);
}
END_TEST

START_TEST(the_discriminator_learns_to_tell_clean_from_generated)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(40);
    gan(&config);
    config.lambda_l1 = 0; /* the generator stays poor */
    config.ngf = 1;
    struct den_train_job job = job_of(config, watch);
    train(&job);
    double first = told(watch, "loss_d", false), last = told(watch, "loss_d", true);
    ck_assert_msg(last < 0.8 * first, "loss_d from %g to %g", first, last);
    free(watch);
}
END_TEST

/* ---- stopping and going on ------------------------------------------------------- */

START_TEST(cancelling_takes_effect_within_one_batch_and_leaves_no_model)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct watch *watch = new_watch(3, DEN_CANCEL);
    struct den_train_job job = job_of(tiny(1000), watch);
    struct den_train_result result;
    size_t live = den_mem_live();
    must_fail(den_train(&job, &result, &err), DEN_E_CANCELLED, "after 3 of 1000 steps");
    ck_assert_uint_eq(watch->ticks, 4);
    ck_assert(!den_fs_exists(path_of("best.model", path)));
    ck_assert(!den_fs_exists(path_of("last.model", path)));
    ck_assert_uint_eq(den_mem_live(), live);
    free(watch);
}
END_TEST

/* What was told up to the interruption and after it, against the unbroken run. */
static void check_told(const struct watch *whole, const struct watch *before,
                       const struct watch *after)
{
    ck_assert_uint_eq(before->numbers + after->numbers, whole->numbers);
    for (size_t i = 0; i < whole->numbers; i++) {
        const struct watch *part = i < before->numbers ? before : after;
        size_t at = i < before->numbers ? i : i - before->numbers;
        ck_assert_str_eq(part->told[at].name, whole->told[i].name);
        ck_assert_uint_eq(part->told[at].step, whole->told[i].step);
        ck_assert_mem_eq(&part->told[at].value, &whole->told[i].value, sizeof(double));
    }
}

static const struct {
    const char *backend;
    size_t stop_at;
    void (*change)(struct den_train_config *config);
} breaks[] = {
    {"cpu", 1, gan},     {"cpu", 7, gan},          {"cpu", 12, gan},
    {"cpu", 0, gan},     {"cpu", 5, dropout},      {"ref", 5, gan},
    {"ref", 8, dropout}, {"cpu", 9, without_gain}, {"cpu", 6, instance_norm},
};

START_TEST(an_interrupted_run_goes_on_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct den_train_config config = tiny(12);
    config.batch = 2;
    config.validate_every = 4;
    breaks[_i].change(&config);
    struct watch *whole = new_watch(SIZE_MAX, DEN_GO_ON);
    struct watch *before = new_watch(breaks[_i].stop_at, DEN_SUSPEND);
    struct watch *after = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(config, whole);
    job.backend = den_backend_find(breaks[_i].backend);
    train(&job);
    struct files unbroken = read_files();

    struct den_train_result result;
    must(den_fs_remove(job.best_path, &err));
    must(den_fs_remove(job.last_path, &err));
    job = job_of(config, before);
    job.backend = den_backend_find(breaks[_i].backend);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    must(den_fs_remove(job.best_path, &err)); /* the checkpoint has it, too */
    job.hooks.progress.context = job.hooks.context = after;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, breaks[_i].stop_at);
    struct files resumed = read_files();
    ck_assert(same_files(&unbroken, &resumed));
    check_told(whole, before, after);
    free_files(&unbroken);
    free_files(&resumed);
    free(whole);
    free(before);
    free(after);
}
END_TEST

enum damage { OTHER_SEED, OTHER_SETTING, OTHER_IMAGES, TRUNCATED, EMPTY, FLIPPED };
static const enum damage damages[] = {OTHER_SEED, OTHER_SETTING, OTHER_IMAGES,
                                      TRUNCATED,  EMPTY,         FLIPPED};

static void damage(enum damage kind, struct den_train_job *job)
{
    struct den_err err = DEN_ERR_INIT;
    char *bytes;
    size_t size;
    must(den_fs_read(job->checkpoint_path, 1 << 24, &bytes, &size, &err));
    if (kind == OTHER_SEED)
        job->seed++;
    if (kind == OTHER_SETTING)
        job->config.lambda_l1 = 99;
    if (kind == OTHER_IMAGES)
        job->dataset = repeats;
    if (kind == TRUNCATED)
        must(den_fs_write(job->checkpoint_path, bytes, size - 100, &err));
    if (kind == EMPTY)
        must(den_fs_write(job->checkpoint_path, "", 0, &err));
    if (kind == FLIPPED) { /* the last weights become NaN: found late, after others */
        memset(bytes + size - 8, 0xff, 8);
        must(den_fs_write(job->checkpoint_path, bytes, size, &err));
    }
    den_free(bytes);
}

START_TEST(a_checkpoint_of_another_run_or_a_damaged_one_is_not_used)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct watch *watch = new_watch(5, DEN_SUSPEND);
    struct den_train_config config = tiny(6);
    gan(&config);
    struct den_train_job job = job_of(config, watch);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "after 5 of 6 steps");
    damage(damages[_i], &job);
    watch->stop_at = SIZE_MAX;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, 0);
    struct files ignored = read_files();
    job.checkpoint_path = NULL;
    train(&job);
    struct files fresh = read_files();
    ck_assert(same_files(&ignored, &fresh));
    free_files(&ignored);
    free_files(&fresh);
    free(watch);
}
END_TEST

START_TEST(a_checkpoint_is_written_while_running)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct watch *watch = new_watch(4, DEN_CANCEL);
    struct den_train_job job = job_of(tiny(6), watch);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    job.checkpoint_seconds = 0;
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_CANCELLED, "after 4 of 6");
    watch->stop_at = SIZE_MAX;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, 3); /* the fourth was asked before saving */
    free(watch);
}
END_TEST

START_TEST(equal_seeds_give_equal_bytes_and_others_do_not)
{
    struct den_train_config config = tiny(5);
    gan(&config);
    struct files runs[3];
    for (size_t i = 0; i < 3; i++) {
        struct den_train_job job = job_of(config, NULL);
        job.hooks.progress.tick = never_stop;
        job.seed = i == 2 ? 43 : 42;
        train(&job);
        runs[i] = read_files();
    }
    ck_assert(same_files(&runs[0], &runs[1]));
    ck_assert(!same_files(&runs[0], &runs[2]));
    for (size_t i = 0; i < 3; i++)
        free_files(&runs[i]);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------- */

START_TEST(a_run_that_diverges_says_what_to_try)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(200);
    config.lr = 10;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_DIVERGED,
              "try a lower learning rate than lr = 10");
    ck_assert(!den_fs_exists(path_of("last.model", path)));
    ck_assert_uint_lt(watch->ticks, 200);
    free(watch);
}
END_TEST

START_TEST(a_crop_larger_than_an_image_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_job job = job_of(tiny(5), NULL);
    struct den_train_result result;
    job.config.crop = 128;
    must_fail(den_train(&job, &result, &err), DEN_E_UNPROCESSABLE,
              "noisy.tif is 64 x 64 pixels, smaller than crop, which is 128 x 128");
    job = job_of(tiny(5), NULL);
    job.method = "magic";
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID, "method is not known");
    job = job_of(tiny(5), NULL);
    job.config.crop = 33;
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID, "multiple of 32");
}
END_TEST

START_TEST(the_estimate_is_near_what_a_run_takes)
{
    struct den_err err = DEN_ERR_INIT;
    size_t steps, bytes;
    struct den_train_config config = tiny(3);
    gan(&config);
    config.ngf = config.ndf = 16;
    config.batch = 8;
    config.crop = 64;
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    must(den_train_estimate("cgan", &config, SCENES, SIDE, &steps, &bytes, &err));
    ck_assert_uint_eq(steps, 3);
    size_t before = den_mem_live();
    den_mem_reset_peak();
    train(&job);
    double share = (double)bytes / (double)(den_mem_peak() - before);
    printf("estimate %.1f MB is %.2f of the peak\n", (double)bytes / 1e6, share);
    ck_assert_msg(share > 0.9 && share < 2.5, "estimate / peak = %g", share);
    must_fail(den_train_estimate("cgan", &config, SCENES, 63, &steps, &bytes, &err),
              DEN_E_UNPROCESSABLE, "crop is 64, but the smallest");
    must_fail(den_train_estimate("x", &config, SCENES, 64, &steps, &bytes, &err),
              DEN_E_INVALID, "there is cgan");
    config.epochs = 10; /* 4 of 5 images, 8 per batch */
    must(den_train_estimate("cgan", &config, SCENES, 64, &steps, &bytes, &err));
    ck_assert_uint_eq(steps, 10);
}
END_TEST

START_TEST(a_failing_allocation_is_an_error_and_leaks_nothing)
{
    need_slow();
    struct den_err err;
    struct den_train_config config = tiny(1);
    gan(&config);
    config.batch = 1;
    config.ngf = config.ndf = 1;
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    struct den_train_result result;
    bool done = false;
    size_t n = 1, failed = 0, live = den_mem_live();
    for (; !done; n += 1 + n / 16) {
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = den_train(&job, &result, &err);
        den_mem_fail_at(0);
        failed += !done;
        ck_assert_msg(done || err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    ck_assert_uint_gt(failed, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer");
    TCase *t = tcase_create("run");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen);
    tcase_add_test(t, the_best_model_is_the_best_validation_of_the_decaying_part);
    tcase_add_loop_test(t, every_variant_of_the_settings_trains, 0,
                        (int)(sizeof variants / sizeof variants[0]));
    tcase_add_test(t, repeated_frames_train_without_a_clean_image);
    tcase_add_test(t, the_discriminator_learns_to_tell_clean_from_generated);
    tcase_add_test(t, cancelling_takes_effect_within_one_batch_and_leaves_no_model);
    tcase_add_loop_test(t, an_interrupted_run_goes_on_to_the_same_bytes, 0,
                        (int)(sizeof breaks / sizeof breaks[0]));
    tcase_add_loop_test(t, a_checkpoint_of_another_run_or_a_damaged_one_is_not_used, 0,
                        (int)(sizeof damages / sizeof damages[0]));
    tcase_add_test(t, a_checkpoint_is_written_while_running);
    tcase_add_test(t, equal_seeds_give_equal_bytes_and_others_do_not);
    tcase_add_test(t, a_run_that_diverges_says_what_to_try);
    tcase_add_test(t, a_crop_larger_than_an_image_is_refused);
    tcase_add_test(t, the_estimate_is_near_what_a_run_takes);
    tcase_add_test(t, a_failing_allocation_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
