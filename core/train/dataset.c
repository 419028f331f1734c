#include "dataset.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "metric.h"
#include "rng.h"

/* What lies behind a den_sample. */
struct frame {
    char *name;
    float *noisy;       /* [height][width] */
    const float *clean; /* [height][width], of this frame or of an earlier one; pairs */
    float *own_clean;   /* the same when it was read for this frame, else NULL */
    double a, b;        /* gain match: a * clean + b resembles noisy */
};

/* Sum over the frames of a static scene; repeats. */
struct stack {
    size_t first, frames; /* sample that came first; how many */
    double *sum;          /* [height][width] */
};

struct den_dataset {
    enum den_dataset_kind kind;
    size_t count, scenes, bytes, max_bytes;
    struct den_sample *samples; /* [count] */
    struct frame *frames;       /* [count] */
    struct stack *stacks;       /* [scenes] for repeats, else NULL */
};

void den_dataset_free(struct den_dataset *dataset)
{
    if (dataset == NULL)
        return;
    for (size_t i = 0; dataset->frames != NULL && i < dataset->count; i++) {
        den_free(dataset->frames[i].name);
        den_free(dataset->frames[i].noisy);
        den_free(dataset->frames[i].own_clean);
    }
    for (size_t s = 0; dataset->stacks != NULL && s < dataset->scenes; s++)
        den_free(dataset->stacks[s].sum);
    den_free(dataset->stacks);
    den_free(dataset->frames);
    den_free(dataset->samples);
    den_free(dataset);
}

/* ---- equal sources --------------------------------------------------------------- */

struct label {
    const char *text; /* NULL equals nothing else */
    uint32_t page;
    size_t index;
};

static int compare_labels(const void *p, const void *q)
{
    const struct label *a = p, *b = q;
    int order = (a->text != NULL) - (b->text != NULL);
    if (order == 0 && a->text != NULL)
        order = strcmp(a->text, b->text);
    if (order == 0 && a->text != NULL)
        order = (a->page > b->page) - (a->page < b->page);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static bool same_label(const struct label *a, const struct label *b)
{
    return a->text != NULL && b->text != NULL && a->page == b->page &&
           strcmp(a->text, b->text) == 0;
}

/* leader[i] = the first index whose label equals that of i.  Sorts labels: thousands of
 * sources must not take millions of comparisons. */
static void find_leaders(struct label *labels, size_t count, size_t *leader)
{
    qsort(labels, count, sizeof *labels, compare_labels);
    for (size_t i = 0; i < count; i++)
        leader[labels[i].index] = i > 0 && same_label(&labels[i - 1], &labels[i])
                                      ? leader[labels[i - 1].index]
                                      : labels[i].index;
}

/* Scenes are numbered in the order of their first sample.  Frames for repeats that name
 * no scene are all of one. */
static void number_scenes(struct den_dataset *set, const struct den_source *sources,
                          struct label *labels, size_t *leader)
{
    for (size_t i = 0; i < set->count; i++) {
        const char *scene = sources[i].scene;
        if (scene == NULL && set->kind == DEN_REPEATS)
            scene = "";
        labels[i] = (struct label){scene, 0, i};
    }
    find_leaders(labels, set->count, leader);
    for (size_t i = 0; i < set->count; i++)
        set->samples[i].scene =
            leader[i] == i ? set->scenes++ : set->samples[leader[i]].scene;
}

/* ---- reading --------------------------------------------------------------------- */

/* The file that was read last stays open: pages of a stack come one after another. */
struct opened {
    const char *path;
    struct den_reader *reader;
};

/* Says which of the user's images an error is about. */
static bool about(const char *name, const struct den_err *inner, struct den_err *err)
{
    if (err == NULL || err->code != DEN_OK)
        return false;
    den_err_set(err, inner->code, "%s: %s", name, inner->text);
    err->sys = inner->sys;
    err->limit = inner->limit;
    err->actual = inner->actual;
    return false;
}

/* Counts bytes before they are allocated. */
static bool reserve(struct den_dataset *set, size_t pixels, size_t size,
                    struct den_err *err)
{
    size_t more;
    if (!den_mul_size(pixels, size, &more) || more > set->max_bytes - set->bytes)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)set->max_bytes,
                             (int64_t)(set->bytes + pixels * size),
                             "the training images take more than %zu bytes of memory, "
                             "the most that is allowed",
                             set->max_bytes);
    set->bytes += more;
    return true;
}

