/* Images, data sets and models as files and rows together. */

#include "service_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "str.h"

void den_service_drop_blob(struct den_service *service, const char *sha256)
{
    struct den_err err = DEN_ERR_INIT;
    bool used = true;
    if (sha256[0] == '\0' ||
        !service->kind->blob_used(service->store, sha256, &used, &err) || used)
        return; /* what stays here by a failure goes with the sweep of the next start */
    if (!den_blobs_remove(service->blobs, sha256, &err))
        den_log(DEN_WARN, "blob_not_removed", " sha256=%s code=%s", sha256,
                den_code_name(err.code));
}

/* ---- the sweep at start ---- */

struct sweep {
    struct den_service *service;
    size_t removed;
};

static bool sweep_blob(void *context, const char *sha256, struct den_err *err)
{
    struct sweep *sweep = context;
    bool used = true;
    if (!sweep->service->kind->blob_used(sweep->service->store, sha256, &used, err))
        return false;
    if (used)
        return true;
    sweep->removed++;
    return den_blobs_remove(sweep->service->blobs, sha256, err);
}

bool den_service_sweep(struct den_service *s, struct den_err *err)
{
    /* Blobs without a row: a process died between the two. */
    struct sweep sweep = {.service = s};
    if (!den_blobs_each(s->blobs, sweep_blob, &sweep, err))
        return false;
    if (sweep.removed > 0)
        den_log(DEN_INFO, "blobs_swept", " removed=%zu", sweep.removed);
    return den_service_sweep_work(s, err);
}

/* ---- images ---- */

bool den_service_check_name(const char *name, const char *what, struct den_err *err)
{
    if (name[0] != '\0' && strlen(name) < DEN_NAME_SIZE && den_utf8_printable(name))
        return true;
    return den_err_field(err, DEN_E_INVALID, "/name",
                         "the name of %s must be 1 to %d bytes of text without control "
                         "characters",
                         what, DEN_NAME_SIZE - 1);
}

/* Blob first, row second: a crash in between leaves a file without a row, which the sweep
 * removes, and never a row without its file. */
static bool store_image(struct den_service *s, const char *owner, const char *temporary,
                        const char *sha256, struct den_image_row *row,
                        struct den_image_row *ret, bool *ret_new, struct den_err *err)
{
    pthread_mutex_lock(&s->blob_lock);
    bool done =
        den_blobs_take(s->blobs, temporary, sha256, row->sha256, &row->bytes, err);
    if (done && !s->kind->image_add(s->store, owner, row, ret, ret_new, err)) {
        den_service_drop_blob(s, row->sha256);
        done = false;
    }
    DEN_FAILPOINT("image_added");
    pthread_mutex_unlock(&s->blob_lock);
    return done;
}

bool den_service_add_image(struct den_service *service, const char *owner,
                           const char *temporary, const char *name, const char *sha256,
                           struct den_image_row *ret, bool *ret_new, struct den_err *err)
{
    struct den_image_row row = {.created_ms = den_wall_ms()};
    if (!den_service_check_name(name, "an image", err) ||
        !den_image_verify(temporary, &service->config.image_limits, &row.info, err)) {
        unlink(temporary);
        return false;
    }
    den_id_new("img_", row.id);
    den_str_copy(row.name, sizeof row.name, name);
    if (!store_image(service, owner, temporary, sha256, &row, ret, ret_new, err))
        return false;
    if (*ret_new)
        atomic_fetch_add(&service->images_added, 1);
    return true;
}

bool den_service_delete_image(struct den_service *service, const char *owner,
                              const char *id, struct den_err *err)
{
    struct den_image_row row;
    pthread_mutex_lock(&service->blob_lock);
    bool done = service->kind->image_get(service->store, owner, id, &row, err) &&
                service->kind->image_delete(service->store, owner, id, err);
    if (done)
        den_service_drop_blob(service, row.sha256);
    pthread_mutex_unlock(&service->blob_lock);
    return done;
}

/* ---- data sets ---- */

enum { ITEMS_MAX = 100000 };

/* An item with what is known of its images.  Looked up once: the checks, the counts and
 * the scenes all need them. */
struct member {
    struct den_image_row noisy, clean;
};

static bool get_image(struct den_service *s, const char *owner, const char *id,
                      const char *field, struct den_image_row *ret, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    if (s->kind->image_get(s->store, owner, id, ret, &inner))
        return true;
    return den_err_field(err, inner.code, field, "%s", inner.text);
}

