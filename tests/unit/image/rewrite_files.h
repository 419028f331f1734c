#ifndef REWRITE_FILES_H
#define REWRITE_FILES_H

/* Rewriting with made pixels, and looking at what came out. */

#include <math.h>

#include "image_files.h"
#include "rewrite.h"
#include "verify.h"

enum change { FLIP, NOISE, NOTHING, CHANGES };

static const char *const change_names[] = {"lowest bit flipped", "noise", "no change"};

static inline void change_integers(const struct den_image_info *info, enum change change,
                                   unsigned char *values, size_t n, struct den_rng *rng)
{
    size_t each = den_dtype_bytes(info->dtype);
    uint64_t top = (UINT64_C(1) << info->bits) - 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t value = 0; /* the machine is little endian, as all that is tested on */
        memcpy(&value, values + i * each, each);
        value = change == FLIP ? value ^ 1 : den_rng_below(rng, top) + (top == 1);
        memcpy(values + i * each, &value, each);
    }
}

static inline void change_floats(const struct den_image_info *info, enum change change,
                                 unsigned char *values, size_t n, struct den_rng *rng)
{
    size_t each = den_dtype_bytes(info->dtype);
    for (size_t i = 0; i < n; i++) {
        double wide = 1e3 * den_rng_normal(rng);
        float narrow = (float)wide;
        uint16_t half = (uint16_t)den_rng_below(rng, 0x7c00);
        const void *from = each == 8   ? (const void *)&wide
                           : each == 4 ? (const void *)&narrow
                                       : (const void *)&half;
        if (change == NOISE)
            memcpy(values + i * each, from, each);
        else
            values[i * each] ^= 1;
    }
}

/* Other values of the same type, the same ones for the same page; opacity, which is no
 * light, stays. */
static inline void change_page(const struct den_image_info *info, uint32_t page,
                               enum change change, void *pixels)
{
    struct den_rng rng;
    size_t n = (size_t)info->width * info->height * (info->channels - info->alpha);
    den_rng_seed(&rng, 11, DEN_STREAM_SYNTH, page);
    if (change == NOTHING)
        return;
    if (den_dtype_is_float(info->dtype))
        change_floats(info, change, pixels, n, &rng);
    else
        change_integers(info, change, pixels, n, &rng);
}

/* Every page, the last one first. */
static inline bool rewrite_file(const char *source, const char *copy, enum change change,
                                struct den_err *err)
{
    struct den_reader *reader = NULL;
    struct den_rewriter *rewriter = NULL;
    if (!den_reader_open(source, NULL, &reader, err))
        return false;
    bool done = den_rewriter_open(source, copy, NULL, "denoised test", &rewriter, err);
    const struct den_image_info *info = den_reader_info(reader);
    void *pixels = den_new(1, den_image_page_bytes(info), err);
    done = done && pixels != NULL;
    for (uint32_t i = info->pages; done && change != NOTHING && i-- > 0;) {
        done = den_reader_page(reader, i, pixels, err);
        if (done)
            change_page(info, i, change, pixels);
        done = done && den_rewriter_page(rewriter, i, pixels, err);
    }
    if (done)
        done = den_rewriter_finish(rewriter, err);
    else
        den_rewriter_abandon(rewriter);
    den_free(pixels);
    den_reader_close(reader);
    return done;
}

/* The copy has the changed pixels of the source, page by page. */
static inline void check_changed(const char *source, const char *copy, enum change change)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *from = NULL, *to = NULL;
    must(den_reader_open(source, NULL, &from, &err));
    must(den_reader_open(copy, NULL, &to, &err));
    const struct den_image_info *info = den_reader_info(from);
    ck_assert_mem_eq(info, den_reader_info(to), sizeof *info);
    size_t bytes = den_image_page_bytes(info);
    unsigned char *want = den_calloc(1, bytes), *got = den_calloc(1, bytes);
    for (uint32_t i = 0; i < info->pages; i++) {
        must(den_reader_page(from, i, want, &err));
        must(den_reader_page(to, i, got, &err));
        change_page(info, i, change, want);
        ck_assert_msg(memcmp(want, got, bytes) == 0, "%s, %s: page %u differs", source,
                      change_names[change], i);
    }
    den_free(want);
    den_free(got);
    den_reader_close(from);
    den_reader_close(to);
}

/* Nothing but pixels differs, by a comparison that shares no code with the rewriter. */
static inline void check_verdict(const char *source, const char *copy, enum change change)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_verdict verdict;
    must(den_verify(source, copy, NULL, &verdict, &err));
    ck_assert_msg(verdict.differences == 0, "%s, %s: %s: %s: %s", source,
                  change_names[change], verdict.list[0].where, verdict.list[0].what,
                  verdict.list[0].how);
    ck_assert_uint_eq(verdict.pages_changed, change == NOTHING ? 0 : verdict.info.pages);
    ck_assert_str_eq(verdict.provenance, "denoised test");
}

static inline void rewrite_and_check(const char *source, enum change change)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert_msg(rewrite_file(source, scratch("copy"), change, &err), "%s, %s: %s",
                  source, change_names[change], err.text);
    check_changed(source, scratch("copy"), change);
    check_verdict(source, scratch("copy"), change);
}

#endif
