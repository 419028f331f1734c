#ifndef DEN_RNG_H
#define DEN_RNG_H

/* Random numbers that are a pure function of (seed, stream, index): the order of a
 * training run does not depend on threads or on where it was interrupted. Generator:
 * xoshiro256++ [Blackman and Vigna, 2021], its state filled by splitmix64.     */

#include <stddef.h>
#include <stdint.h>

struct den_rng {
    uint64_t s[4];
};

/* Streams keep uses apart, so that rows of an ablation share the data order. */
enum den_stream {
    DEN_STREAM_INIT = 1,
    DEN_STREAM_ORDER,
    DEN_STREAM_CROP,
    DEN_STREAM_AUGMENT,
    DEN_STREAM_DROPOUT,
    DEN_STREAM_SPLIT,
    DEN_STREAM_SYNTH,
    DEN_STREAM_VIEWS,
    DEN_STREAM_HEAD,
    DEN_STREAM_DIFF_AUGMENT,
    DEN_STREAM_TWIN,
};

void den_rng_seed(struct den_rng *rng, uint64_t seed, uint64_t stream, uint64_t index);
uint64_t den_rng_u64(struct den_rng *rng);
double den_rng_unit(struct den_rng *rng); /* uniform in [0, 1), 53 bits */
uint64_t den_rng_below(struct den_rng *rng,
                       uint64_t n);         /* uniform in [0, n), unbiased; n > 0 */
double den_rng_normal(struct den_rng *rng); /* N(0, 1), Box-Muller */
/* Poisson(mean), mean >= 0: inversion below 30, else PTRS [Hormann, 1993]. */
double den_rng_poisson(struct den_rng *rng, double mean);
/* Fisher-Yates shuffle of indices 0..n-1 written to order. */
void den_rng_permutation(struct den_rng *rng, size_t n, size_t *order);
/* A stateless hash of (key, index) with 64 good bits, for masks that are made twice. */
uint64_t den_hash64(uint64_t key, uint64_t index);

/* Bytes from the kernel, for identifiers and secrets. */
void den_random_bytes(void *to, size_t n);

#endif
