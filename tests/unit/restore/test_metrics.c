#include <math.h>
#include <pthread.h>
#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "image.h"
#include "mem.h"
#include "metric.h"
#include "rng.h"
#include "str.h"
#include "vectors.h"

/* Two images of 24 x 20, whole numbers: expected values were computed with scikit-image
 * 0.19.3 in double. */
enum { WIDTH = 20, HEIGHT = 24, N = WIDTH * HEIGHT };

static float reference[N], prediction[N];

static void make_vectors(void)
{
    struct lcg g = {21};
    for (size_t i = 0; i < N; i++)
        reference[i] = (float)floor(500 + 3000 * lcg_u(&g));
    for (size_t i = 0; i < N; i++)
        prediction[i] = (float)floor((double)reference[i] + 400 * (lcg_u(&g) - 0.5));
}

static struct den_metric_case the_case(void)
{
    return (struct den_metric_case){WIDTH, HEIGHT, reference, prediction, 1, 0};
}

static double value_of(const char *name, const struct den_metric_case *c)
{
    struct den_err err = DEN_ERR_INIT;
    double value = NAN;
    const struct den_metric *metric = den_metric_find(name);
    ck_assert_msg(metric != NULL, "no metric '%s'", name);
    must(metric->value(c, &value, &err));
    return value;
}

START_TEST(values_agree_with_scikit_image)
{
    static const struct {
        const char *name;
        double want;
    } rows[] = {
        {"psnr", 28.5393996753},
        {"ssim", 0.991618497694},
        {"ssim_gaussian", 0.991608192092},
        {"nrmse", 0.0522094547269},
        {"nrmse_min_max", 0.0374136445793},
        {"nrmse_mean", 0.0569454587398},
        {"nrmse_affine", 0.0270242300443 * 4095 / 2997},
        {"si_psnr", 28.6535901533},
        {"psnr_u16wrap", 28.5393996753}, /* no error above 255: nothing wraps */
        {"ssim_cols", 0.989292364152},
        {"nrmse_paper", 0.00441100079432},
    };
    make_vectors();
    ck_assert(sum_of(reference, N) == 945146 && sum_of(prediction, N) == 946131);
    struct den_metric_case c = the_case();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        close_to(value_of(rows[i].name, &c), rows[i].want, 1e-10);
    for (size_t i = 0; i < N; i++) {
        double further =
            (double)prediction[i] + 3 * ((double)prediction[i] - (double)reference[i]);
        prediction[i] = (float)(further < 0 ? 0 : further);
    }
    close_to(value_of("psnr", &c), 16.5172, 1e-5);
    close_to(value_of("psnr_u16wrap", &c), 25.1286, 2e-6);
}
END_TEST

START_TEST(every_row_is_named_defined_and_found)
{
    ck_assert_uint_eq(den_metric_count(), 15);
    size_t of_the_paper = 0;
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++) {
        ck_assert_ptr_eq(den_metric_find(m->name), m);
        ck_assert(strlen(m->definition) > 40);
        ck_assert(strcmp(m->unit, "dB") == 0 || strcmp(m->unit, "") == 0);
        of_the_paper += m->paper;
        ck_assert(m->paper == (strstr(m->definition, "tables only") != NULL));
    }
    ck_assert_uint_eq(of_the_paper, 3);
    ck_assert_ptr_null(den_metric_find("sharpness"));
}
END_TEST

START_TEST(identical_images_are_perfect_in_every_row)
{
    make_vectors();
    struct den_metric_case c = the_case();
    c.prediction = reference;
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++) {
        double value = value_of(m->name, &c);
        if (strcmp(m->unit, "dB") == 0)
            ck_assert_msg(isinf(value) && value > 0, "%s = %g", m->name, value);
        else
            close_to(value, m->better == DEN_BETTER_LOWER ? 0.0 : 1.0, 1e-12);
    }
}
END_TEST

START_TEST(more_noise_is_worse_in_every_row)
{
    make_vectors();
    static float worse[N];
    for (size_t i = 0; i < N; i++)
        worse[i] = reference[i] + 2 * (prediction[i] - reference[i]);
    struct den_metric_case c = the_case(), d = the_case();
    d.prediction = worse;
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++) {
        double good = value_of(m->name, &c), bad = value_of(m->name, &d);
        bool worse_is_worse = m->better == DEN_BETTER_HIGHER ? bad < good
                              : m->better == DEN_BETTER_LOWER
                                  ? bad > good
                                  : fabs(bad - 1) > fabs(good - 1);
        ck_assert_msg(worse_is_worse, "%s: %g, then %g", m->name, good, bad);
    }
}
END_TEST

