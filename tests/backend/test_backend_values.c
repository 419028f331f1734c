#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend_cpu_tile.h"
#include "memory.h"
#include "vectors.h"

/* Every backend against values computed elsewhere (PyTorch 1.13 in float64, libm), and
 * the inner loops of backend_cpu for each instruction set.     */

/* A packed tensor without halo that holds `values` given as NCHW. */
static struct den_view view_from_nchw(const struct den_backend *be, den_real *memory,
                                      const den_real *values, struct den_shape s,
                                      size_t halo)
{
    struct den_view v = {s, s.c, halo, NULL};
    v.data = memory + halo * (den_view_row(&v) + v.ld);
    den_real *packed = host(den_shape_count(s));
    if (values != NULL)
        nchw_to_nhwc(values, packed, s.n, s.c, s.h, s.w);
    be->pack_in(&(struct den_exec){.pool = NULL}, packed, &v);
    den_free(packed);
    return v;
}

static void view_to_nchw(const struct den_backend *be, const struct den_view *v,
                         den_real *to)
{
    struct den_shape s = v->shape;
    den_real *packed = host(den_shape_count(s));
    be->pack_out(&(struct den_exec){.pool = NULL}, v, packed);
    nhwc_to_nchw(packed, to, s.n, s.c, s.h, s.w);
    den_free(packed);
}

static void must_sum(const den_real *x, size_t n, double sum, double sumsq)
{
    close_to(sum_of(x, n), sum, 1e-5);
    close_to(sumsq_of(x, n), sumsq, 1e-5);
}

enum { ROOM = 4096 };

/* The memory of one known-value test. */
struct known {
    const struct den_backend *be;
    struct den_exec ex;
    struct lcg g;
    den_real *x, *y, *dx, *dy, *w, *dw, *b, *db, *scratch; /* device, [ROOM] */
    den_real h[ROOM], q[ROOM], p[ROOM];                    /* host */
};

static struct known *known_new(const struct den_backend *be, uint32_t seed)
{
    struct known *t = den_calloc(1, sizeof *t);
    ck_assert_ptr_nonnull(t);
    t->be = be;
    t->g.s = seed;
    den_real **all[] = {&t->x,  &t->y, &t->dx, &t->dy,     &t->w,
                        &t->dw, &t->b, &t->db, &t->scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] = device(be, ROOM);
    t->ex = (struct den_exec){.scratch = t->scratch, .scratch_count = ROOM};
    return t;
}

