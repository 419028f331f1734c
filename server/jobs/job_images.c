#include "job_images.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "str.h"

/* ---- rows ---- */

static size_t pixels_of(const struct den_image_row *row)
{
    return (size_t)row->info.width * row->info.height;
}

static int compare_clean(const void *a, const void *b)
{
    const struct den_job_item *const *p = a, *const *q = b;
    return strcmp((*p)->clean.id, (*q)->clean.id);
}

/* A clean image that many noisy ones share lies in memory once. */
static bool clean_bytes(const struct den_job_images *images, size_t *ret,
                        struct den_err *err)
{
    size_t bytes = 0;
    const struct den_job_item **order = den_new(images->count, sizeof(void *), err);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < images->count; i++)
        order[i] = &images->items[i];
    qsort(order, images->count, sizeof(void *), compare_clean);
    for (size_t i = 0; i < images->count; i++)
        if (i == 0 || compare_clean(&order[i - 1], &order[i]) != 0)
            bytes +=
                pixels_of(&order[i]->clean) * order[i]->clean.info.pages * sizeof(float);
    den_free(order);
    *ret = bytes;
    return true;
}

static bool sum_up(struct den_job_images *images, struct den_err *err)
{
    size_t clean = 0;
    images->smallest_side = SIZE_MAX;
    for (size_t i = 0; i < images->count; i++) {
        const struct den_image_row *noisy = &images->items[i].noisy;
        size_t side = noisy->info.width < noisy->info.height ? noisy->info.width
                                                             : noisy->info.height;
        if (side < images->smallest_side)
            images->smallest_side = side;
        images->samples += noisy->info.pages;
        images->bytes += pixels_of(noisy) * noisy->info.pages * sizeof(float);
    }
    if (images->kind == DEN_PAIRS && !clean_bytes(images, &clean, err))
        return false;
    if (images->kind == DEN_REPEATS) /* the sum over the frames */
        clean = pixels_of(&images->items[0].noisy) * sizeof(double);
    images->bytes += clean;
    return true;
}

static bool load_items(struct den_service *s, const char *owner, const char *dataset,
                       struct den_job_images *images, struct den_err *err)
{
    bool done = false;
    struct den_dataset_item *ids = NULL;
    if (!s->kind->dataset_items(s->store, owner, dataset, &ids, &images->count, err))
        goto out;
    images->items = den_new(images->count, sizeof *images->items, err);
    if (images->items == NULL)
        goto out;
    for (size_t i = 0; i < images->count; i++) {
        struct den_job_item *item = &images->items[i];
        if (!s->kind->image_get(s->store, owner, ids[i].noisy, &item->noisy, err) ||
            (ids[i].clean[0] != '\0' &&
             !s->kind->image_get(s->store, owner, ids[i].clean, &item->clean, err)))
            goto out;
    }
    done = true;
out:
    den_free(ids);
    return done;
}

bool den_job_images_load(struct den_service *service, const char *owner,
                         const char *dataset, struct den_job_images *ret,
                         struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_dataset_row row;
    struct den_job_images images = {0};
    if (!service->kind->dataset_get(service->store, owner, dataset, &row, &inner) ||
        !load_items(service, owner, dataset, &images, &inner)) {
        den_job_images_release(&images);
        return den_err_field(err, inner.code, "/dataset", "%s", inner.text);
    }
    images.kind = strcmp(row.kind, "repeats") == 0 ? DEN_REPEATS : DEN_PAIRS;
    memcpy(images.name, row.name, sizeof images.name);
    if (!sum_up(&images, err)) {
        den_job_images_release(&images);
        return false;
    }
    *ret = images;
    return true;
}

void den_job_images_release(struct den_job_images *images)
{
    den_free(images->items);
    *images = (struct den_job_images){0};
}

bool den_job_images_select(const struct den_job_images *images, const bool *keep,
                           struct den_job_images *ret, struct den_err *err)
{
    struct den_job_images chosen = {.kind = images->kind};
    memcpy(chosen.name, images->name, sizeof chosen.name);
    chosen.items = den_new(images->count, sizeof *chosen.items, err);
    if (chosen.items == NULL)
        return false;
    for (size_t i = 0; i < images->count; i++)
        if (keep[i])
            chosen.items[chosen.count++] = images->items[i];
    if (chosen.count == 0) {
        chosen.smallest_side = SIZE_MAX;
    } else if (!sum_up(&chosen, err)) {
        den_job_images_release(&chosen);
        return false;
    }
    *ret = chosen;
    return true;
}

static int descending(const void *a, const void *b)
{
    const size_t *p = a, *q = b;
    return (*p < *q) - (*p > *q);
}