START_TEST(a_match_of_gain_1_and_offset_0_changes_nothing)
{
    make_vectors();
    struct den_metric_case c = the_case();
    ck_assert(value_of("psnr_matched", &c) == value_of("psnr", &c));
    ck_assert(value_of("ssim_matched", &c) == value_of("ssim", &c));
}
END_TEST

START_TEST(a_match_judges_by_the_scaled_reference)
{
    make_vectors();
    static float scaled[N];
    struct den_metric_case c = the_case(), d = the_case();
    c.a = 2, c.b = 3;
    for (size_t i = 0; i < N; i++)
        scaled[i] = 2 * reference[i] + 3;
    d.reference = scaled;
    close_to(value_of("psnr_matched", &c), value_of("psnr", &d), 1e-12);
    close_to(value_of("ssim_matched", &c), value_of("ssim", &d), 1e-12);
    ck_assert(value_of("psnr_matched", &c) != value_of("psnr", &c));
}
END_TEST

START_TEST(the_gain_match_finds_gain_and_offset)
{
    make_vectors();
    static float noisy[N];
    double a, b;
    for (size_t i = 0; i < N; i++)
        noisy[i] = 2 * reference[i] + 3;
    den_gain_match(reference, noisy, N, &a, &b);
    close_to(a, 2, 1e-12);
    close_to(b, 3, 1e-9);
    struct den_metric_case c = {WIDTH, HEIGHT, reference, noisy, a, b};
    ck_assert(value_of("psnr_matched", &c) > 200);

    float flat[3] = {7, 7, 7}, any[3] = {1, 2, 4};
    den_gain_match(flat, any, 3, &a, &b);
    ck_assert(a == 1 && b == 0);
    den_gain_match(any, flat, 3, &a, &b);
    close_to(a, 0, 1e-15);
    close_to(b, 7, 1e-15);
}
END_TEST

static double square_error(double a, double b)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double d = a * (double)reference[i] + b - (double)prediction[i];
        sum += d * d;
    }
    return sum;
}

START_TEST(no_other_gain_match_is_closer)
{
    make_vectors();
    double a, b;
    den_gain_match(reference, prediction, N, &a, &b);
    double least = square_error(a, b);
    ck_assert(least < square_error(1, 0));
    ck_assert(least < square_error(a * 1.001, b) && least < square_error(a * 0.999, b));
    ck_assert(least < square_error(a, b + 1) && least < square_error(a, b - 1));
}
END_TEST

START_TEST(the_scale_invariant_psnr_ignores_gain_and_offset_of_the_prediction)
{
    make_vectors();
    static float other[N];
    double a, b;
    struct den_metric_case c = the_case();
    double want = value_of("si_psnr", &c);
    for (size_t i = 0; i < N; i++)
        other[i] = 0.5f * prediction[i] + 1000; /* exact in float */
    c.prediction = other;
    close_to(value_of("si_psnr", &c), want, 1e-12);
    ck_assert(value_of("psnr", &c) < 20);

    den_gain_match(prediction, reference, N, &a, &b); /* here the prediction is fitted */
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double d = a * (double)prediction[i] + b - (double)reference[i];
        sum += d * d;
    }
    close_to(10 * log10(2997.0 * 2997.0 * N / sum), want, 1e-10);
    for (size_t i = 0; i < N; i++)
        other[i] = 5;
    ck_assert(isfinite(value_of("si_psnr", &c)));
}
END_TEST

