#include <math.h>

#include "backend_cpu_tile.h"
#include "backend_cpu_winograd.h"
#include "memory.h"
#include "vectors.h"

/* What is peculiar to Winograd's algorithms: how exact each is, measured against sums in
 * double, and which one is taken.  test_backends compares all shapes and options. */

enum pass { FORWARD, DATA, WEIGHTS, PASSES };

struct layer {
    const char *name;
    struct den_conv_geom g;
    size_t n, side, in, out; /* side of the output */
    double low;              /* inputs are uniform in [low, 1] */
    double f4_most;          /* error of m = 4; that of plain sums is about 6e-7 */
};

static const struct layer layers[] = {
    {"3x3", {3, 3, 1, 1}, 1, 18, 64, 32, -1, 3e-6},
    {"3x3 after a rectifier", {3, 3, 1, 1}, 1, 18, 64, 32, 0, 3e-6},
    {"3x3 with many channels", {3, 3, 1, 1}, 2, 8, 256, 32, -1, 5e-6},
    {"4x4 with stride 2", {4, 4, 2, 1}, 1, 12, 64, 32, -1, 1e-5},
};
enum { LAYERS = sizeof layers / sizeof layers[0] };

/* One layer with its operands, packed NHWC on the host, and sums in double. */
struct fixture {
    const struct layer *layer;
    struct den_shape x_shape, y_shape;
    size_t count[PASSES]; /* of outputs: y, dx, dw */
    den_real *x, *y, *w;
    double *exact[PASSES];
};

/* All three passes are sums over the same products. */
static void add_products(struct fixture *f, size_t x_at, size_t y_at, size_t w_at)
{
    size_t ci = f->x_shape.c, co = f->y_shape.c;
    for (size_t i = 0; i < ci; i++)
        for (size_t o = 0; o < co; o++) {
            double x = (double)f->x[x_at + i], y = (double)f->y[y_at + o];
            double w = (double)f->w[w_at + i * co + o];
            f->exact[FORWARD][y_at + o] += x * w;
            f->exact[DATA][x_at + i] += y * w;
            f->exact[WEIGHTS][w_at + i * co + o] += x * y;
        }
}

static void sum_exactly(struct fixture *f)
{
    struct den_conv_geom g = f->layer->g;
    struct den_shape xs = f->x_shape, ys = f->y_shape;
    for (size_t at = 0; at < ys.n * ys.h * ys.w * g.kh * g.kw; at++) {
        size_t tap = at % (g.kh * g.kw), pixel = at / (g.kh * g.kw);
        size_t oy = pixel / ys.w % ys.h, ox = pixel % ys.w, n = pixel / (ys.h * ys.w);
        size_t iy = oy * g.stride + tap / g.kw, ix = ox * g.stride + tap % g.kw;
        if (iy < g.pad || ix < g.pad || iy - g.pad >= xs.h || ix - g.pad >= xs.w)
            continue;
        size_t from = (n * xs.h + iy - g.pad) * xs.w + ix - g.pad;
        add_products(f, from * xs.c, pixel * ys.c, tap * xs.c * ys.c);
    }
}

static struct fixture fixture_new(const struct layer *l)
{
    struct fixture f = {.layer = l};
    size_t side = (l->side - 1) * l->g.stride + l->g.kh - 2 * l->g.pad;
    f.x_shape = (struct den_shape){l->n, side, side, l->in};
    f.y_shape = (struct den_shape){l->n, l->side, l->side, l->out};
    f.count[FORWARD] = den_shape_count(f.y_shape);
    f.count[DATA] = den_shape_count(f.x_shape);
    f.count[WEIGHTS] = l->g.kh * l->g.kw * l->in * l->out;
    f.x = host(f.count[DATA]);
    f.y = host(f.count[FORWARD]);
    f.w = host(f.count[WEIGHTS]);
    double centre = (1 + l->low) / 2;
    lcg_fill_about(&(struct lcg){1}, f.x, f.count[DATA], centre, 1 - centre);
    lcg_fill(&(struct lcg){2}, f.y, f.count[FORWARD], 1);
    lcg_fill(&(struct lcg){3}, f.w, f.count[WEIGHTS], 0.5);
    for (int pass = 0; pass < PASSES; pass++) {
        f.exact[pass] = den_calloc(f.count[pass], sizeof *f.exact[pass]);
        ck_assert_ptr_nonnull(f.exact[pass]);
    }
    sum_exactly(&f);
    return f;
}

