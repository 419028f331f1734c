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

/* Nearest integer in 0..maximum, halves up.  The sum is in double because 0.49999997f +
 * 0.5f is 1.0f.  The comparison is written so that NaN becomes 0. */
static inline uint32_t round_clip(float value, double maximum)
{
    double up = (double)value + 0.5;
    double low = up > 0.0 ? up : 0.0;
    return (uint32_t)(low < maximum ? low : maximum);
}

static inline bool is_clipped(float value, double maximum)
{
    double up = (double)value + 0.5;
    return !(up >= 0.0 && up < maximum + 1.0);
}

uint64_t den_from_float(enum den_dtype dtype, const float *from, void *to, size_t n)
{
    uint64_t clipped = 0;
    uint8_t *u8 = to;
    uint16_t *u16 = to;
    if (dtype == DEN_U8)
        for (size_t i = 0; i < n; i++) {
            u8[i] = (uint8_t)round_clip(from[i], UINT8_MAX);
            clipped += is_clipped(from[i], UINT8_MAX);
        }
    else if (dtype == DEN_U16)
        for (size_t i = 0; i < n; i++) {
            u16[i] = (uint16_t)round_clip(from[i], UINT16_MAX);
            clipped += is_clipped(from[i], UINT16_MAX);
        }
    else
        memcpy(to, from, n * sizeof *from);
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
    enum { BLOCK = 1024 };
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
        ret[i] = (unsigned char)round_clip((float)value, UINT8_MAX);
    }
    return true;
}