/* The definition, window by window and in two passes. */
static double slow_ssim(const struct den_metric_case *c, double range, size_t taps,
                        double sigma, double unbias)
{
    double weight[11], total = 0, sum = 0, c1 = 1e-4 * range * range;
    double c2 = 9e-4 * range * range;
    size_t middle = taps / 2;
    for (size_t k = 0; k < taps; k++) {
        double t = (double)k - (double)middle;
        weight[k] = sigma > 0 ? exp(-t * t / (2 * sigma * sigma)) : 1;
        total += weight[k];
    }
    size_t across = c->width - taps + 1, down = c->height - taps + 1;
    for (size_t at = 0; at < across * down; at++) {
        double ux = 0, uy = 0, vx = 0, vy = 0, vxy = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < taps * taps; k++) {
                size_t i = (at / across + k / taps) * c->width + at % across + k % taps;
                double w = weight[k / taps] * weight[k % taps] / (total * total);
                double x = (double)c->reference[i], y = (double)c->prediction[i];
                if (pass == 0) {
                    ux += w * x;
                    uy += w * y;
                } else {
                    vx += unbias * w * (x - ux) * (x - ux);
                    vy += unbias * w * (y - uy) * (y - uy);
                    vxy += unbias * w * (x - ux) * (y - uy);
                }
            }
        sum += (2 * ux * uy + c1) * (2 * vxy + c2) /
               ((ux * ux + uy * uy + c1) * (vx + vy + c2));
    }
    return sum / (double)(across * down);
}

START_TEST(ssim_is_its_definition_for_any_shape_and_offset)
{
    static const struct {
        size_t width, height;
        double offset, amplitude;
    } rows[] = {{11, 11, 0, 1},
                {23, 11, 1e6, 10},
                {12, 40, -300, 200},
                {37, 29, 60000, 3000},
                {50, 13, 0.5, 1e-3}};
    static float x[37 * 29], y[37 * 29];
    struct lcg g = {77};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = rows[i].width * rows[i].height;
        lcg_fill_about(&g, x, n, rows[i].offset, rows[i].amplitude);
        float least = x[0], most = x[0];
        for (size_t k = 0; k < n; k++) {
            y[k] = x[k] + (float)(rows[i].amplitude * (lcg_u(&g) - 0.4));
            least = x[k] < least ? x[k] : least;
            most = x[k] > most ? x[k] : most;
        }
        double range = (double)most - (double)least;
        struct den_metric_case c = {rows[i].width, rows[i].height, x, y, 1, 0};
        close_to(value_of("ssim", &c), slow_ssim(&c, range, 7, 0, 49.0 / 48), 1e-9);
        close_to(value_of("ssim_gaussian", &c), slow_ssim(&c, range, 11, 1.5, 1), 1e-9);
    }
}
END_TEST

START_TEST(images_that_cannot_be_judged_are_refused_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    double value = 42;
    make_vectors();
    static float flat[N], broken[N];
    memcpy(broken, prediction, sizeof broken);
    broken[3 * WIDTH + 5] = (float)NAN;
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++) {
        struct den_metric_case c = the_case();
        c.reference = flat;
        must_fail(m->value(&c, &value, &err), DEN_E_UNPROCESSABLE, "same value");
        c = the_case();
        c.prediction = broken;
        must_fail(m->value(&c, &value, &err), DEN_E_UNPROCESSABLE, "x = 5, y = 3");
        c = the_case();
        c.width = 0;
        ck_assert(!m->value(&c, &value, &err) && err.code == DEN_E_UNPROCESSABLE);
        err = DEN_ERR_INIT;
    }
    struct den_metric_case c = the_case();
    c.height = 6;
    must_fail(den_metric_find("ssim")->value(&c, &value, &err), DEN_E_UNPROCESSABLE,
              "at least 7 x 7 pixels, the image has 20 x 6");
    c.height = 10;
    must_fail(den_metric_find("ssim_gaussian")->value(&c, &value, &err),
              DEN_E_UNPROCESSABLE, "at least 11 x 11");
    c = the_case();
    c.a = 0;
    must_fail(den_metric_find("psnr_matched")->value(&c, &value, &err),
              DEN_E_UNPROCESSABLE, "nothing in common");
    c = the_case();
    for (size_t i = 0; i < N; i++)
        broken[i] = reference[i] - 5000;
    c.reference = broken;
    must_fail(den_metric_find("nrmse_mean")->value(&c, &value, &err), DEN_E_UNPROCESSABLE,
              "only above 0");
    ck_assert(value == 42);
}
END_TEST