static void fixture_free(struct fixture *f)
{
    den_free(f->x);
    den_free(f->y);
    den_free(f->w);
    for (int pass = 0; pass < PASSES; pass++)
        den_free(f->exact[pass]);
}

static struct den_view view_of(struct den_shape s, const den_real *values,
                               den_real **memory)
{
    struct den_view v = {s, s.c, 1, NULL};
    *memory = device(&den_backend_cpu, s.n * den_view_image(&v));
    v.data = *memory + den_view_row(&v) + v.ld;
    if (values != NULL)
        den_backend_cpu.pack_in(&(struct den_exec){.pool = NULL}, values, &v);
    return v;
}

/* One pass by F(m x m, r x r), m = 0: plain sums. */
static void compute(const struct fixture *f, enum pass pass, size_t m, den_real *out)
{
    const struct den_backend *be = &den_backend_cpu;
    struct den_conv_geom g = f->layer->g;
    den_real *xs, *ys, *w = device(be, f->count[WEIGHTS]);
    struct den_view x = view_of(f->x_shape, pass == DATA ? NULL : f->x, &xs);
    struct den_view y = view_of(f->y_shape, pass == FORWARD ? NULL : f->y, &ys);
    struct den_exec ex = {.winograd = m == 0 ? DEN_WINOGRAD_OFF : DEN_WINOGRAD_AUTO};
    den_winograd_prefer(m);
    ex.scratch_count = be->conv_scratch(g, f->x_shape, f->y_shape, 1);
    ex.scratch = device(be, ex.scratch_count);
    if (pass != WEIGHTS)
        be->upload(w, f->w, f->count[WEIGHTS]);
    if (pass == FORWARD)
        be->conv_forward(&ex, g, &x, w, NULL, &y);
    else if (pass == DATA)
        be->conv_backward_data(&ex, g, &y, w, NULL, &x, false);
    else
        be->conv_backward_weights(&ex, g, &x, &y, w);
    if (pass == WEIGHTS)
        be->download(out, w, f->count[WEIGHTS]);
    else
        be->pack_out(&ex, pass == DATA ? &x : &y, out);
    den_winograd_prefer(0);
    be->free(xs);
    be->free(ys);
    be->free(w);
    be->free(ex.scratch);
}

/* Of the largest output. */
static double largest_error(const struct fixture *f, enum pass pass, const den_real *got)
{
    double gap = 0, scale = 0;
    for (size_t i = 0; i < f->count[pass]; i++) {
        gap = fmax(gap, fabs((double)got[i] - f->exact[pass][i]));
        scale = fmax(scale, fabs(f->exact[pass][i]));
    }
    return gap / scale;
}

/* By plain sums and by F(m x m, r x r), m = 2 and 4. */
static void compare_passes(const struct fixture *f, const char *isa)
{
    static const char *const names[] = {"forward", "data", "weights"};
    enum { WAYS = 3 };
    for (int pass = 0; pass < PASSES; pass++) {
        size_t bytes = f->count[pass] * sizeof(den_real);
        den_real *out[WAYS];
        double error[WAYS];
        for (size_t i = 0; i < WAYS; i++) {
            out[i] = host(f->count[pass]);
            compute(f, pass, 2 * i, out[i]);
            error[i] = largest_error(f, pass, out[i]);
        }
        ck_assert_msg(error[0] <= 1e-6 && error[1] <= 1.5 * error[0] &&
                          error[2] <= f->layer->f4_most,
                      "%s, %s, %s: errors %.2e, %.2e, %.2e", f->layer->name, names[pass],
                      isa, error[0], error[1], error[2]);
        ck_assert(!same_bits(out[0], out[1], bytes) && !same_bits(out[1], out[2], bytes));
        for (size_t i = 0; i < WAYS; i++)
            den_free(out[i]);
    }
}

START_TEST(f2_is_as_exact_as_plain_sums_and_f4_nearly)
{
    struct fixture f = fixture_new(&layers[_i]);
    for (const struct den_cpu_tile *t = den_cpu_tiles; t->name != NULL; t++)
        if (t->usable()) {
            ck_assert(den_cpu_tile_use(t->name));
            compare_passes(&f, t->name);
        }
    ck_assert(den_cpu_tile_use(NULL));
    fixture_free(&f);
}
END_TEST

/* ---- the choice ---- */

