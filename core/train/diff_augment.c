#include "diff_augment.h"

#include <string.h>

#include "rng.h"

static const struct den_diff_augment translation = {
    .name = "translation", .doc = "shifts", .translation = true};
static const struct den_diff_augment cutout = {
    .name = "cutout", .doc = "squares cut out", .cutout = true};
static const struct den_diff_augment both = {.name = "translation-cutout",
                                             .doc = "shifts and squares cut out",
                                             .translation = true,
                                             .cutout = true};

const struct den_diff_augment *const den_diff_augments[] = {&translation, &cutout, &both,
                                                            NULL};

const struct den_diff_augment *den_diff_augment_find(const char *name)
{
    for (size_t i = 0; den_diff_augments[i] != NULL; i++)
        if (strcmp(den_diff_augments[i]->name, name) == 0)
            return den_diff_augments[i];
    return NULL;
}

/* From -most to most. */
static int64_t shift(struct den_rng *rng, size_t most)
{
    return (int64_t)den_rng_below(rng, 2 * most + 1) - (int64_t)most;
}

/* `length` pixels around a place that may be any of the image; what sticks out is lost.
 */
static void cut(struct den_rng *rng, size_t side, size_t *from, size_t *to)
{
    size_t length = (side + 1) / 2;
    size_t middle = (size_t)den_rng_below(rng, side + 1 - length % 2);
    *from = middle > length / 2 ? middle - length / 2 : 0;
    *to = middle + length - length / 2;
    *to = *to < side ? *to : side;
}

struct den_diff_draw den_diff_augment_draw(const struct den_diff_augment *policy,
                                           uint64_t seed, uint64_t index, size_t side)
{
    struct den_rng rng;
    struct den_diff_draw draw = {0};
    den_rng_seed(&rng, seed, DEN_STREAM_DIFF_AUGMENT, index);
    if (policy->translation) {
        draw.dy = shift(&rng, (side + 4) / 8);
        draw.dx = shift(&rng, (side + 4) / 8);
    }
    if (policy->cutout) {
        cut(&rng, side, &draw.top, &draw.bottom);
        cut(&rng, side, &draw.left, &draw.right);
    }
    return draw;
}

static bool is_cut(const struct den_diff_draw *draw, size_t y, size_t x)
{
    return y >= draw->top && y < draw->bottom && x >= draw->left && x < draw->right;
}

/* The pixel of the input that result (y, x) is, or NULL where it is 0. */
static const float *source(const struct den_diff_draw *draw, size_t side,
                           const float *from, size_t y, size_t x)
{
    int64_t sy = (int64_t)y + draw->dy, sx = (int64_t)x + draw->dx, n = (int64_t)side;
    if (sy < 0 || sy >= n || sx < 0 || sx >= n || is_cut(draw, y, x))
        return NULL;
    return from + (sy * n + sx) * 2;
}

void den_diff_augment_apply(const struct den_diff_draw *draw, size_t side,
                            const float *from, float *to)
{
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++, to += 2) {
            const float *pixel = source(draw, side, from, y, x);
            to[0] = pixel != NULL ? pixel[0] : 0;
            to[1] = pixel != NULL ? pixel[1] : 0;
        }
}

void den_diff_augment_adjoint(const struct den_diff_draw *draw, size_t side,
                              const float *dto, float *dfrom)
{
    memset(dfrom, 0, side * side * 2 * sizeof *dfrom);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++, dto += 2) {
            const float *pixel = source(draw, side, dfrom, y, x);
            if (pixel != NULL) /* no two results share a source */
                memcpy(dfrom + (pixel - dfrom), dto, 2 * sizeof *dto);
        }
}