START_TEST(metrics_say_when_memory_runs_out)
{
    struct den_err err = DEN_ERR_INIT;
    double value = 42;
    make_vectors();
    struct den_metric_case c = the_case();
    size_t live = den_mem_live();
    static const struct {
        const char *name;
        size_t allocations;
    } rows[] = {{"ssim", 1}, {"frc_high", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t n = 1; n <= rows[i].allocations; n++) {
            den_mem_fail_at(n);
            must_fail(den_metric_find(rows[i].name)->value(&c, &value, &err),
                      DEN_E_NO_MEMORY, "not enough memory");
            ck_assert_uint_eq(den_mem_live(), live);
        }
}
END_TEST

/* ---- the paper's arithmetic ---- */

START_TEST(an_error_above_255_wraps_in_the_papers_psnr)
{
    static const struct {
        float error;
        double square;
    } rows[] = {
        {255, 65025},  {-255, 65025}, {256, 0},   {257, 513},
        {-300, 24464}, {0.9f, 0},     {-0.9f, 1}, {70000, 4464.0 * 4464 - 304 * 65536.0}};
    static float flat[N], other[N];
    struct den_metric_case c = {WIDTH, HEIGHT, flat, other, 1, 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t k = 0; k < N; k++) {
            flat[k] = 1000;
            other[k] = 1000 + rows[i].error;
        }
        flat[7] = other[7] = 3000; /* a range of 2000 */
        double mse = rows[i].square * (N - 1) / N, got = value_of("psnr_u16wrap", &c);
        if (mse > 0)
            close_to(got, 10 * log10(2000.0 * 2000.0 / mse), 1e-12);
        else
            ck_assert_msg(isinf(got), "%g: %g", (double)rows[i].error, got);
    }
}
END_TEST

START_TEST(images_of_the_unit_interval_have_no_16_bit_psnr)
{
    struct den_err err = DEN_ERR_INIT;
    double value = 42;
    make_vectors();
    for (size_t i = 0; i < N; i++) {
        reference[i] /= 4000;
        prediction[i] /= 4000;
    }
    struct den_metric_case c = the_case();
    must_fail(den_metric_find("psnr_u16wrap")->value(&c, &value, &err),
              DEN_E_UNPROCESSABLE, "whole numbers of 16 bits");
    ck_assert(value == 42);
}
END_TEST

START_TEST(the_papers_ssim_knows_nothing_of_rows)
{
    /* Columns in another order, in both images alike, are the same columns. */
    static float x[N], y[N];
    make_vectors();
    struct den_metric_case c = the_case(), d = {WIDTH, HEIGHT, x, y, 1, 0};
    for (size_t i = 0; i < N; i++) {
        size_t from = i / WIDTH * WIDTH + i % WIDTH * 7 % WIDTH;
        x[i] = reference[from];
        y[i] = prediction[from];
    }
    close_to(value_of("ssim_cols", &d), value_of("ssim_cols", &c), 1e-12);
    ck_assert(fabs(value_of("ssim", &d) - value_of("ssim", &c)) > 1e-6);
}
END_TEST

/* ---- sharpness ---- */

static void fill_scene(float *image, size_t width, size_t height, uint64_t seed)
{
    struct lcg g = {(uint32_t)seed};
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            image[y * width + x] =
                (float)(1000 + 300 * sin((double)(x * x) / 40) * cos((double)y / 3) +
                        200 * lcg_u(&g));
}

START_TEST(a_blurred_image_loses_gradients_and_a_sharpened_one_gains_them)
{
    enum { W = 61, H = 48, PIXELS = W * H };
    static float sharp[PIXELS], blurred[PIXELS], raised[PIXELS];
    fill_scene(sharp, W, H, 5);
    memcpy(blurred, sharp, sizeof sharp);
    memcpy(raised, sharp, sizeof sharp);
    for (size_t y = 0; y < H; y++)
        for (size_t x = 1; x + 1 < W; x++) {
            size_t i = y * W + x;
            blurred[i] = (sharp[i - 1] + sharp[i] + sharp[i + 1]) / 3;
            raised[i] = 2 * sharp[i] - blurred[i];
        }
    struct den_metric_case c = {W, H, sharp, blurred, 1, 0};
    ck_assert_double_lt(value_of("gradient_energy", &c), 0.8);
    c.prediction = raised;
    ck_assert_double_gt(value_of("gradient_energy", &c), 1.2);
    /* Against a * reference + b: three times the contrast is nine times the energy. */
    c.prediction = sharp;
    c.a = 3, c.b = -70;
    close_to(value_of("gradient_energy", &c), 1.0 / 9, 1e-9);
}
END_TEST

