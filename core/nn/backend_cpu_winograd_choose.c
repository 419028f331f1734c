#include "backend_cpu.h"

#include <math.h>
#include <stdatomic.h>

#include "backend_cpu_winograd.h"

/* Which algorithm is fastest.  Time is counted in products, per input number and output
 * channel: one unit is r^2 products for 1 output (plain sums) or (m + r - 1)^2 for m^2
 * (F(m x m, r x r)), and
 *     time = products of a unit * (units + what making U costs, in units)
 * What making U costs is measured.  So are these times of whole calls in ms (Zen 4 with
 * AVX-512, one thread, one image, U made in the call), for 4x4 taps with stride 2:
 *     outputs, in and out channels      plain   F(2,2)   F(4,2)    chosen
 *     64 x 64     64   128               10.0      6.7      5.4    F(4,2)
 *     32 x 32    128   256                9.9      6.7      5.6    F(4,2)
 *     16 x 16    256   512               10.6      8.0      8.4    F(2,2)
 *      8 x 8     512   512                7.2      6.9     11.8    F(2,2)
 *      4 x 4     512   512                3.4      5.0     10.9    plain
 * and for 3x3 taps:                     plain   F(2,3)   F(4,3)
 *    128 x 128    32    32                2.9      1.8      1.1    F(4,3)
 *    128 x 128    96    32                9.0      5.2      4.1    F(4,3)
 *     64 x 64     64    64                2.8      1.6      1.0    F(4,3)
 *     32 x 32    128   128                2.7      1.5      1.0    F(4,3)
 *     16 x 16    256   256                3.0      1.8      1.4    F(4,3)
 *      8 x 8     512   512                4.1      3.3      4.7    F(2,3)
 *      4 x 4     512   512                2.0      2.4      4.9    plain
 * and these of the gradient of the weights for four images, 4x4 taps:
 *     64 x 64     64   128               46.8     27.0     20.7    F(4,2)
 *     16 x 16    256   512               56.7     31.2     20.3    F(4,2)
 *      8 x 8     512   512               33.2     16.1     16.5    F(2,2)
 *      4 x 4     512   512               10.8      7.6     10.5    F(2,2)
 *      2 x 2     512   512                3.7      5.0     10.0    plain
 * and 3x3 taps:
 *     64 x 64     64    64               11.7      7.1      4.9    F(4,3)
 *     16 x 16    256   256               12.1      6.4      3.9    F(4,3)
 *      4 x 4     512   512                4.5      3.3      3.5    F(2,3)     */

struct algorithm {
    size_t m, r; /* of F(m x m, r x r); m = 0: plain sums */
    double products;
    double unit[DEN_WINOGRAD_USES];  /* relative to what the product kernel reaches */
    double extra[DEN_WINOGRAD_USES]; /* making and reading U, or adding dU, in units */
    double ends; /* transforms: products per input number and per output channel */
    /* Most numbers that U may have.  A larger one comes from main memory again for each
     * span of tiles; where it is kept for each layer, a part of that already takes more
     * memory than the time is worth. */
    double u_most[DEN_WINOGRAD_USES];
};

#define ANY HUGE_VAL, HUGE_VAL, HUGE_VAL
static const struct algorithm algorithms[] = {
    {0, 2, 4, {1, 1, 1.5}, {34, 10, 25}, 0, {ANY}},
    {2, 2, 9, {1, 1, 1}, {27, 10, 26}, 10, {ANY}},
    {4, 2, 25, {1, 1, 1}, {23, 10, 17}, 10, {32e6, 8e6, HUGE_VAL}},
    {0, 3, 9, {1, 1, 1}, {9, 0, 12}, 0, {ANY}},
    {2, 3, 16, {1.05, 0.95, 1.15}, {19, 3, 11}, 8, {ANY}},
    {4, 3, 36, {1.05, 1.05, 1.25}, {19, 4, 9}, 10, {40e6, 10e6, HUGE_VAL}},
};
#undef ANY
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

/* A packed U of F(2x2, r x r) with more numbers than this must save a fifth of the time,
 * or plain sums with about half of the numbers are taken. */