/* Images of each scene into sizes[samples]: a scene is a page of a clean image. */
static bool size_scenes(const struct den_job_images *images, size_t *sizes,
                        size_t *ret_count, struct den_err *err)
{
    size_t scenes = 0;
    const struct den_job_item **order = den_new(images->count, sizeof(void *), err);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < images->count; i++)
        order[i] = &images->items[i];
    qsort(order, images->count, sizeof(void *), compare_clean);
    for (size_t i = 0, next; i < images->count; i = next) {
        size_t noisy = 0, pages = order[i]->clean.info.pages;
        for (next = i;
             next < images->count && compare_clean(&order[i], &order[next]) == 0; next++)
            noisy += order[next]->noisy.info.pages;
        for (size_t page = 0; page < pages; page++)
            sizes[scenes++] = noisy / pages; /* one clean page for all, or one for each */
    }
    den_free(order);
    *ret_count = scenes;
    return true;
}

bool den_job_images_least(const struct den_job_images *images, double fraction,
                          size_t *ret, struct den_err *err)
{
    size_t scenes = 1, left = images->samples;
    size_t *sizes = den_new(images->samples, sizeof *sizes, err);
    if (sizes == NULL)
        return false;
    if (images->kind == DEN_PAIRS && !size_scenes(images, sizes, &scenes, err)) {
        den_free(sizes);
        return false;
    }
    if (scenes < 2) { /* then the images are divided */
        left -= den_validation_share(fraction, left);
    } else {
        qsort(sizes, scenes, sizeof *sizes, descending);
        for (size_t i = 0; i < den_validation_share(fraction, scenes); i++)
            left -= sizes[i];
    }
    den_free(sizes);
    *ret = left;
    return true;
}

/* ---- as a den_dataset ----
 * den_dataset_open borrows its texts: they must all live until it returns. */

struct page_text {
    char name[DEN_NAME_SIZE + 24], scene[DEN_SHA256_SIZE + 24];
};

struct sources {
    struct den_source *rows; /* [samples] */
    struct page_text *texts; /* [samples] */
    char **kept;             /* [2 * count], copies of the paths */
};

static void release_sources(struct sources *sources, size_t items)
{
    for (size_t i = 0; sources->kept != NULL && i < 2 * items; i++)
        den_free(sources->kept[i]);
    den_free(sources->kept);
    den_free(sources->texts);
    den_free(sources->rows);
}

static bool keep_path(struct den_service *s, const struct den_image_row *row, char **ret,
                      struct den_err *err)
{
    char path[PATH_MAX];
    if (row->id[0] == '\0')
        return true;
    den_blobs_path(s->blobs, row->sha256, path, sizeof path);
    *ret = den_strdup(path);
    return *ret != NULL ||
           den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
}

static void fill_page(struct den_source *source, struct page_text *text,
                      const struct den_job_item *item, uint32_t page)
{
    const struct den_image_row *clean = &item->clean;
    den_str_copy(text->name, sizeof text->name, item->noisy.name);
    if (item->noisy.info.pages > 1)
        den_str_format(text->name, sizeof text->name, "%s, page %u", item->noisy.name,
                       page);
    source->name = text->name;
    source->noisy_page = page;
    if (clean->id[0] == '\0')
        return;
    /* Noisy images of one clean page show one scene: they stay together in a split. */
    source->clean_page = clean->info.pages > 1 ? page : 0;
    den_str_format(text->scene, sizeof text->scene, "%s %u", clean->sha256,
                   source->clean_page);
    source->scene = text->scene;
}

bool den_job_images_open(struct den_service *service, const struct den_job_images *images,
                         struct den_dataset **ret, struct den_err *err)
{
    bool done = false;
    struct sources sources = {0};
    size_t limit = service->config.memory_limit, sample = 0;
    sources.rows = den_new(images->samples, sizeof *sources.rows, err);
    sources.texts = den_new(images->samples, sizeof *sources.texts, err);
    sources.kept = den_new(2 * images->count, sizeof *sources.kept, err);
    if (sources.rows == NULL || sources.texts == NULL || sources.kept == NULL)
        goto out;
    for (size_t i = 0; i < images->count; i++) {
        const struct den_job_item *item = &images->items[i];
        char **paths = sources.kept + 2 * i;
        if (!keep_path(service, &item->noisy, &paths[0], err) ||
            !keep_path(service, &item->clean, &paths[1], err))
            goto out;
        for (uint32_t page = 0; page < item->noisy.info.pages; page++, sample++) {
            fill_page(&sources.rows[sample], &sources.texts[sample], item, page);
            sources.rows[sample].noisy_path = paths[0];
            sources.rows[sample].clean_path = paths[1];
        }
    }
    done = den_dataset_open(images->kind, sources.rows, images->samples,
                            &service->config.image_limits,
                            limit > 0 ? limit : (size_t)INT64_MAX, ret, err);
out:
    release_sources(&sources, images->count);
    return done;
}