static bool reopen(struct opened *file, const char *path,
                   const struct den_image_limits *limits, struct den_err *err)
{
    if (file->reader != NULL && strcmp(file->path, path) == 0)
        return true;
    den_reader_close(file->reader);
    *file = (struct opened){path, NULL};
    return den_reader_open(path, limits, &file->reader, err);
}

/* One page as fresh floats [height][width]. */
static bool read_page(struct den_dataset *set, struct opened *file, uint32_t page,
                      float **ret, struct den_err *err)
{
    const struct den_image_info *info = den_reader_info(file->reader);
    if (page >= info->pages)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "there is no page %" PRIu32 ", the last one is %" PRIu32,
                           page + 1, info->pages);
    if (info->channels != 1)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the image has %" PRIu32 " channels; training takes 1",
                           info->channels);
    size_t pixels = (size_t)info->width * info->height;
    if (!reserve(set, pixels, sizeof(float), err))
        return false;
    float *plane = den_new(pixels, sizeof *plane, err);
    if (plane == NULL)
        return false;
    if (!den_reader_page_float(file->reader, page, plane, err)) {
        den_free(plane);
        return false;
    }
    *ret = plane;
    return true;
}

static bool read_noisy(struct den_dataset *set, size_t i, const struct den_source *source,
                       const struct den_image_limits *limits, struct opened *file,
                       struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct frame *frame = &set->frames[i];
    frame->name = den_strdup(source->name);
    if (frame->name == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "not enough memory for the image names");
    if (!reopen(file, source->noisy_path, limits, &inner) ||
        !read_page(set, file, source->noisy_page, &frame->noisy, &inner))
        return about(source->name, &inner, err);
    const struct den_image_info *info = den_reader_info(file->reader);
    struct den_sample *sample = &set->samples[i];
    sample->name = frame->name;
    sample->noisy = frame->noisy;
    sample->width = info->width;
    sample->height = info->height;
    return true;
}

/* leader: the first sample with the same clean page, which several frames may share. */
static bool read_clean(struct den_dataset *set, size_t i, const struct den_source *source,
                       size_t leader, const struct den_image_limits *limits,
                       struct opened *file, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_sample *sample = &set->samples[i], *first = &set->samples[leader];
    struct frame *frame = &set->frames[i];
    size_t width = first->width, height = first->height;
    if (leader == i) {
        if (!reopen(file, source->clean_path, limits, &inner))
            return about(source->name, &inner, err);
        width = den_reader_info(file->reader)->width;
        height = den_reader_info(file->reader)->height;
    }
    if (sample->width != width || sample->height != height)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "%s: the noisy image is %zu x %zu pixels, its clean one %zu x "
                           "%zu; both must be of one size",
                           source->name, sample->width, sample->height, width, height);
    if (leader == i &&
        !read_page(set, file, source->clean_page, &frame->own_clean, &inner))
        return about(source->name, &inner, err);
    frame->clean = leader == i ? frame->own_clean : set->frames[leader].clean;
    return true;
}

/* A negative or zero gain says that the two images have nothing in common; such a pair
 * is used as it is. */
static void match(struct frame *frame, size_t pixels)
{
    double a, b;
    den_gain_match(frame->clean, frame->noisy, pixels, &a, &b);
    bool sane = isfinite(a) && isfinite(b) && a > 0;
    frame->a = sane ? a : 1;
    frame->b = sane ? b : 0;
}