START_TEST(gradients_are_central_differences_inside_the_image)
{
    /* gx = 2, gy = 10 in the middle; the border is looked at from the middle alone. */
    static const float ramp[9] = {0, 10, 0, 5, 77, 9, 0, 30, 0};
    static const float steep[9] = {0, 20, 0, 5, 0, 13, 0, 80, 0}; /* gx = 4, gy = 30 */
    struct den_metric_case c = {3, 3, ramp, steep, 1, 0};
    close_to(value_of("gradient_energy", &c), (16.0 + 900) / (4 + 100), 1e-15);
    static const float checked[9] = {0, 1, 0, 1, 0, 1, 0, 1, 0};
    struct den_err err = DEN_ERR_INIT;
    double value = 42;
    c.reference = checked;
    must_fail(den_metric_find("gradient_energy")->value(&c, &value, &err),
              DEN_E_UNPROCESSABLE, "no gradient anywhere");
    c = (struct den_metric_case){2, 3, ramp, steep, 1, 0};
    must_fail(den_metric_find("gradient_energy")->value(&c, &value, &err),
              DEN_E_UNPROCESSABLE, "at least 3 x 3");
}
END_TEST

/* The definition, frequency by frequency. */
static double slow_frc(const struct den_metric_case *c)
{
    const double pi = 3.14159265358979323846;
    const float *images[2] = {c->reference, c->prediction};
    size_t w = c->width, h = c->height, side = w < h ? w : h;
    double cross[64] = {0}, power[2][64] = {{0}}, mean[2] = {0}, sum = 0;
    for (size_t i = 0; i < w * h; i++)
        for (size_t k = 0; k < 2; k++)
            mean[k] += (double)images[k][i] / (double)(w * h);
    for (size_t v = 0; v < h; v++)
        for (size_t u = 0; u < w; u++) {
            double re[2] = {0}, im[2] = {0};
            for (size_t i = 0; i < w * h; i++) {
                size_t column = i % w, row = i / w;
                double x = (double)column, y = (double)row;
                double turn =
                    2 * pi * ((double)u * x / (double)w + (double)v * y / (double)h);
                double hann = pow(sin(pi * (x + 0.5) / (double)w), 2) *
                              pow(sin(pi * (y + 0.5) / (double)h), 2);
                for (size_t k = 0; k < 2; k++) {
                    re[k] += hann * ((double)images[k][i] - mean[k]) * cos(turn);
                    im[k] -= hann * ((double)images[k][i] - mean[k]) * sin(turn);
                }
            }
            double fx = (double)(u <= w / 2 ? u : w - u) / (double)w;
            double fy = (double)(v <= h / 2 ? v : h - v) / (double)h;
            size_t r = (size_t)lround(hypot(fx, fy) * (double)side);
            cross[r] += re[0] * re[1] + im[0] * im[1];
            for (size_t k = 0; k < 2; k++)
                power[k][r] += re[k] * re[k] + im[k] * im[k];
        }
    size_t below = side / 4, last = side / 2, rings = last - below;
    for (size_t r = below + 1; r <= last; r++)
        sum += cross[r] / sqrt(power[0][r] * power[1][r]);
    return sum / (double)rings;
}

START_TEST(the_ring_correlation_is_its_definition_for_any_shape)
{
    static const size_t shapes[][2] = {{16, 16}, {17, 16}, {23, 19}, {16, 31}, {24, 20}};
    static float x[31 * 31], y[31 * 31];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t w = shapes[i][0], h = shapes[i][1];
        struct lcg g = {9};
        fill_scene(x, w, h, 3 + i);
        for (size_t k = 0; k < w * h; k++)
            y[k] = x[k] + (float)(300 * (lcg_u(&g) - 0.5));
        struct den_metric_case c = {w, h, x, y, 1, 0};
        close_to(value_of("frc_high", &c), slow_frc(&c), 1e-9);
    }
}
END_TEST

START_TEST(the_ring_correlation_of_a_large_image_is_that_of_its_middle)
{
    enum { WIDE = 1100, HIGH = 40, MIDDLE = 1024 };
    static float x[WIDE * HIGH], y[WIDE * HIGH], xm[MIDDLE * HIGH], ym[MIDDLE * HIGH];
    struct lcg g = {5};
    fill_scene(x, WIDE, HIGH, 3);
    for (size_t i = 0; i < (size_t)WIDE * HIGH; i++)
        y[i] = x[i] + (float)(300 * (lcg_u(&g) - 0.5));
    for (size_t row = 0; row < HIGH; row++) {
        size_t from = row * WIDE + (WIDE - MIDDLE) / 2;
        memcpy(xm + row * MIDDLE, x + from, MIDDLE * sizeof *x);
        memcpy(ym + row * MIDDLE, y + from, MIDDLE * sizeof *y);
    }
    struct den_metric_case whole = {WIDE, HIGH, x, y, 1, 0};
    struct den_metric_case middle = {MIDDLE, HIGH, xm, ym, 1, 0};
    close_to(value_of("frc_high", &whole), value_of("frc_high", &middle), 1e-12);
}
END_TEST

