#include "verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert.h"
#include "format.h"
#include "fs.h"
#include "mem.h"
#include "str.h"
#include "verify_walk.h"

/* ---- the list --------------------------------------------------------------------- */

void den_walk_differs(struct den_walk *walk, const char *where, const char *what,
                      const char *how, ...)
{
    struct den_verdict *v = walk->verdict;
    v->differences++;
    if (v->kept == DEN_DIFFERENCES_KEPT)
        return;
    struct den_difference *d = &v->list[v->kept++];
    va_list args;
    (void)den_str_copy(d->where, sizeof d->where, where);
    (void)den_str_copy(d->what, sizeof d->what, what);
    va_start(args, how);
    (void)vsnprintf(d->how, sizeof d->how, how, args);
    va_end(args);
}

bool den_walk_bytes(struct den_walk *walk, const char *where, const char *what,
                    const unsigned char *source, const unsigned char *copy, uint64_t n)
{
    uint64_t differing = 0, first = n;
    if (n == 0 || memcmp(source, copy, (size_t)n) == 0)
        return true;
    for (uint64_t i = n; i-- > 0;) {
        if (source[i] == copy[i])
            continue;
        differing++;
        first = i;
    }
    den_walk_differs(walk, where, what,
                     "%" PRIu64 " of %" PRIu64
                     " bytes changed, the first is byte %" PRIu64 ": %u became %u",
                     differing, n, first, source[first], copy[first]);
    return false;
}

void den_walk_provenance(struct den_walk *walk, const char *where,
                         const unsigned char *text, uint64_t length)
{
    struct den_verdict *v = walk->verdict;
    size_t room = sizeof v->provenance - 1;
    if (length > room)
        den_walk_differs(walk, where, "provenance",
                         "it has %" PRIu64 " bytes; at most %zu are allowed", length,
                         room);
    size_t kept = length < room ? (size_t)length : room;
    memcpy(v->provenance, text, kept);
    v->provenance[kept] = '\0';
    if (strlen(v->provenance) != kept || kept == 0 ||
        !den_utf8_printable(v->provenance)) {
        v->provenance[0] = '\0';
        den_walk_differs(walk, where, "provenance",
                         "it is not one line of printable UTF-8");
    }
}

/* ---- pixels ----------------------------------------------------------------------- */

struct pages { /* one page of each file */
    struct den_reader *source, *copy;
    unsigned char *before, *after;
};

static double value_at(enum den_dtype dtype, const unsigned char *page, size_t i)
{
    const unsigned char *at = page + i * den_dtype_bytes(dtype);
    float half;
    switch (dtype) {
    case DEN_U8:
        return *at;
    case DEN_I8:
        return (double)*(const int8_t *)at;
    case DEN_U16:
        return (double)*(const uint16_t *)(const void *)at;
    case DEN_I16:
        return (double)*(const int16_t *)(const void *)at;
    case DEN_U32:
        return (double)*(const uint32_t *)(const void *)at;
    case DEN_I32:
        return (double)*(const int32_t *)(const void *)at;
    case DEN_F32:
        return (double)*(const float *)(const void *)at;
    case DEN_F64:
        return *(const double *)(const void *)at;
    default:
        den_to_float(dtype, at, &half, 1);
        return (double)half;
    }
}

/* Values are compared as bytes: a NaN that stayed is unchanged. */
static void compare_page(struct den_walk *walk, const struct pages *pages, uint32_t page)
{
    struct den_verdict *v = walk->verdict;
    enum den_dtype dtype = v->info.dtype;
    size_t bytes = den_dtype_bytes(dtype);
    size_t plane = (size_t)v->info.width * v->info.height;
    uint64_t changed = 0, lost = 0, alpha = 0;
    for (size_t i = 0; i < plane * v->info.channels; i++) {
        if (memcmp(pages->before + i * bytes, pages->after + i * bytes, bytes) == 0)
            continue;
        double before = value_at(dtype, pages->before, i);
        double after = value_at(dtype, pages->after, i);
        double change = fabs(after - before);
        changed++;
        lost += isfinite(before) && !isfinite(after);
        alpha += v->info.alpha && i / plane == v->info.channels - 1;
        if (isfinite(change) && change > v->largest_change)
            v->largest_change = change;
    }
    char where[32];
    (void)den_str_format(where, sizeof where, "page %" PRIu32, page);
    v->values_changed += changed;
    v->pages_changed += changed > 0;
    if (lost > 0)
        den_walk_differs(walk, where, "pixels",
                         "%" PRIu64 " numbers became NaN or infinite", lost);
    if (alpha > 0)
        den_walk_differs(walk, where, "alpha",
                         "the opacity of %" PRIu64 " pixels changed", alpha);
}

static bool copy_is_damaged(struct den_walk *walk, const struct den_err *cause,
                            struct den_err *err)
{
    bool content = cause->code == DEN_E_UNPROCESSABLE ||
                   cause->code == DEN_E_UNSUPPORTED || cause->code == DEN_E_TOO_LARGE;
    if (!content)
        return den_err_set(err, cause->code, "%s", cause->text);
    den_walk_differs(walk, "file", "pixels", "the copy cannot be decoded: %s",
                     cause->text);
    return true;
}