static bool read_all(struct den_dataset *set, const struct den_source *sources,
                     const size_t *leader, const struct den_image_limits *limits,
                     struct den_err *err)
{
    bool ok = false;
    struct opened noisy = {0}, clean = {0};
    for (size_t i = 0; i < set->count; i++) {
        if (!read_noisy(set, i, &sources[i], limits, &noisy, err))
            goto out;
        if (set->kind == DEN_REPEATS)
            continue;
        if (!read_clean(set, i, &sources[i], leader[i], limits, &clean, err))
            goto out;
        match(&set->frames[i], set->samples[i].width * set->samples[i].height);
    }
    ok = true;
out:
    den_reader_close(noisy.reader);
    den_reader_close(clean.reader);
    return ok;
}

/* ---- repeats --------------------------------------------------------------------- */

static bool add_to_stack(struct den_dataset *set, size_t i, struct den_err *err)
{
    const struct den_sample *sample = &set->samples[i];
    struct stack *stack = &set->stacks[sample->scene];
    size_t pixels = sample->width * sample->height;
    if (stack->frames++ == 0) {
        stack->first = i;
        if (!reserve(set, pixels, sizeof(double), err))
            return false;
        stack->sum = den_new(pixels, sizeof(double), err);
        if (stack->sum == NULL)
            return false;
    }
    const struct den_sample *first = &set->samples[stack->first];
    if (sample->width != first->width || sample->height != first->height)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "%s is %zu x %zu pixels, but %s of the same scene %zu x %zu; "
                           "frames of one scene must be of one size",
                           sample->name, sample->width, sample->height, first->name,
                           first->width, first->height);
    for (size_t p = 0; p < pixels; p++)
        stack->sum[p] += (double)sample->noisy[p];
    return true;
}

/* Frames of one scene are not gain-matched: their reference is a mean of noisy frames,
 * and least squares on a noisy regressor shrinks the slope (attenuation), by half when
 * two frames are all there is. */
static bool build_stacks(struct den_dataset *set, struct den_err *err)
{
    set->stacks = den_new(set->scenes, sizeof *set->stacks, err);
    if (set->stacks == NULL)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        set->frames[i].a = 1;
        if (!add_to_stack(set, i, err))
            return false;
    }
    for (size_t s = 0; s < set->scenes; s++)
        if (set->stacks[s].frames < 2)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "%s is the only frame of its scene; training on repeats "
                               "needs at least two frames of each scene",
                               set->samples[set->stacks[s].first].name);
    return true;
}

/* ---- open ------------------------------------------------------------------------ */

static bool check_sources(enum den_dataset_kind kind, const struct den_source *sources,
                          size_t count, struct den_err *err)
{
    if (count == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "there are no training images; at least one is needed");
    if (kind == DEN_REPEATS && count < 2)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "there is one frame only; training on repeats needs at least "
                           "two frames of a scene");
    for (size_t i = 0; kind == DEN_PAIRS && i < count; i++)
        if (sources[i].clean_path == NULL)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "%s has no clean image, which training on pairs needs",
                               sources[i].name);
    return true;
}

bool den_dataset_open(enum den_dataset_kind kind, const struct den_source *sources,
                      size_t count, const struct den_image_limits *limits,
                      size_t max_bytes, struct den_dataset **ret, struct den_err *err)
{
    bool ok = false;
    struct den_dataset *set = NULL;
    struct label *labels = NULL;
    size_t *leader = NULL;
    if (!check_sources(kind, sources, count, err))
        goto out;
    if ((set = den_new(1, sizeof *set, err)) == NULL)
        goto out;
    *set = (struct den_dataset){.kind = kind, .count = count, .max_bytes = max_bytes};
    if ((set->samples = den_new(count, sizeof *set->samples, err)) == NULL ||
        (set->frames = den_new(count, sizeof *set->frames, err)) == NULL ||
        (labels = den_new(count, sizeof *labels, err)) == NULL ||
        (leader = den_new(count, sizeof *leader, err)) == NULL)
        goto out;

    number_scenes(set, sources, labels, leader);
    for (size_t i = 0; i < count; i++)
        labels[i] = (struct label){sources[i].clean_path, sources[i].clean_page, i};
    find_leaders(labels, count, leader);
    if (!read_all(set, sources, leader, limits, err))
        goto out;
    if (kind == DEN_REPEATS && !build_stacks(set, err))
        goto out;
    *ret = set;
    set = NULL;
    ok = true;
out:
    den_free(leader);
    den_free(labels);
    den_dataset_free(set);
    return ok;
}

