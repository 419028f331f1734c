#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

/* 2^64 / golden ratio: the step of splitmix64 [Steele, Lea and Flood, 2014]. */
static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

/* The output function of splitmix64 (Stafford's variant 13 of the murmur finaliser); a
 * bijection. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t den_hash64(uint64_t key, uint64_t index)
{
    /* The key is mixed first: raw keys that differ by a multiple of the step would give
     * shifted copies of one sequence. */
    return mix(mix(key + golden) + (index + 1) * golden);
}

void den_rng_seed(struct den_rng *rng, uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t key = den_hash64(den_hash64(seed, stream), index);
    /* Four outputs of a bijection at different points: at most one of them is 0, so the
     * forbidden all-zero state cannot come up. */
    for (uint64_t i = 0; i < 4; i++)
        rng->s[i] = mix(key + (i + 1) * golden);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t den_rng_u64(struct den_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double den_rng_unit(struct den_rng *rng)
{
    return (double)(den_rng_u64(rng) >> 11) * 0x1p-53;
}

uint64_t den_rng_below(struct den_rng *rng, uint64_t n)
{
    assert(n > 0);
    /* 2^64 mod n values too many at the low end: drawing again keeps all residues
     * equally likely. */
    uint64_t surplus = (0 - n) % n;
    uint64_t x;
    do
        x = den_rng_u64(rng);
    while (x < surplus);
    return x % n;
}

double den_rng_normal(struct den_rng *rng)
{
    const double two_pi = 6.283185307179586476925287;
    double u = 1 - den_rng_unit(rng); /* (0, 1], so that the logarithm is finite */
    double v = den_rng_unit(rng);
    return sqrt(-2 * log(u)) * cos(two_pi * v);
}

/* Inversion by sequential search: u walks down the probabilities p(k). */
static double poisson_small(struct den_rng *rng, double mean)
{
    double u = den_rng_unit(rng), p = exp(-mean), k = 0;
    /* Rounding may leave a rest of u that no p(k) covers; far out in the tail the search
     * therefore ends by itself. */
    while (u > p && (k < mean || p > 1e-17)) {
        u -= p;
        k += 1;
        p *= mean / k;
    }
    return k;
}

/* Algorithm PTRS, transformed rejection with squeeze, for mean >= 10 [W. Hormann, "The
 * transformed rejection method for generating Poisson random variables", 1993]. */
static double poisson_large(struct den_rng *rng, double mean)
{
    double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
    double log_mean = log(mean);
    for (;;) {
        double u = den_rng_unit(rng) - 0.5, v = den_rng_unit(rng);
        double us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= v_r)
            return k;
        if (k < 0 || (us < 0.013 && v > us))
            continue;
        int sign; /* lgamma would write the global signgam */
        if (log(v * inverse_alpha / (a / (us * us) + b)) <=
            k * log_mean - mean - lgamma_r(k + 1, &sign))
            return k;
    }
}

double den_rng_poisson(struct den_rng *rng, double mean)
{
    if (mean <= 0)
        return 0;
    /* From here on a double has no unit digit, and the spread is below 1e-7 of the mean;
     * infinities and NaN come back as they are. */
    if (!(mean < 0x1p53))
        return mean;
    return mean < 30 ? poisson_small(rng, mean) : poisson_large(rng, mean);
}

void den_rng_permutation(struct den_rng *rng, size_t n, size_t *order)
{
    /* "Inside-out" form: shuffles while it fills [Knuth, TAOCP 2, 3.4.2]. */
    for (size_t i = 0; i < n; i++) {
        size_t j = (size_t)den_rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

void den_random_bytes(void *to, size_t n)
{
    char *bytes = to;
    while (n > 0) {
        ssize_t got = getrandom(bytes, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* a guessable secret would be worse than no service */
        bytes += got;
        n -= (size_t)got;
    }
}