static bool compare_pages(struct den_walk *walk, const struct pages *pages,
                          struct den_err *err)
{
    const struct den_image_info *info = &walk->verdict->info;
    uint64_t values = (uint64_t)info->width * info->height * info->channels;
    size_t bytes = den_image_page_bytes(info);
    for (uint32_t page = 0; page < info->pages; page++) {
        struct den_err cause = DEN_ERR_INIT;
        if (!den_reader_page(pages->source, page, pages->before, err))
            return false;
        if (!den_reader_page(pages->copy, page, pages->after, &cause))
            return copy_is_damaged(walk, &cause, err);
        walk->verdict->values += values;
        if (memcmp(pages->before, pages->after, bytes) != 0)
            compare_page(walk, pages, page);
    }
    return true;
}

/* ---- what a decoder says of the file ----------------------------------------------- */

static bool same_number(struct den_walk *walk, const char *what, uint32_t source,
                        uint32_t copy)
{
    if (source != copy)
        den_walk_differs(walk, "file", what, "%" PRIu32 " became %" PRIu32, source, copy);
    return source == copy;
}

static bool same_text(struct den_walk *walk, const char *what, const char *source,
                      const char *copy)
{
    bool same = strcmp(source, copy) == 0;
    if (!same)
        den_walk_differs(walk, "file", what, "%s became %s", source, copy);
    return same;
}

/* False: pages cannot be compared pixel by pixel. */
static bool compare_info(struct den_walk *walk, const struct den_image_info *a,
                         const struct den_image_info *b)
{
    bool same = same_text(walk, "format", a->format, b->format);
    same &=
        same_text(walk, "pixel type", den_dtype_name(a->dtype), den_dtype_name(b->dtype));
    same &= same_number(walk, "width", a->width, b->width);
    same &= same_number(walk, "height", a->height, b->height);
    same &= same_number(walk, "pages", a->pages, b->pages);
    same &= same_number(walk, "channels", a->channels, b->channels);
    same &= same_number(walk, "bits", a->bits, b->bits);
    same &= same_number(walk, "alpha channel", a->alpha, b->alpha);
    return same;
}

static bool compare_pixels(struct den_walk *walk, struct den_reader *source,
                           const char *path, struct den_err *err)
{
    struct pages pages = {.source = source};
    struct den_err cause = DEN_ERR_INIT;
    const struct den_image_info *info = &walk->verdict->info;
    size_t bytes = den_image_page_bytes(info);
    bool done = false;
    if (!den_reader_open(path, walk->limits, &pages.copy, &cause))
        return copy_is_damaged(walk, &cause, err);
    if (!compare_info(walk, info, den_reader_info(pages.copy))) {
        done = true;
        goto out;
    }
    pages.before = den_calloc64(bytes, 1);
    pages.after = den_calloc64(bytes, 1);
    if (pages.before == NULL || pages.after == NULL) {
        den_err_set(err, DEN_E_NO_MEMORY, "no memory is left for two pages of %zu bytes",
                    bytes);
        goto out;
    }
    done = compare_pages(walk, &pages, err);
out:
    den_free(pages.before);
    den_free(pages.after);
    den_reader_close(pages.copy);
    return done;
}

static bool map(const char *path, struct den_bytes *ret, struct den_err *err)
{
    char *data = NULL;
    if (!den_fs_map(path, SIZE_MAX, &data, &ret->length, err))
        return false;
    ret->data = (const unsigned char *)data;
    return true;
}

static void unmap(const struct den_bytes *bytes)
{
    den_fs_unmap((char *)(uintptr_t)bytes->data, bytes->length);
}

static bool compare_files(struct den_walk *walk, struct den_err *err)
{
    const char *format = walk->verdict->info.format;
    if (walk->copy.length == 0) {
        den_walk_differs(walk, "file", "size", "the copy is empty");
        return true;
    }
    if (strcmp(format, "tiff") == 0)
        return den_walk_tiff(walk, err);
    if (strcmp(format, "png") == 0)
        return den_walk_png(walk, err);
    return den_err_set(err, DEN_E_UNSUPPORTED, "files of format %s cannot be compared",
                       format);
}

bool den_verify(const char *source, const char *copy,
                const struct den_image_limits *limits, struct den_verdict *ret,
                struct den_err *err)
{
    struct den_image_limits full = den_format_limits(limits);
    struct den_walk walk = {.limits = &full};
    struct den_reader *reader = NULL;
    struct den_verdict *verdict = den_new(1, sizeof *verdict, err);
    bool done = false;
    if (verdict == NULL || !den_reader_open(source, &full, &reader, err) ||
        !map(source, &walk.source, err) || !map(copy, &walk.copy, err))
        goto out;
    walk.verdict = verdict;
    verdict->info = *den_reader_info(reader);
    if (!compare_files(&walk, err) || !compare_pixels(&walk, reader, copy, err))
        goto out;
    *ret = *verdict;
    done = true;
out:
    unmap(&walk.copy);
    unmap(&walk.source);
    den_reader_close(reader);
    den_free(verdict);
    return done;
}