static bool same_size(const struct den_image_row *a, const struct den_image_row *b)
{
    return a->info.width == b->info.width && a->info.height == b->info.height;
}

/* A sample of a training is one plane of light. */
static bool check_gray(const struct den_image_row *image, const char *field,
                       struct den_err *err)
{
    if (image->info.channels == 1)
        return true;
    return den_err_field(err, DEN_E_UNPROCESSABLE, field,
                         "this image has %u samples a pixel%s; only images with 1 can be "
                         "part of a data set",
                         image->info.channels,
                         image->info.alpha ? ", one of them opacity" : "");
}

static bool check_pair(struct den_service *s, const char *owner,
                       const struct den_dataset_item *item, size_t index,
                       struct member *ret, struct den_err *err)
{
    char noisy[48], clean[48];
    den_str_format(noisy, sizeof noisy, "/pairs/%zu/noisy", index);
    den_str_format(clean, sizeof clean, "/pairs/%zu/clean", index);
    if (!get_image(s, owner, item->noisy, noisy, &ret->noisy, err) ||
        !get_image(s, owner, item->clean, clean, &ret->clean, err) ||
        !check_gray(&ret->noisy, noisy, err) || !check_gray(&ret->clean, clean, err))
        return false;
    const struct den_image_info *n = &ret->noisy.info, *c = &ret->clean.info;
    if (strcmp(item->noisy, item->clean) == 0)
        return den_err_field(err, DEN_E_UNPROCESSABLE, clean,
                             "the clean image is the noisy image itself");
    if (!same_size(&ret->noisy, &ret->clean))
        return den_err_field(err, DEN_E_UNPROCESSABLE, clean,
                             "the noisy image has %u x %u pixels and the clean one %u x "
                             "%u",
                             n->width, n->height, c->width, c->height);
    if (c->pages != 1 && c->pages != n->pages)
        return den_err_field(err, DEN_E_UNPROCESSABLE, clean,
                             "the noisy image has %u pages and the clean one %u; it must "
                             "have 1 or as many",
                             n->pages, c->pages);
    return true;
}

static bool check_repeat(struct den_service *s, const char *owner,
                         const struct den_dataset_item *items, size_t index,
                         const struct member *first, struct member *ret,
                         struct den_err *err)
{
    char field[48];
    den_str_format(field, sizeof field, "/images/%zu", index);
    if (!get_image(s, owner, items[index].noisy, field, &ret->noisy, err) ||
        !check_gray(&ret->noisy, field, err))
        return false;
    if (index > 0 && !same_size(&first->noisy, &ret->noisy))
        return den_err_field(err, DEN_E_UNPROCESSABLE, field,
                             "this image has %u x %u pixels and the first one %u x %u; "
                             "repeats show one scene",
                             ret->noisy.info.width, ret->noisy.info.height,
                             first->noisy.info.width, first->noisy.info.height);
    return true;
}

static int compare_text(const void *a, const void *b)
{
    const char *const *p = a, *const *q = b;
    return strcmp(*p, *q);
}

/* The same noisy image twice would sit on both sides of a split. */
static bool check_distinct(const struct den_dataset_item *items, size_t count,
                           const char *field, struct den_err *err)
{
    const char **ids = den_new(count, sizeof *ids, err);
    if (ids == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        ids[i] = items[i].noisy;
    qsort(ids, count, sizeof *ids, compare_text);
    bool done = true;
    for (size_t i = 1; done && i < count; i++)
        if (strcmp(ids[i - 1], ids[i]) == 0)
            done = den_err_field(err, DEN_E_UNPROCESSABLE, field,
                                 "the noisy image '%s' is listed more than once", ids[i]);
    den_free(ids);
    return done;
}

/* Scenes of pairs: pages of distinct clean images. */
static bool count_scenes(const struct member *members, size_t count, uint64_t *ret,
                         struct den_err *err)
{
    const char **ids = den_new(count, sizeof *ids, err);
    if (ids == NULL)
        return false;
    /* Each id is the first field of its row, so the row is at hand after the sort. */
    for (size_t i = 0; i < count; i++)
        ids[i] = members[i].clean.id;
    qsort(ids, count, sizeof *ids, compare_text);
    uint64_t scenes = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(ids[i - 1], ids[i]) != 0)
            scenes += ((const struct den_image_row *)(const void *)ids[i])->info.pages;
    den_free(ids);
    *ret = scenes;
    return true;
}