static void known_free(struct known *t)
{
    den_real *all[] = {t->x, t->y, t->dx, t->dy, t->w, t->dw, t->b, t->db, t->scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        t->be->free(all[i]);
    den_free(t);
}

static void draw(struct known *t, size_t n, double centre, double a)
{
    lcg_fill_about(&t->g, t->h, n, centre, a);
}

/* Draws (a, b, 4, 4) weights and a bias into w and b of the device. */
static void draw_weights(struct known *t, size_t a, size_t b, size_t bias)
{
    draw(t, a * b * 16, 0, 0.5);
    weights_from_nchw(t->h, t->p, a, b, 4, 4);
    t->be->upload(t->w, t->p, a * b * 16);
    draw(t, bias, 0, 0.1);
    t->be->upload(t->b, t->h, bias);
}

START_TEST(convolution_has_the_values_and_gradients_of_pytorch)
{
    struct known *t = known_new(den_backends[_i], 11);
    const struct den_backend *be = t->be;
    const struct den_conv_geom g = {4, 4, 2, 1};
    const struct den_shape sx = {2, 6, 6, 2}, sy = {2, 3, 3, 3};
    draw(t, 144, 0, 1);
    struct den_view x = view_from_nchw(be, t->x, t->h, sx, 1);
    draw_weights(t, 3, 2, 3);
    struct den_view y = view_from_nchw(be, t->y, NULL, sy, 0);
    ck_assert_uint_le(be->conv_scratch(g, sx, sy, 1), ROOM);
    be->conv_forward(&t->ex, g, &x, t->w, t->b, &y);
    view_to_nchw(be, &y, t->h);
    must_sum(t->h, 54, 2.28798391621, 35.1480548193);
    close_to((double)t->h[0], 0.33687356254, 1e-6);
    close_to((double)t->h[53], -0.0920931427381, 1e-6);

    lcg_fill(&t->g, t->q, 54, 1);
    struct den_view dy = view_from_nchw(be, t->dy, t->q, sy, 0);
    struct den_view dx = view_from_nchw(be, t->dx, NULL, sx, 0);
    be->conv_backward_data(&t->ex, g, &dy, t->w, NULL, &dx, false);
    be->conv_backward_weights(&t->ex, g, &x, &dy, t->dw);
    be->channel_sum(&t->ex, &dy, t->db);
    view_to_nchw(be, &dx, t->h);
    must_sum(t->h, 144, 8.61567993838, 45.6374192012);
    close_to((double)t->h[0], -0.589863026593, 1e-6);
    be->download(t->h, t->dw, 96);
    must_sum(t->h, 96, -14.6561679636, 172.515241464);
    be->download(t->h, t->db, 3);
    must_sum(t->h, 3, 8.53365118755, 25.2048767704);
    known_free(t);
}
END_TEST

START_TEST(transposed_convolution_has_the_values_and_gradients_of_pytorch)
{
    struct known *t = known_new(den_backends[_i], 12);
    const struct den_backend *be = t->be;
    const struct den_conv_geom g = {4, 4, 2, 1};
    const struct den_shape sx = {2, 3, 3, 3}, sy = {2, 6, 6, 2};
    draw(t, 54, 0, 1);
    struct den_view x = view_from_nchw(be, t->x, t->h, sx, 1);
    draw_weights(t, 3, 2, 2);
    struct den_view y = view_from_nchw(be, t->y, NULL, sy, 1);
    be->conv_backward_data(&t->ex, g, &x, t->w, t->b, &y, false);
    view_to_nchw(be, &y, t->h);
    must_sum(t->h, 144, -6.61648240091, 30.9018042212);
    close_to((double)t->h[0], -0.173026340251, 1e-6);

    lcg_fill(&t->g, t->q, 144, 1);
    struct den_view dy = view_from_nchw(be, t->dy, t->q, sy, 1);
    struct den_view dx = view_from_nchw(be, t->dx, NULL, sx, 0);
    be->conv_forward(&t->ex, g, &dy, t->w, NULL, &dx);
    be->conv_backward_weights(&t->ex, g, &dy, &x, t->dw);
    be->channel_sum(&t->ex, &dy, t->db);
    view_to_nchw(be, &dx, t->h);
    must_sum(t->h, 54, 0.203886543568, 32.0119003206);
    be->download(t->h, t->dw, 96);
    must_sum(t->h, 96, 7.4664194256, 133.655390965);
    be->download(t->h, t->db, 2);
    close_to(sum_of(t->h, 2), -1.15494306758, 1e-5);
    known_free(t);
}
END_TEST

START_TEST(batch_norm_has_the_values_and_gradients_of_pytorch)
{
    struct known *t = known_new(den_backends[_i], 13);
    const struct den_backend *be = t->be;
    const struct den_shape s = {2, 4, 4, 3};
    draw(t, 96, 0, 1);
    struct den_view x = view_from_nchw(be, t->x, t->h, s, 1);
    den_real *gamma = t->w, *beta = t->b, *mean = t->scratch, *var = t->scratch + 16;
    draw(t, 3, 1, 0.2);
    be->upload(gamma, t->h, 3);
    draw(t, 3, 0, 0.1);
    be->upload(beta, t->h, 3);
    struct den_view y = view_from_nchw(be, t->y, NULL, s, 0);
    be->moments(&t->ex, &x, false, mean, var);
    be->norm_forward(&t->ex, &x, false, mean, var, gamma, beta, 1e-5, &y);
    view_to_nchw(be, &y, t->h);
    must_sum(t->h, 96, -3.04780927896, 99.9252408965);
    close_to((double)t->h[0], -0.762938645489, 1e-5);
    be->download(t->h, mean, 3); /* running statistics after one step of momentum 0.1 */
    close_to(0.1 * sum_of(t->h, 3), 0.00504031225573, 1e-6);
    be->download(t->h, var, 3);
    close_to(0.9 * 3 + 0.1 * sum_of(t->h, 3) * 32 / 31, 2.81553726888, 1e-6);

    lcg_fill(&t->g, t->q, 96, 1);
    struct den_view dy = view_from_nchw(be, t->dy, t->q, s, 0);
    struct den_view dx = view_from_nchw(be, t->dx, NULL, s, 0);
    be->norm_backward(&t->ex, &x, false, mean, var, gamma, 1e-5, &dy, &dx, false, t->dw,
                      t->db);
    view_to_nchw(be, &dx, t->h);
    must_sum(t->h, 96, 0, 96.5685702124);
    close_to((double)t->h[0], 1.60101608018, 1e-5);
    be->download(t->h, t->dw, 3);
    close_to(sum_of(t->h, 3), -0.568007105624, 1e-5);
    be->download(t->h, t->db, 3);
    close_to(sum_of(t->h, 3), sum_of(t->q, 96), 1e-5);
    known_free(t);
}
END_TEST

START_TEST(three_adam_steps_have_the_values_of_pytorch)
{
    static const double want[] = {0.999800000001, 0.999600006659662, 0.999400023779};
    struct known *t = known_new(den_backends[_i], 0);
    const struct den_backend *be = t->be;
    den_real p[3] = {1, -2, 0.5f}, g[3];
    be->upload(t->w, p, 3);
    for (size_t step = 1; step <= 3; step++) {
        for (size_t i = 0; i < 3; i++)
            g[i] = p[i] * p[i] + 1;
        be->upload(t->dw, g, 3);
        struct den_adam adam = {2e-4, 0.5, 0.999, 1e-8, step};
        be->adam(&t->ex, 3, t->w, t->dw, t->x, t->y, &adam);
        be->download(p, t->w, 3);
        close_to((double)p[0], want[step - 1], 2e-7);
    }
    close_to((double)p[1], -2.00060001901402, 2e-7);
    known_free(t);
}
END_TEST

START_TEST(tanh_is_right_over_its_whole_range)
{
    enum { POINTS = 20001, MIDDLE = 10000 };
    const struct den_backend *be = den_backends[_i];
    den_real *values = host(POINTS), *data = device(be, POINTS);
    for (size_t i = 0; i < POINTS; i++)
        values[i] = (den_real)(((double)i - MIDDLE) * 2e-3);
    struct den_view v = {{1, 1, POINTS, 1}, 1, 0, data};
    struct den_exec ex = {.pool = NULL};
    be->pack_in(&ex, values, &v);
    be->tanh_forward(&ex, &v, &v);
    den_real *got = host(POINTS);
    be->pack_out(&ex, &v, got);
    for (size_t i = 0; i < POINTS; i++) {
        double want = tanh((double)values[i]);
        ck_assert_msg(fabs((double)got[i] - want) <= 1e-6 * fabs(want),
                      "%s: tanh(%g) = %.9g, want %.9g", be->name, (double)values[i],
                      (double)got[i], want);
    }
    const den_real odd[] = {NAN, INFINITY, -INFINITY, 0, 1e-30f};
    v.shape.w = 5;
    be->pack_in(&ex, odd, &v);
    be->tanh_forward(&ex, &v, &v);
    be->pack_out(&ex, &v, got);
    ck_assert(isnan(got[0]));
    ck_assert(got[1] == 1 && got[2] == -1 && got[3] == 0);
    close_to((double)got[4] * 1e30, 1, 1e-6);
    den_free(values);
    den_free(got);
    be->free(data);
}
END_TEST

START_TEST(nan_passes_through_lrelu)
{
    const struct den_backend *be = den_backends[_i];
    den_real *data = device(be, 4), got[4];
    const den_real in[4] = {NAN, -2, 0, 3};
    struct den_view v = {{1, 1, 4, 1}, 1, 0, data};
    struct den_exec ex = {.pool = NULL};
    be->pack_in(&ex, in, &v);
    be->lrelu_forward(&ex, &v, 0.2, &v);
    be->pack_out(&ex, &v, got);
    ck_assert(isnan(got[0]) && got[2] == 0 && got[3] == 3);
    close_to((double)got[1], -0.4, 1e-6);
    be->free(data);
}
END_TEST

START_TEST(memory_is_zeroed_and_backends_are_found_by_name)
{
    const struct den_backend *be = den_backends[_i];
    ck_assert_ptr_eq(den_backend_find(be->name), be);
    den_real *data = device(be, 100), got[100];
    be->download(got, data, 100);
    ck_assert(largest(got, 100) == 0);
    for (size_t i = 0; i < 100; i++)
        got[i] = 1;
    be->upload(data, got, 100);
    be->zero(data, 99);
    be->download(got, data, 100);
    ck_assert(largest(got, 99) == 0 && got[99] == 1);
    be->free(data);
    be->free(NULL);
    ck_assert_ptr_null(den_backend_find("abacus"));
    ck_assert_ptr_eq(den_backends[0], &den_backend_cpu);
}
END_TEST

START_TEST(too_much_memory_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    den_real *data = NULL;
    must_fail(den_backends[_i]->alloc(SIZE_MAX / 2, &data, &err), DEN_E_NO_MEMORY,
              "no memory");
    ck_assert_ptr_null(data);
}
END_TEST

/* ---- the inner loops of backend_cpu, for each instruction set of this processor -------
 */

START_TEST(every_instruction_set_computes_the_same_tiles)
{
    enum { N = 3000 };
    static den_real a[N], b[N], got[DEN_TILE_ROWS * DEN_TILE_COLS];
    lcg_fill(&(struct lcg){5}, a, N, 1);
    lcg_fill(&(struct lcg){6}, b, N, 1);
    const den_real *row[DEN_TILE_ROWS];
    for (size_t r = 0; r < DEN_TILE_ROWS; r++)
        row[r] = a + 37 * r;
    const struct den_taps taps = {2, 3, 11, 200, 17};
    const struct den_walk walk = {2, 3, 5, 400, 100, 7, 1200, 350, 33};
    for (const struct den_cpu_tile *t = den_cpu_tiles; t->name != NULL; t++) {
        if (!t->usable())
            continue;
        for (size_t cols = DEN_TILE_LANES; cols <= DEN_TILE_COLS; cols *= 2) {
            double want[DEN_TILE_ROWS * DEN_TILE_COLS] = {0}, sums[DEN_TILE_ROWS] = {0};
            t->dense(row, &taps, b, cols, false, got);
            t->dense(row, &taps, b, cols, true, got);
            for (size_t tap = 0; tap < 66; tap++)
                for (size_t r = 0; r < DEN_TILE_ROWS; r++) {
                    size_t at = tap / 33 * 200 + tap % 33 / 11 * 17 + tap % 11;
                    sums[r] += (double)row[r][at] * (double)b[tap];
                    for (size_t j = 0; j < cols; j++)
                        want[r * cols + j] +=
                            2 * (double)row[r][at] * (double)b[tap * cols + j];
                }
            for (size_t i = 0; i < DEN_TILE_ROWS * cols; i++)
                close_to((double)got[i], want[i], 1e-5);
            t->narrow(row, &taps, b, got);
            for (size_t r = 0; r < DEN_TILE_ROWS; r++)
                close_to((double)got[r], sums[r], 1e-5);
            memset(want, 0, sizeof want);
            t->outer(row, b, &walk, cols, got);
            for (size_t p = 0; p < 30; p++)
                for (size_t r = 0; r < DEN_TILE_ROWS; r++)
                    for (size_t j = 0; j < cols; j++)
                        want[r * cols + j] +=
                            (double)row[r][p / 15 * 400 + p / 5 % 3 * 100 + p % 5 * 7] *
                            (double)b[p / 15 * 1200 + p / 5 % 3 * 350 + p % 5 * 33 + j];
            for (size_t i = 0; i < DEN_TILE_ROWS * cols; i++)
                close_to((double)got[i], want[i], 1e-5);
        }
    }
}
END_TEST

/* Each test runs in a process of its own, so the environment stays as it was. */
START_TEST(the_default_backend_is_the_one_with_kernels_for_this_processor)
{
    static const struct {
        const char *isa;
        const struct den_backend *want;
    } rows[] = {{"blas", &den_backend_blas},
                {"plain", &den_backend_cpu},
                {"avx2", &den_backend_cpu},
                {"nonsense", &den_backend_cpu}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(setenv("DENOISED_ISA", rows[i].isa, 1), 0);
        ck_assert_ptr_eq(den_backend_default(), rows[i].want);
    }
    ck_assert_int_eq(unsetenv("DENOISED_ISA"), 0);
#ifdef __x86_64__
    bool between = __builtin_cpu_supports("avx") && !__builtin_cpu_supports("avx2");
    ck_assert_ptr_eq(den_backend_default(),
                     between ? &den_backend_blas : &den_backend_cpu);
#else
    ck_assert_ptr_eq(den_backend_default(), &den_backend_cpu);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backend values");
    TCase *tc = tcase_create("values");
    int backends = 0;
    while (den_backends[backends] != NULL)
        backends++;
    tcase_add_loop_test(tc, convolution_has_the_values_and_gradients_of_pytorch, 0,
                        backends);
    tcase_add_loop_test(
        tc, transposed_convolution_has_the_values_and_gradients_of_pytorch, 0, backends);
    tcase_add_loop_test(tc, batch_norm_has_the_values_and_gradients_of_pytorch, 0,
                        backends);
    tcase_add_loop_test(tc, three_adam_steps_have_the_values_of_pytorch, 0, backends);
    tcase_add_loop_test(tc, tanh_is_right_over_its_whole_range, 0, backends);
    tcase_add_loop_test(tc, nan_passes_through_lrelu, 0, backends);
    tcase_add_loop_test(tc, memory_is_zeroed_and_backends_are_found_by_name, 0, backends);
    tcase_add_loop_test(tc, too_much_memory_is_refused, 0, backends);
    tcase_add_test(tc, every_instruction_set_computes_the_same_tiles);
    tcase_add_test(tc, the_default_backend_is_the_one_with_kernels_for_this_processor);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