/* ---- use ------------------------------------------------------------------------- */

size_t den_dataset_size(const struct den_dataset *dataset)
{
    return dataset->count;
}

size_t den_dataset_scenes(const struct den_dataset *dataset)
{
    return dataset->scenes;
}

const struct den_sample *den_dataset_at(const struct den_dataset *dataset, size_t index)
{
    assert(index < dataset->count);
    return &dataset->samples[index];
}

/* Mean of the scene's other frames: (sum - this) / (frames - 1), n pixels from `at`. */
static void others_mean(const struct stack *stack, const float *noisy, size_t at,
                        size_t n, float *to)
{
    double share = 1 / (double)(stack->frames - 1);
    for (size_t i = 0; i < n; i++)
        to[i] = (float)((stack->sum[at + i] - (double)noisy[at + i]) * share);
}

void den_dataset_target(const struct den_dataset *dataset, size_t index, size_t x,
                        size_t y, size_t w, size_t h, bool match_gain, float *to)
{
    assert(index < dataset->count);
    const struct den_sample *sample = &dataset->samples[index];
    const struct frame *frame = &dataset->frames[index];
    assert(w <= sample->width && x <= sample->width - w);
    assert(h <= sample->height && y <= sample->height - h);
    double a = match_gain ? frame->a : 1, b = match_gain ? frame->b : 0;
    for (size_t row = 0; row < h; row++, to += w) {
        size_t at = (y + row) * sample->width + x;
        if (dataset->kind == DEN_REPEATS)
            others_mean(&dataset->stacks[sample->scene], sample->noisy, at, w, to);
        else
            for (size_t i = 0; i < w; i++)
                to[i] = (float)(a * (double)frame->clean[at + i] + b);
    }
}

size_t den_validation_share(double fraction, size_t units)
{
    if (!(fraction > 0) || units < 2)
        return 0;
    double wanted = fmax(1, round(fmin(fraction, 1) * (double)units));
    return wanted < (double)(units - 1) ? (size_t)wanted : units - 1;
}

void den_dataset_split(const struct den_dataset *dataset, double fraction, uint64_t seed,
                       size_t *ret_train, size_t *ret_train_count, size_t *ret_valid,
                       size_t *ret_valid_count)
{
    bool by_scene = dataset->scenes > 1;
    size_t units = by_scene ? dataset->scenes : dataset->count;
    size_t kept = den_validation_share(fraction, units), train = 0, valid = 0;
    struct den_rng rng;
    den_rng_seed(&rng, seed, DEN_STREAM_SPLIT, 0);
    /* ret_train has room for all images and there are no more scenes than those: until
     * the last loop it holds the permutation, and ret_valid the rank of each unit. */
    den_rng_permutation(&rng, units, ret_train);
    for (size_t rank = 0; rank < units; rank++)
        ret_valid[ret_train[rank]] = rank;
    for (size_t i = 0; i < dataset->count; i++) {
        size_t unit = by_scene ? dataset->samples[i].scene : i;
        ret_train[i] = ret_valid[unit] < kept;
    }
    for (size_t i = 0; i < dataset->count; i++) {
        if (ret_train[i] != 0)
            ret_valid[valid++] = i;
        else
            ret_train[train++] = i; /* train <= i: what is overwritten has been read */
    }
    *ret_train_count = train;
    *ret_valid_count = valid;
}