static bool check_members(struct den_service *s, const char *owner, bool pairs,
                          const struct den_dataset_item *items, size_t count,
                          struct den_dataset_row *row, struct den_err *err)
{
    bool done = false;
    struct member *members = den_new(count, sizeof *members, err);
    if (members == NULL)
        return false;
    row->samples = 0;
    row->scenes = 1;
    for (size_t i = 0; i < count; i++) {
        if (!(pairs ? check_pair(s, owner, &items[i], i, &members[i], err)
                    : check_repeat(s, owner, items, i, &members[0], &members[i], err)))
            goto out;
        row->samples += members[i].noisy.info.pages;
    }
    if (!check_distinct(items, count, pairs ? "/pairs" : "/images", err) ||
        (pairs && !count_scenes(members, count, &row->scenes, err)))
        goto out;
    if (!pairs && row->samples < 2) {
        den_err_field(err, DEN_E_UNPROCESSABLE, "/images",
                      "repeats need at least 2 frames, files or pages, of the scene");
        goto out;
    }
    done = true;
out:
    den_free(members);
    return done;
}

bool den_service_add_dataset(struct den_service *service, const char *owner,
                             const char *name, const char *kind,
                             const struct den_dataset_item *items, size_t count,
                             struct den_dataset_row *ret, struct den_err *err)
{
    struct den_dataset_row row = {.created_ms = den_wall_ms()};
    bool pairs = strcmp(kind, "pairs") == 0;
    if (!den_service_check_name(name, "a data set", err))
        return false;
    if (!pairs && strcmp(kind, "repeats") != 0)
        return den_err_field(err, DEN_E_INVALID, "/kind",
                             "the kind of a data set is pairs or repeats");
    if (count == 0 || count > ITEMS_MAX)
        return den_err_field(err, DEN_E_INVALID, pairs ? "/pairs" : "/images",
                             "a data set has 1 to %d entries, not %zu", (int)ITEMS_MAX,
                             count);
    if (!check_members(service, owner, pairs, items, count, &row, err))
        return false;
    den_id_new("set_", row.id);
    den_str_copy(row.owner, sizeof row.owner, owner);
    den_str_copy(row.name, sizeof row.name, name);
    den_str_copy(row.kind, sizeof row.kind, kind);
    if (!service->kind->dataset_add(service->store, owner, &row, items, count, err))
        return false;
    *ret = row;
    return true;
}

/* ---- models ---- */

/* Hashes of a version, or of all (version 0). */
static bool model_blobs(struct den_service *s, const char *owner, const char *name,
                        int64_t version, char (**ret)[DEN_SHA256_SIZE], size_t *ret_count,
                        struct den_err *err)
{
    enum { PAGE = 16 };
    struct den_model_row *rows = den_new(PAGE, sizeof *rows, err);
    char(*hashes)[DEN_SHA256_SIZE] = NULL;
    size_t count = 0, got = PAGE;
    char after[24] = "";
    bool done = rows != NULL;
    while (done && got == PAGE) {
        done = s->kind->model_list(s->store, owner, name, after, PAGE, rows, &got, err);
        if (!done || got == 0)
            break;
        void *grown = den_realloc(hashes, count + got, sizeof *hashes);
        if (grown == NULL) {
            done = den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
            break;
        }
        hashes = grown;
        for (size_t i = 0; i < got; i++)
            if (version == 0 || rows[i].version == version)
                memcpy(hashes[count++], rows[i].sha256, sizeof *hashes);
        den_str_format(after, sizeof after, "%lld", (long long)rows[got - 1].version);
    }
    den_free(rows);
    if (!done) {
        den_free(hashes);
        return false;
    }
    *ret = hashes;
    *ret_count = count;
    return true;
}

bool den_service_delete_model(struct den_service *service, const char *owner,
                              const char *name, int64_t version, struct den_err *err)
{
    char(*hashes)[DEN_SHA256_SIZE] = NULL;
    size_t count = 0;
    pthread_mutex_lock(&service->blob_lock);
    bool done = model_blobs(service, owner, name, version, &hashes, &count, err) &&
                service->kind->model_delete(service->store, owner, name, version, err);
    for (size_t i = 0; done && i < count; i++)
        den_service_drop_blob(service, hashes[i]);
    pthread_mutex_unlock(&service->blob_lock);
    den_free(hashes);
    return done;
}