START_TEST(the_ring_correlation_sees_the_finest_detail_alone)
{
    enum { W = 96, H = 80, PIXELS = W * H };
    static float scene[PIXELS], other[PIXELS];
    struct den_metric_case c = {W, H, scene, other, 1, 0};
    struct lcg g = {4};
    fill_scene(scene, W, H, 8);
    for (size_t i = 0; i < PIXELS;
         i++) /* slow shading, gain and offset: nothing is lost */
        other[i] = (float)(2.5 * (double)scene[i] + 90 +
                           100 * sin(6.283185 * (double)(i % W) / W));
    close_to(value_of("frc_high", &c), 1, 1e-3);
    for (size_t i = 0; i < PIXELS; i++) /* nothing in common but the mean */
        other[i] = (float)(1000 + 200 * lcg_u(&g));
    ck_assert_double_lt(fabs(value_of("frc_high", &c)), 0.1);
    for (size_t i = 0; i < PIXELS; i++)
        other[i] = 3000 - scene[i];
    close_to(value_of("frc_high", &c), -1, 1e-9);
    for (size_t i = 0; i < PIXELS; i++)
        other[i] = 0.1f;
    ck_assert(value_of("frc_high", &c) == 0);
    struct den_err err = DEN_ERR_INIT;
    double value = 42;
    c.width = 15;
    must_fail(den_metric_find("frc_high")->value(&c, &value, &err), DEN_E_UNPROCESSABLE,
              "at least 16 x 16 pixels, the image has 15 x 80");
}
END_TEST

/* ---- threads ---- */

static void *judge_often(void *opaque)
{
    double *value = opaque;
    enum { W = 97, H = 64, PIXELS = W * H, TIMES = 20 };
    float *x = den_calloc(PIXELS, sizeof *x), *y = den_calloc(PIXELS, sizeof *y);
    fill_scene(x, W, H, 1);
    fill_scene(y, W, H, 2);
    struct den_metric_case c = {W, H, x, y, 1, 0};
    for (int i = 0; i < TIMES; i++) {
        struct den_err err = DEN_ERR_INIT;
        double now = 0;
        bool done = den_metric_find("frc_high")->value(&c, &now, &err);
        *value = done && (i == 0 || now == *value) ? now : (double)NAN;
    }
    den_free(x);
    den_free(y);
    return NULL;
}

START_TEST(two_threads_may_transform_at_once)
{
    pthread_t thread;
    double here = 0, there = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, judge_often, &there), 0);
    judge_often(&here);
    pthread_join(thread, NULL);
    ck_assert(isfinite(here) && here == there);
}
END_TEST

/* ---- real images ---- */

/* id, noisy, gt, a, b, psnr_noisy_vs_gt, psnr_noisy_vs_matched, ssim_noisy_vs_matched */
struct pair {
    char *noisy, *clean;
    double a, b, psnr, psnr_matched, ssim_matched;
};

static void parse_pair(char *line, struct pair *ret)
{
    struct den_err err = DEN_ERR_INIT;
    char *cell[8] = {NULL}, *rest = line;
    for (size_t i = 0; i < 8; i++)
        cell[i] = strsep(&rest, ",\r");
    ck_assert(cell[7] != NULL);
    double *number[] = {&ret->a, &ret->b, &ret->psnr, &ret->psnr_matched,
                        &ret->ssim_matched};
    for (size_t i = 0; i < 5; i++)
        must(den_parse_double(cell[3 + i], -1e9, 1e9, number[i], &err));
    ret->noisy = cell[1];
    ret->clean = cell[2];
}

static void load(const char *folder, const char *name, struct den_image *ret)
{
    struct den_err err = DEN_ERR_INIT;
    char path[512];
    ck_assert(den_str_format(path, sizeof path, "%s/%s", folder, name));
    must(den_image_load(path, NULL, ret, &err));
}

