#include "contrast_view.h"

#include <math.h>
#include <string.h>

#define AREA_MIN 0.08
#define ASPECT_MAX (4.0 / 3)
#define BLUR_CHANCE 0.1
#define DRAWS 10 /* until a crop fits; then the whole image */

/* ---- drawing --------------------------------------------------------------------- */

/* A batch has n + 1 places: those of its images, and one for what they share. */
static struct den_rng generator(uint64_t seed, uint64_t batch, size_t n, size_t place)
{
    struct den_rng rng;
    den_rng_seed(&rng, seed, DEN_STREAM_VIEWS, batch * (n + 1) + place);
    return rng;
}

struct den_contrast_view den_contrast_view_crop(struct den_rng *rng, double area_min,
                                                size_t side)
{
    struct den_contrast_view view = {.flip = den_rng_below(rng, 2) == 1};
    view.w = view.h = side;
    for (size_t k = 0; k < DRAWS; k++) {
        double area = area_min + (1 - area_min) * den_rng_unit(rng);
        double aspect = exp((2 * den_rng_unit(rng) - 1) * log(ASPECT_MAX));
        double w = round((double)side * sqrt(area * aspect));
        double h = round((double)side * sqrt(area / aspect));
        if (w < 1 || h < 1 || w > (double)side || h > (double)side)
            continue;
        view.w = (size_t)w;
        view.h = (size_t)h;
        break;
    }
    view.x = (size_t)den_rng_below(rng, side - view.w + 1);
    view.y = (size_t)den_rng_below(rng, side - view.h + 1);
    return view;
}

struct den_contrast_view den_contrast_view_draw(uint64_t seed, uint64_t batch, size_t n,
                                                size_t i, size_t side)
{
    struct den_rng rng = generator(seed, batch, n, i);
    return den_contrast_view_crop(&rng, AREA_MIN, side);
}

bool den_contrast_view_blurs(uint64_t seed, uint64_t batch, size_t n)
{
    struct den_rng rng = generator(seed, batch, n, n);
    return den_rng_unit(&rng) < BLUR_CHANCE;
}

/* ---- pixels ---------------------------------------------------------------------- */

/* Where pixel i of `side` lies in a range of `length` from `first`: between `at` and
 * `next`, this far from `at`. */
struct spot {
    size_t at, next;
    float share;
};

static struct spot find(size_t i, size_t side, size_t first, size_t length)
{
    double place = side > 1 ? (double)i * (double)(length - 1) / (double)(side - 1) : 0;
    size_t at = (size_t)place;
    size_t next = at + 1 < length ? at + 1 : at;
    return (struct spot){first + at, first + next, (float)(place - (double)at)};
}

static float mix(float a, float b, float share)
{
    return a + share * (b - a);
}

void den_contrast_view_sample(const struct den_contrast_view *view, size_t side,
                              size_t channels, const float *from, float *to)
{
    size_t line = side * channels;
    for (size_t y = 0; y < side; y++) {
        struct spot row = find(y, side, view->y, view->h);
        const float *above = from + row.at * line, *below = from + row.next * line;
        for (size_t x = 0; x < side; x++, to += channels) {
            struct spot col = find(x, side, view->x, view->w);
            size_t a = channels * (view->flip ? side - 1 - col.at : col.at);
            size_t b = channels * (view->flip ? side - 1 - col.next : col.next);
            for (size_t c = 0; c < channels; c++)
                to[c] = mix(mix(above[a + c], above[b + c], col.share),
                            mix(below[a + c], below[b + c], col.share), row.share);
        }
    }
}

/* Neighbour k = 0, 1, 2 (before, itself, after) of pixel i, reflected at the border. */
static size_t neighbour(size_t i, size_t k, size_t side)
{
    if (side == 1)
        return 0;
    if (i == 0 && k == 0)
        return 1;
    return i + k == side + 1 ? side - 2 : i + k - 1;
}

void den_contrast_view_blur(double sigma, size_t side, size_t channels, const float *from,
                            float *to)
{
    const double edge = exp(-1 / (2 * sigma * sigma)), sum = 1 + 2 * edge;
    const float weight[3] = {(float)(edge / sum), (float)(1 / sum), (float)(edge / sum)};
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++, to += channels) {
            memset(to, 0, channels * sizeof *to);
            for (size_t k = 0; k < 9; k++) {
                size_t at = neighbour(y, k / 3, side) * side + neighbour(x, k % 3, side);
                float w = weight[k / 3] * weight[k % 3];
                for (size_t c = 0; c < channels; c++)
                    to[c] += w * from[at * channels + c];
            }
        }
}

/* ---- a batch --------------------------------------------------------------------- */

struct work {
    uint64_t seed, batch;
    size_t n, side;
    bool blurs;
    const float *from;
    float *to, *blurred;
};

static void fill_one(void *context, size_t i, int thread)
{
    const struct work *work = context;
    size_t count = work->side * work->side * 2;
    const float *from = work->from + i * count;
    struct den_contrast_view view =
        den_contrast_view_draw(work->seed, work->batch, work->n, i, work->side);
    if (work->blurs) { /* the blur is symmetric, so it may come before the flip */
        float *blurred = work->blurred + (size_t)thread * count;
        den_contrast_view_blur(DEN_CONTRAST_BLUR, work->side, 2, from, blurred);
        from = blurred;
    }
    den_contrast_view_sample(&view, work->side, 2, from, work->to + i * count);
}

void den_contrast_views_fill(uint64_t seed, uint64_t batch, size_t n, size_t side,
                             const float *from, float *to, float *blurred,
                             struct den_pool *pool)
{
    bool blurs = den_contrast_view_blurs(seed, batch, n);
    struct work work = {seed, batch, n, side, blurs, from, to, blurred};
    den_pool_run(pool, n, fill_one, &work);
}