static const double u_much = 12e6, u_price = 1.25;

static atomic_size_t preferred;

void den_winograd_prefer(size_t m)
{
    atomic_store(&preferred, m);
}

size_t den_winograd_taps(const struct den_winograd_case *c)
{
    return c->kh % 2 == 0 ? 2 : 3;
}

static bool possible(const struct den_winograd_case *c, enum den_winograd_use use)
{
    bool four = c->kh == 4 && c->kw == 4 && c->step <= 2;
    bool two = c->kh == 2 && c->kw == 2 && c->step == 1 && use != DEN_WINOGRAD_WEIGHTS;
    bool three = c->kh == 3 && c->kw == 3 && c->step == 1;
    return (four || two || three) && c->len % DEN_TILE_LANES == 0 &&
           c->channels % DEN_TILE_LANES == 0 && c->h > 1 && c->w > 1 &&
           c->grids <= DEN_PRODUCTS;
}

static double time_of(const struct algorithm *a, const struct den_winograd_case *c,
                      enum den_winograd_use use)
{
    size_t phases = c->kh * c->kw / (a->r * a->r);
    double k = (double)(phases * c->len), channels = (double)c->channels;
    double u = a->products * k * channels * (double)c->grids, price = 1;
    if (u > a->u_most[use])
        return HUGE_VAL;
    if (a->m == 2 && use == DEN_WINOGRAD_PACKED && u > u_much)
        price = u_price;
    size_t units = den_winograd_tiles(a->m > 0 ? a->m : 1, c->n, c->h, c->w).count;
    return price * a->products * ((double)units * a->unit[use] + a->extra[use]) *
           (1 + a->ends / k + a->ends / channels);
}

size_t den_winograd_choose(enum den_winograd mode, const struct den_winograd_case *c,
                           enum den_winograd_use use)
{
    if (mode == DEN_WINOGRAD_OFF || !possible(c, use))
        return 0;
    /* F(2x2, 3x3) is as exact as F(2x2, 2x2): tests/backend/test_winograd.c */
    size_t most = mode == DEN_WINOGRAD_F22 ? 2 : 4, wanted = atomic_load(&preferred);
    if (wanted > 0)
        return wanted < most ? wanted : most;
    size_t best = 0, taps = den_winograd_taps(c);
    double least = HUGE_VAL;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        const struct algorithm *a = &algorithms[i];
        if (a->r != taps || a->m > most)
            continue;
        double time = time_of(a, c, use);
        if (time < least) {
            least = time;
            best = a->m;
        }
    }
    return best;
}

/* ---- tiles ---- */

static size_t parts(size_t n, size_t of)
{
    return (n + of - 1) / of;
}

struct den_winograd_tiles den_winograd_tiles(size_t m, size_t n, size_t h, size_t w)
{
    struct den_winograd_tiles t = {.m = m, .h = parts(h, m), .w = parts(w, m)};
    t.count = n * t.h * t.w;
    return t;
}

void den_winograd_place(const struct den_winograd_tiles *tiles, size_t tile,
                        size_t *ret_image, size_t *ret_y, size_t *ret_x)
{
    *ret_x = tile % tiles->w * tiles->m;
    *ret_y = tile / tiles->w % tiles->h * tiles->m;
    *ret_image = tile / (tiles->w * tiles->h);
}

void den_winograd_window(const struct den_view *v, size_t image, ptrdiff_t y, ptrdiff_t x,
                         size_t n, size_t step, const den_real *zero,
                         const den_real **ret)
{
    for (size_t i = 0; i < n; i++, y += (ptrdiff_t)step) {
        bool row = y >= 0 && (size_t)y < v->shape.h;
        const den_real *from = row ? den_view_at(v, image, (size_t)y, 0) : NULL;
        ptrdiff_t at = x;
        for (size_t j = 0; j < n; j++, at += (ptrdiff_t)step) {
            bool inside = row && at >= 0 && (size_t)at < v->shape.w;
            *ret++ = inside ? from + (size_t)at * v->ld : zero;
        }
    }
}