enum { CALL = DEN_WINOGRAD_CALL, PACKED = DEN_WINOGRAD_PACKED };

static const struct {
    size_t k, step, side, in, out;
    enum den_winograd mode;
    int use;
    size_t want;
} choices[] = {
    {3, 1, 64, 64, 64, DEN_WINOGRAD_AUTO, CALL, 4},
    {3, 1, 64, 64, 64, DEN_WINOGRAD_AUTO, PACKED, 4},
    {3, 1, 64, 64, 64, DEN_WINOGRAD_AUTO, DEN_WINOGRAD_WEIGHTS, 4},
    {3, 1, 64, 64, 64, DEN_WINOGRAD_F22, CALL, 2},
    {3, 1, 64, 64, 64, DEN_WINOGRAD_F22, DEN_WINOGRAD_WEIGHTS, 2},
    {3, 1, 64, 64, 64, DEN_WINOGRAD_OFF, CALL, 0},
    {3, 1, 128, 96, 32, DEN_WINOGRAD_AUTO, CALL, 4},
    {3, 1, 8, 512, 512, DEN_WINOGRAD_AUTO, CALL, 2},
    {3, 1, 4, 512, 512, DEN_WINOGRAD_AUTO, CALL, 0},
    {3, 1, 1, 64, 64, DEN_WINOGRAD_AUTO, PACKED, 0}, /* just one tap meets the pixel */
    {3, 1, 128, 1, 32, DEN_WINOGRAD_AUTO, CALL, 0},  /* not whole lines of channels */
    {3, 1, 128, 32, 1, DEN_WINOGRAD_AUTO, CALL, 0},
    {3, 1, 128, 32, 40, DEN_WINOGRAD_AUTO, CALL, 0},
    {3, 2, 64, 64, 64, DEN_WINOGRAD_AUTO, CALL, 0},
    {5, 1, 64, 64, 64, DEN_WINOGRAD_AUTO, CALL, 0},
    {1, 1, 64, 64, 64, DEN_WINOGRAD_AUTO, CALL, 0},
    {4, 2, 64, 64, 128, DEN_WINOGRAD_AUTO, CALL, 4},
    {4, 1, 16, 256, 512, DEN_WINOGRAD_F22, CALL, 2},
};

START_TEST(the_algorithm_follows_from_shape_mode_and_use)
{
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        const struct den_winograd_case c = {.grids = 1,
                                            .n = 1,
                                            .h = choices[i].side,
                                            .w = choices[i].side,
                                            .kh = choices[i].k,
                                            .kw = choices[i].k,
                                            .step = choices[i].step,
                                            .len = choices[i].in,
                                            .channels = choices[i].out};
        enum den_winograd_use use = (enum den_winograd_use)choices[i].use;
        size_t m = den_winograd_choose(choices[i].mode, &c, use);
        ck_assert_msg(m == choices[i].want, "row %zu: m = %zu", i, m);
    }
}
END_TEST

START_TEST(a_preferred_algorithm_is_taken_where_mode_and_shape_allow_it)
{
    struct den_winograd_case c = {1, 1, 4, 4, 3, 3, 1, 512, 512};
    static const struct {
        size_t preferred;
        enum den_winograd mode;
        size_t want;
    } rows[] = {
        {2, DEN_WINOGRAD_AUTO, 2}, {4, DEN_WINOGRAD_AUTO, 4}, {2, DEN_WINOGRAD_F22, 2},
        {4, DEN_WINOGRAD_F22, 2},  {4, DEN_WINOGRAD_OFF, 0},  {0, DEN_WINOGRAD_AUTO, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        den_winograd_prefer(rows[i].preferred);
        ck_assert_uint_eq(den_winograd_choose(rows[i].mode, &c, DEN_WINOGRAD_CALL),
                          rows[i].want);
    }
    den_winograd_prefer(4);
    c.len = 1;
    ck_assert_uint_eq(den_winograd_choose(DEN_WINOGRAD_AUTO, &c, DEN_WINOGRAD_CALL), 0);
    den_winograd_prefer(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("winograd");
    TCase *tc = tcase_create("winograd");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, f2_is_as_exact_as_plain_sums_and_f4_nearly, 0, LAYERS);
    tcase_add_test(tc, the_algorithm_follows_from_shape_mode_and_use);
    tcase_add_test(tc, a_preferred_algorithm_is_taken_where_mode_and_shape_allow_it);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