static void check_pair(const char *folder, const struct pair *pair)
{
    struct den_image noisy, clean;
    load(folder, pair->noisy, &noisy);
    load(folder, pair->clean, &clean);
    double a, b;
    den_gain_match(clean.pixels, noisy.pixels,
                   (size_t)clean.info.width * clean.info.height, &a, &b);
    struct den_metric_case c = {
        clean.info.width, clean.info.height, clean.pixels, noisy.pixels, a, b};
    ck_assert_msg(fabs(a - pair->a) < 1e-4 && fabs(b - pair->b) < 1e-3,
                  "%s: a %.6g b %.6g", pair->noisy, a, b);
    double psnr = value_of("psnr", &c), matched = value_of("psnr_matched", &c);
    double ssim = value_of("ssim_matched", &c);
    ck_assert_msg(fabs(psnr - pair->psnr) < 0.001, "%s: psnr %.4f", pair->noisy, psnr);
    ck_assert_msg(fabs(matched - pair->psnr_matched) < 0.001, "%s: psnr_matched %.4f",
                  pair->noisy, matched);
    ck_assert_msg(fabs(ssim - pair->ssim_matched) < 6e-5, "%s: ssim_matched %.5f, not %g",
                  pair->noisy, ssim, pair->ssim_matched);
    den_image_release(&noisy);
    den_image_release(&clean);
}

START_TEST(real_images_get_the_published_numbers)
{
    need_test_data(root);
    struct den_err err = DEN_ERR_INIT;
    char folder[400], path[480], *text = NULL;
    size_t length, line = 0, checked = 0;
    ck_assert(den_str_format(folder, sizeof folder, "%s/fmd_confocal_bpae_b", root));
    ck_assert(den_str_format(path, sizeof path, "%s/pairs.csv", folder));
    must(den_fs_read(path, 1 << 20, &text, &length, &err));
    for (char *rest = text, *row; (row = strsep(&rest, "\n")) != NULL; line++) {
        if (line == 0 || row[0] == '\0')
            continue;
        struct pair pair;
        parse_pair(row, &pair);
        check_pair(folder, &pair);
        checked++;
    }
    den_free(text);
    ck_assert_uint_ge(checked, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *exact = tcase_create("exact");
    tcase_add_test(exact, values_agree_with_scikit_image);
    tcase_add_test(exact, every_row_is_named_defined_and_found);
    tcase_add_test(exact, identical_images_are_perfect_in_every_row);
    tcase_add_test(exact, more_noise_is_worse_in_every_row);
    tcase_add_test(exact, a_match_of_gain_1_and_offset_0_changes_nothing);
    tcase_add_test(exact, a_match_judges_by_the_scaled_reference);
    tcase_add_test(exact, the_gain_match_finds_gain_and_offset);
    tcase_add_test(exact, no_other_gain_match_is_closer);
    tcase_add_test(exact,
                   the_scale_invariant_psnr_ignores_gain_and_offset_of_the_prediction);
    tcase_add_test(exact, ssim_is_its_definition_for_any_shape_and_offset);
    tcase_add_test(exact, images_that_cannot_be_judged_are_refused_with_a_sentence);
    tcase_add_test(exact, metrics_say_when_memory_runs_out);
    tcase_add_test(exact, an_error_above_255_wraps_in_the_papers_psnr);
    tcase_add_test(exact, images_of_the_unit_interval_have_no_16_bit_psnr);
    tcase_add_test(exact, the_papers_ssim_knows_nothing_of_rows);
    tcase_add_test(exact, a_blurred_image_loses_gradients_and_a_sharpened_one_gains_them);
    tcase_add_test(exact, gradients_are_central_differences_inside_the_image);
    tcase_add_test(exact, the_ring_correlation_is_its_definition_for_any_shape);
    tcase_add_test(exact, the_ring_correlation_of_a_large_image_is_that_of_its_middle);
    tcase_add_test(exact, the_ring_correlation_sees_the_finest_detail_alone);
    tcase_add_test(exact, two_threads_may_transform_at_once);
    suite_add_tcase(suite, exact);
    TCase *real = tcase_create("real images");
    tcase_set_timeout(real, 60);
    tcase_add_test(real, real_images_get_the_published_numbers);
    suite_add_tcase(suite, real);
    return den_check_main(suite);
}
