#include "convert.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "mem.h"

void den_to_float(enum den_dtype dtype, const void *from, float *to, size_t n)
{
    const uint8_t *u8 = from;
    const uint16_t *u16 = from;
    if (dtype == DEN_U8)
        for (size_t i = 0; i < n; i++)
            to[i] = (float)u8[i];
    else if (dtype == DEN_U16)
        for (size_t i = 0; i < n; i++)
            to[i] = (float)u16[i];
    else
        memcpy(to, from, n * sizeof *to);
}

/* 0..maximum; the comparisons are written so that NaN becomes 0. */
static inline float clip(float value, float maximum)
{
    float low = value > 0.0f ? value : 0.0f;
    return low < maximum ? low : maximum;
}

/* Nearest integer of a value that is not negative, halves up.  Twice the fraction is
 * added and not 0.5 before the cut, because 0.49999997f + 0.5f is 1.0f. */
static inline int32_t round_up(float value)
{
    int32_t whole = (int32_t)value;
    return whole + (int32_t)(2.0f * (value - (float)whole));
}

enum { BLOCK = 1024 }; /* pixels; small enough for a stack and the nearest cache */

/* Rounds and clips a block into whole[n]; counts what was clipped.  Two loops, because in
 * one the compiler makes branches of the clipping, and no vectors. */
static uint32_t round_block(const float *restrict from, float maximum,
                            int32_t *restrict whole, size_t n)
{
    float inside[BLOCK];
    uint32_t clipped = 0;
    for (size_t i = 0; i < n; i++) {
        inside[i] = clip(from[i], maximum);
        clipped += !((from[i] >= -0.5f) & (from[i] < maximum + 0.5f));
    }
    for (size_t i = 0; i < n; i++)
        whole[i] = round_up(inside[i]);
    return clipped;
}

uint64_t den_from_float(enum den_dtype dtype, const float *from, void *to, size_t n)
{
    uint64_t clipped = 0;
    uint8_t *u8 = to;
    uint16_t *u16 = to;
    int32_t whole[BLOCK];
    if (dtype == DEN_F32) {
        memcpy(to, from, n * sizeof *from);
        return 0;
    }
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        clipped +=
            round_block(from + at, dtype == DEN_U8 ? 255.0f : 65535.0f, whole, count);
        for (size_t i = 0; dtype == DEN_U8 && i < count; i++)
            u8[at + i] = (uint8_t)whole[i];
        for (size_t i = 0; dtype == DEN_U16 && i < count; i++)
            u16[at + i] = (uint16_t)whole[i];
    }
    return clipped;
}

static bool block_is_finite(const float *pixels, size_t n)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) /* no early exit: this loop runs in vectors */
        bad |= !(fabsf(pixels[i]) <= 3.402823466e38f);
    return bad == 0;
}

size_t den_find_nonfinite(const float *pixels, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t end = n - at < BLOCK ? n : at + BLOCK;
        if (block_is_finite(pixels + at, end - at))
            continue;
        for (size_t i = at; i < end; i++)
            if (!isfinite(pixels[i]))
                return i;
    }
    return n;
}

/* Floats as integers of the same order: negative numbers have all bits flipped, others
 * only the sign. */
static uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static double value_of(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Radix sort by 11, 11 and 10 bits: keys end up sorted in `other`. */
static void sort_keys(uint32_t *keys, uint32_t *other, size_t n)
{
    for (unsigned shift = 0; shift < 33; shift += 11) {
        size_t start[2049] = {0};
        for (size_t i = 0; i < n; i++)
            start[((keys[i] >> shift) & 2047u) + 1]++;
        for (size_t b = 0; b < 2048; b++)
            start[b + 1] += start[b];
        for (size_t i = 0; i < n; i++)
            other[start[(keys[i] >> shift) & 2047u]++] = keys[i];
        uint32_t *swap = keys;
        keys = other;
        other = swap;
    }
}

bool den_quantiles(const float *pixels, size_t n, const double *q, size_t count,
                   double *ret, struct den_err *err)
{
    assert(n > 0);
    uint32_t *keys = den_new(n, 2 * sizeof *keys, err);
    if (keys == NULL)
        return false;
    uint32_t *sorted = keys + n;
    for (size_t i = 0; i < n; i++)
        keys[i] = key_of(pixels[i]);
    sort_keys(keys, sorted, n);
    for (size_t i = 0; i < count; i++) {
        double at = fmin(fmax(q[i], 0.0), 1.0) * (double)(n - 1);
        size_t below = (size_t)at;
        size_t above = below + 1 < n ? below + 1 : below;
        double low = value_of(sorted[below]), high = value_of(sorted[above]);
        ret[i] = low + (at - (double)below) * (high - low);
    }
    den_free(keys);
    return true;
}

bool den_preview(const float *pixels, size_t n, double low, double high,
                 unsigned char *ret, struct den_err *err)
{
    double q[2] = {low, high}, range[2];
    if (!den_quantiles(pixels, n, q, 2, range, err))
        return false;
    /* A flat image has no range: it is shown black. */
    double scale = range[1] > range[0] ? 255.0 / (range[1] - range[0]) : 0.0;
    for (size_t i = 0; i < n; i++) {
        double value = ((double)pixels[i] - range[0]) * scale;
        ret[i] = (unsigned char)round_up(clip((float)value, 255.0f));
    }
    return true;
}
