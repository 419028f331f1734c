#include "convert.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "mem.h"

/* ---- to float -------------------------------------------------------------------- */

/* IEEE 754 binary16: sign, 5 bits of exponent biased by 15, 10 of fraction. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u, bits;
    float value;
    if (exponent == 0) { /* zero and subnormal: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    bits =
        sign | (exponent == 31 ? 255u << 23 : (exponent + 112u) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define TO_FLOAT(name, type, convert)                       \
    static void name(const void *from, float *to, size_t n) \
    {                                                       \
        const type *pixels = from;                          \
        for (size_t i = 0; i < n; i++)                      \
            to[i] = convert(pixels[i]);                     \
    }
TO_FLOAT(u8_to_float, uint8_t, (float))
TO_FLOAT(i8_to_float, int8_t, (float))
TO_FLOAT(u16_to_float, uint16_t, (float))
TO_FLOAT(i16_to_float, int16_t, (float))
TO_FLOAT(u32_to_float, uint32_t, (float))
TO_FLOAT(i32_to_float, int32_t, (float))
TO_FLOAT(f16_to_float, uint16_t, half_to_float)
TO_FLOAT(f64_to_float, double, (float))

static void f32_to_float(const void *from, float *to, size_t n)
{
    memcpy(to, from, n * sizeof *to);
}

/* ---- from float ------------------------------------------------------------------ */

/* minimum..maximum; the comparisons are written so that NaN becomes the minimum. */
static inline float clip(float value, float minimum, float maximum)
{
    float low = value > minimum ? value : minimum;
    return low < maximum ? low : maximum;
}

/* Nearest integer, halves away from zero.  Twice the fraction is added and not 0.5 before
 * the cut, because 0.49999997f + 0.5f is 1.0f. */
static inline int32_t round_half(float value)
{
    int32_t whole = (int32_t)value;
    return whole + (int32_t)(2.0f * (value - (float)whole));
}

enum { BLOCK = 1024 }; /* pixels; small enough for a stack and the nearest cache */

/* Rounds and clips a block into whole[n]; counts what was clipped.  Two loops, because in
 * one the compiler makes branches of the clipping, and no vectors. */
