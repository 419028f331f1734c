#include "memory.h"
#include "vectors.h"

/* Pooling by maxima and repetition of pixels: every backend against backend_ref, and what
 * a maximum is where pixels are equal or not numbers. */

/* Of the small map; the large one has twice the sides and `odd` more. */
static const struct shape_case {
    size_t n, h, w, c, odd;
    size_t spare, halo; /* spare: ld - c */
} cases[] = {
    {1, 1, 1, 1, 0, 0, 0},   {2, 3, 5, 1, 1, 1, 1},   {2, 4, 4, 3, 0, 0, 1},
    {3, 7, 9, 16, 1, 0, 1},  {2, 5, 3, 17, 1, 3, 2},  {1, 2, 2, 128, 0, 0, 1},
    {1, 3, 2, 130, 1, 6, 0}, {4, 33, 65, 8, 0, 8, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

enum kernel {
    MAX,
    MAX_BACK,
    MAX_BACK_ADD,
    REPEAT,
    REPEAT_BACK,
    REPEAT_BACK_ADD,
    KERNELS
};

static const float FRAME = 7.5f; /* halo and spare channels: not to be written */

struct map {
    const struct den_backend *be;
    den_real *memory;
    size_t count;
    struct den_view view;
};

/* Pixels are drawn; `levels` > 0 rounds them, so that many are equal. */
static struct map map_new(const struct den_backend *be, const struct shape_case *k,
                          bool large, size_t odd, double levels, uint32_t seed)
{
    struct den_exec alone = {.pool = NULL};
    size_t h = large ? 2 * k->h + odd : k->h, w = large ? 2 * k->w + odd : k->w;
    struct map m = {.be = be};
    m.view = (struct den_view){{k->n, h, w, k->c}, k->c + k->spare, k->halo, NULL};
    m.count = k->n * den_view_image(&m.view);
    m.memory = device(be, m.count);
    den_real *frame = host(m.count), *pixels = host(den_shape_count(m.view.shape));
    for (size_t i = 0; i < m.count; i++)
        frame[i] = FRAME;
    be->upload(m.memory, frame, m.count);
    m.view.data = m.memory + k->halo * (den_view_row(&m.view) + m.view.ld);
    lcg_fill(&(struct lcg){seed}, pixels, den_shape_count(m.view.shape), 1);
    for (size_t i = 0; levels > 0 && i < den_shape_count(m.view.shape); i++)
        pixels[i] = (den_real)round((double)pixels[i] * levels);
    be->pack_in(&alone, pixels, &m.view);
    den_free(frame);
    den_free(pixels);
    return m;
}

/* All of the memory with its frame, into to [count]. */
static size_t map_end(struct map *m, den_real *to)
{
    m->be->download(to, m->memory, m->count);
    m->be->free(m->memory);
    return m->count;
}

static size_t run(const struct den_backend *be, struct den_pool *pool, enum kernel kernel,
                  const struct shape_case *k, den_real *out)
{
    struct den_exec ex = {.pool = pool};
    bool max = kernel <= MAX_BACK_ADD;
    struct map x = map_new(be, k, max, max ? k->odd : 0, 2, 1);
    struct map dy = map_new(be, k, !max, 0, 0, 2);
    struct map dx = map_new(be, k, max, max ? k->odd : 0, 0, 3);
    if (kernel == MAX)
        be->max_pool_forward(&ex, &x.view, &dy.view);
    else if (kernel == REPEAT)
        be->upsample_forward(&ex, &x.view, &dy.view);
    else if (max)
        be->max_pool_backward(&ex, &x.view, &dy.view, &dx.view, kernel == MAX_BACK_ADD);
    else
        be->upsample_backward(&ex, &dy.view, &dx.view, kernel == REPEAT_BACK_ADD);
    size_t count = map_end(&x, out);
    count += map_end(&dy, out + count);
    return count + map_end(&dx, out + count);
}

START_TEST(every_backend_equals_the_reference_and_writes_pixels_alone)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    const struct shape_case *k = &cases[_i];
    size_t room = 3 * k->n * (2 * k->h + 9) * (2 * k->w + 9) * (k->c + k->spare);
    den_real *want = host(room), *got = host(room);
    must(den_pool_new(2, &pool, &err));
    for (size_t i = 0; den_backends[i] != NULL; i++)
        for (enum kernel kernel = MAX; kernel < KERNELS; kernel++) {
            size_t count = run(&den_backend_ref, NULL, kernel, k, want);
            ck_assert_uint_le(count, room);
            ck_assert_uint_eq(run(den_backends[i], pool, kernel, k, got), count);
            double gap = 0;
            for (size_t j = 0; j < count; j++)
                gap = fmax(gap, fabs((double)got[j] - (double)want[j]));
            ck_assert_msg(gap <= 1e-6, "%s, kernel %d: off by %g", den_backends[i]->name,
                          (int)kernel, gap);
        }
    den_pool_free(pool);
    den_free(want);
    den_free(got);
}
END_TEST

/* ---- which pixel is the maximum --------------------------------------------------- */

#define NOT NAN

/* As torch.nn.MaxPool2d does it: the first of equals, and NaN before all (which then gets
 * the gradient is left open). */
static const struct {
    const char *what;
    float x[4], y;
    size_t place;
} maxima[] = {
    {"all equal", {0, 0, 0, 0}, 0, 0},
    {"largest last", {1, 2, 3, 4}, 4, 3},
    {"largest first", {4, 3, 2, 1}, 4, 0},
    {"two equal", {-1, 5, 5, 2}, 5, 1},
    {"all negative", {-3, -2, -4, -2}, -2, 1},
    {"lower left", {1, 2, 3, 3}, 3, 2},
    {"not a number", {9, NOT, 8, 10}, NOT, 1},
    {"two of them", {NOT, 1, NOT, 2}, NOT, 2},
    {"infinite", {1, INFINITY, 2, 3}, INFINITY, 1},
};

START_TEST(the_first_of_equal_pixels_is_the_maximum_and_gets_the_gradient)
{
    enum { C = 3, FOUR = 4 * C }; /* the same in every channel */
    const struct shape_case k = {1, 1, 1, C, 0, 0, 0};
    struct den_exec ex = {.pool = NULL};
    for (size_t i = 0; den_backends[i] != NULL; i++) {
        const struct den_backend *be = den_backends[i];
        struct map x = map_new(be, &k, true, 0, 0, 1),
                   y = map_new(be, &k, false, 0, 0, 2);
        struct map dx = map_new(be, &k, true, 0, 0, 3);
        den_real four[FOUR], one[C];
        for (size_t j = 0; j < FOUR; j++)
            four[j] = maxima[_i].x[j / C];
        be->pack_in(&ex, four, &x.view);
        be->max_pool_forward(&ex, &x.view, &y.view);
        be->pack_out(&ex, &y.view, one);
        for (size_t c = 0; c < C; c++)
            ck_assert_msg(isnan(maxima[_i].y) ? isnan(one[c]) : one[c] == maxima[_i].y,
                          "%s, %s: %g", be->name, maxima[_i].what, (double)one[c]);
        for (size_t c = 0; c < C; c++)
            one[c] = 2;
        be->pack_in(&ex, one, &y.view);
        be->max_pool_backward(&ex, &x.view, &y.view, &dx.view, false);
        be->pack_out(&ex, &dx.view, four);
        for (size_t j = 0; j < FOUR; j++)
            ck_assert_msg(
                isnan(maxima[_i].y) || four[j] == (j / C == maxima[_i].place ? 2 : 0),
                "%s, %s: %g at %zu", be->name, maxima[_i].what, (double)four[j], j);
        be->free(x.memory);
        be->free(y.memory);
        be->free(dx.memory);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resample");
    TCase *tc = tcase_create("kernels");
    tcase_add_loop_test(tc, every_backend_equals_the_reference_and_writes_pixels_alone, 0,
                        CASES);
    tcase_add_loop_test(tc,
                        the_first_of_equal_pixels_is_the_maximum_and_gets_the_gradient, 0,
                        (int)(sizeof maxima / sizeof *maxima));
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