static uint32_t round_block(const float *restrict from, float minimum, float maximum,
                            int32_t *restrict whole, size_t n)
{
    float inside[BLOCK];
    uint32_t clipped = 0;
    for (size_t i = 0; i < n; i++) {
        inside[i] = clip(from[i], minimum, maximum);
        clipped += !((from[i] >= minimum - 0.5f) & (from[i] < maximum + 0.5f));
    }
    for (size_t i = 0; i < n; i++)
        whole[i] = round_half(inside[i]);
    return clipped;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a type takes none. */
#define FROM_FLOAT(name, type, is_signed)                                            \
    static uint64_t name(const float *from, void *to, size_t n, uint32_t bits)       \
    {                                                                                \
        type *pixels = to;                                                           \
        int32_t whole[BLOCK];                                                        \
        uint64_t clipped = 0;                                                        \
        float top = (float)((1u << (bits - (is_signed))) - 1);                       \
        for (size_t at = 0; at < n; at += BLOCK) {                                   \
            size_t count = n - at < BLOCK ? n - at : BLOCK;                          \
            clipped += round_block(from + at, (is_signed) ? -top - 1.0f : 0.0f, top, \
                                   whole, count);                                    \
            for (size_t i = 0; i < count; i++)                                       \
                pixels[at + i] = (type)whole[i];                                     \
        }                                                                            \
        return clipped;                                                              \
    }
FROM_FLOAT(u8_from_float, uint8_t, 0)
FROM_FLOAT(i8_from_float, int8_t, 1)
FROM_FLOAT(u16_from_float, uint16_t, 0)
FROM_FLOAT(i16_from_float, int16_t, 1)

/* Floats have 24 bits, so the range is compared in double. */
#define FROM_FLOAT_WIDE(name, type, is_signed)                                 \
    static uint64_t name(const float *from, void *to, size_t n, uint32_t bits) \
    {                                                                          \
        type *pixels = to;                                                     \
        uint64_t clipped = 0;                                                  \
        double top = (double)((UINT64_C(1) << (bits - (is_signed))) - 1);      \
        double bottom = (is_signed) ? -top - 1.0 : 0.0;                        \
        for (size_t i = 0; i < n; i++) {                                       \
            double value = round((double)from[i]);                             \
            bool inside = value >= bottom && value <= top;                     \
            clipped += !inside;                                                \
            pixels[i] = (type)(inside ? value : value > top ? top : bottom);   \
        }                                                                      \
        return clipped;                                                        \
    }
FROM_FLOAT_WIDE(u32_from_float, uint32_t, 0)
FROM_FLOAT_WIDE(i32_from_float, int32_t, 1)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Nearest binary16, ties to even; |value| must be below 65520. */
static uint16_t float_to_half(float value)
{
    uint16_t sign = signbit(value) ? 0x8000u : 0;
    float size = fabsf(value);
    int exponent;
    if (size <
        0x1p-14f) /* subnormal: steps of 2^-24; 1024 of them are the first normal */
        return (uint16_t)(sign | (uint16_t)lrintf(size * 0x1p24f));
    (void)frexpf(size, &exponent); /* size = 2^(exponent - 1) * (1 + fraction) */
    long steps = lrintf(ldexpf(size, 11 - exponent)); /* 1024..2048 */
    return (uint16_t)(sign | (uint16_t)(((exponent + 13) << 10) + (steps - 1024)));
}

static uint64_t f16_from_float(const float *from, void *to, size_t n, uint32_t bits)
{
    (void)bits;
    uint16_t *pixels = to;
    uint64_t clipped = 0;
    for (size_t i = 0; i < n; i++) {
        bool inside = fabsf(from[i]) < 65520.0f;
        clipped += !inside;
        pixels[i] = inside ? float_to_half(from[i]) : from[i] < 0 ? 0xFBFFu : 0x7BFFu;
    }
    return clipped;
}

static uint64_t f32_from_float(const float *from, void *to, size_t n, uint32_t bits)
{
    (void)bits;
    memcpy(to, from, n * sizeof *from);
    return 0;
}

static uint64_t f64_from_float(const float *from, void *to, size_t n, uint32_t bits)
{
    (void)bits;
    double *pixels = to;
    for (size_t i = 0; i < n; i++)
        pixels[i] = (double)from[i];
    return 0;
}

/* ---- both, by type --------------------------------------------------------------- */

static const struct {
    void (*to_float)(const void *from, float *to, size_t n);
    uint64_t (*from_float)(const float *from, void *to, size_t n, uint32_t bits);
} types[] = {
    [DEN_U8] = {u8_to_float, u8_from_float},
    [DEN_I8] = {i8_to_float, i8_from_float},
    [DEN_U16] = {u16_to_float, u16_from_float},
    [DEN_I16] = {i16_to_float, i16_from_float},
    [DEN_U32] = {u32_to_float, u32_from_float},
    [DEN_I32] = {i32_to_float, i32_from_float},
    [DEN_F16] = {f16_to_float, f16_from_float},
    [DEN_F32] = {f32_to_float, f32_from_float},
    [DEN_F64] = {f64_to_float, f64_from_float},
};
_Static_assert(sizeof types / sizeof *types == DEN_DTYPES, "one row per pixel type");

void den_to_float(enum den_dtype dtype, const void *from, float *to, size_t n)
{
    types[dtype].to_float(from, to, n);
}

uint64_t den_from_float_bits(enum den_dtype dtype, uint32_t bits, const float *from,
                             void *to, size_t n)
{
    assert(bits >= 1 && bits <= 8 * den_dtype_bytes(dtype));
    return types[dtype].from_float(from, to, n, bits);
}

uint64_t den_from_float(enum den_dtype dtype, const float *from, void *to, size_t n)
{
    return den_from_float_bits(dtype, (uint32_t)den_dtype_bytes(dtype) * 8, from, to, n);
}

/* ---- finite ---------------------------------------------------------------------- */

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
        ret[i] = (unsigned char)round_half(clip((float)value, 0.0f, 255.0f));
    }
    return true;
}
