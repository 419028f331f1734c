#include <math.h>
#include <string.h>

#include "contrast_frame.h"
#include "den_check.h"
#include "rng.h"

/* The noise of images, and views of them with more of it. */

enum { EDGE = 48, COUNT = EDGE * EDGE, N = 4, ALL = N * COUNT };

static void fill_noise(float *to, double deviation)
{
    struct den_rng rng;
    den_rng_seed(&rng, 3, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < COUNT; i++) {
        size_t x = i % EDGE, y = i / EDGE;
        to[i] = (float)(5 + 0.1 * (double)x - 0.05 * (double)y +
                        deviation * den_rng_normal(&rng));
    }
}

/* ---- noise ----------------------------------------------------------------------- */

START_TEST(the_level_of_noise_is_seen_through_a_slope)
{
    static float image[COUNT], scratch[COUNT];
    static const double levels[] = {0, 0.01, 0.5, 20};
    for (size_t i = 0; i < 4; i++) {
        fill_noise(image, levels[i]);
        struct den_contrast_noise noise = den_contrast_noise_fit(EDGE, image, scratch);
        double got = sqrt(den_contrast_noise_variance(&noise, 6)); /* the mean is 6.2 */
        ck_assert_msg(fabs(got - levels[i]) <= 0.06 * levels[i] + 1e-6, "%g for %g", got,
                      levels[i]);
    }
}
END_TEST

enum { LARGE = 256 };

/* A scene in photons: bright spots on a slope, as wide as some blocks; with edges, discs
 * in their place. */
static double photons_at(size_t x, size_t y, size_t side, bool edges)
{
    double sum = 2 + 8 * (double)x / (double)side;
    for (size_t k = 0; k < 5; k++) {
        double dx = (double)x / (double)side - 0.1 - 0.2 * (double)k;
        double dy = (double)y / (double)side - 0.2 - 0.15 * (double)(k * 3 % 5);
        double r = sqrt(dx * dx + dy * dy) / 0.1;
        sum += edges ? 60 * (r < 1) : 120 * exp(-r * r / 2);
    }
    return sum;
}

/* grey = offset + gain Poisson(scale photons) + sigma N(0, 1). */
struct camera {
    const char *name;
    size_t side;
    double gain, sigma, offset, scale;
    bool edges;
    double of_a, of_b; /* how far a and b may be off, as parts of them */
};

static void expose(const struct camera *c, uint64_t frame, float *image)
{
    struct den_rng rng;
    den_rng_seed(&rng, 9, DEN_STREAM_SYNTH, frame);
    for (size_t i = 0; i < c->side * c->side; i++) {
        double photons = photons_at(i % c->side, i / c->side, c->side, c->edges);
        image[i] =
            (float)(c->offset + c->gain * den_rng_poisson(&rng, c->scale * photons) +
                    c->sigma * den_rng_normal(&rng));
    }
}

static const struct camera cameras[] = {
    {"photons and a camera", LARGE, 1, 4, 100, 1, false, 0.15, 0.25},
    {"photons alone", LARGE, 0.02, 0, -1, 1, false, 0.15, 0.25},
    {"much light", LARGE, 0.5, 3, 0, 20, false, 0.15, 0.25},
    {"half of the side", LARGE / 2, 1, 4, 100, 1, false, 0.15, 0.25},
    {"discs with edges", LARGE, 1, 4, 100, 1, true, 0.15, 0.25},
};

START_TEST(photons_and_camera_are_told_apart)
{
    static float image[LARGE * LARGE], scratch[LARGE * LARGE];
    const struct camera *c = &cameras[_i];
    for (uint64_t frame = 0; frame < 5; frame++) {
        expose(c, frame, image);
        struct den_contrast_noise noise = den_contrast_noise_fit(c->side, image, scratch);
        double b = c->gain * (noise.dark - c->offset) + c->sigma * c->sigma;
        printf("%s: a %.3f b %.3f of the true ones\n", c->name, noise.a / c->gain,
               noise.b / b);
        fflush(stdout);
        close_to(noise.a, c->gain, c->of_a * c->gain);
        close_to(noise.b, b, c->of_b * b);
    }
}
END_TEST

/* The same variance everywhere, though the image is not the same everywhere. */
START_TEST(noise_of_a_camera_alone_has_hardly_a_slope)
{
    static float image[LARGE * LARGE], scratch[LARGE * LARGE];
    struct den_rng rng;
    den_rng_seed(&rng, 9, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < (size_t)LARGE * LARGE; i++)
        image[i] = (float)(photons_at(i % LARGE, i / LARGE, LARGE, false) +
                           5 * den_rng_normal(&rng));
    struct den_contrast_noise noise = den_contrast_noise_fit(LARGE, image, scratch);
    close_to(noise.b, 25, 2);
    close_to(den_contrast_noise_variance(&noise, 120), 25, 6);
}
END_TEST

static const struct {
    size_t side;
    double level, sigma;
} flats[] = {
    {LARGE, 0, 1}, {64, 50, 0.1}, {64, -3, 20}, {16, 7, 1}, {8, 1, 1},
    {5, 1, 1},     {64, 2, 0},    {2, 2, 0},    {1, 2, 0},
};

/* Poisson noise has a slope even then: b alone is what can be known. */
START_TEST(a_flat_image_has_one_variance)
{
    static float image[LARGE * LARGE], scratch[LARGE * LARGE];
    size_t side = flats[_i].side;
    double sigma = flats[_i].sigma, chance = 6 / (double)side;
    struct den_rng rng;
    den_rng_seed(&rng, 9, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < side * side; i++)
        image[i] = (float)(flats[_i].level + sigma * den_rng_normal(&rng));
    struct den_contrast_noise noise = den_contrast_noise_fit(side, image, scratch);
    close_to(noise.a, 0, 0);
    close_to(noise.b, sigma * sigma, chance * sigma * sigma);
}
END_TEST

/* ---- views ----------------------------------------------------------------------- */

/* A constant without noise shows gain and offset alone. */
START_TEST(brightness_stays_within_the_ranges_of_the_method)
{
    static float from[N * COUNT], to[N * COUNT], work[COUNT];
    const struct den_contrast_frames frames = {1, N, EDGE, -1, 3, work, NULL};
    double least = 1e9, most = -1e9;
    for (size_t i = 0; i < ALL; i++)
        from[i] = 2;
    for (uint64_t b = 0; b < 200; b++) {
        den_contrast_frames_fill(&frames, b, from, to);
        for (size_t i = 0; i < N; i++) {
            double value = (double)to[i * COUNT];
            for (size_t k = 0; k < COUNT; k += 7)
                close_to((double)to[i * COUNT + k], value, 1e-6);
            least = fmin(least, value);
            most = fmax(most, value);
        }
    }
    /* -1 + 3 gain + 4 offset */
    ck_assert_msg(least >= -1 + 2.1 - 0.4 && least < 0.95, "%g", least);
    ck_assert_msg(most <= -1 + 3.9 + 0.4 && most > 3.05, "%g", most);
}
END_TEST

/* Of the noise at the mean of the image. */
static double level_of(const float *image)
{
    static float scratch[COUNT];
    struct den_contrast_noise noise = den_contrast_noise_fit(EDGE, image, scratch);
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++)
        sum += (double)image[i];
    return sqrt(den_contrast_noise_variance(&noise, sum / COUNT));
}

START_TEST(a_view_has_more_noise_than_its_image_but_not_much_more)
{
    static float from[N * COUNT], to[N * COUNT], work[COUNT];
    const struct den_contrast_frames frames = {1, N, EDGE, 0, 10, work, NULL};
    for (size_t i = 0; i < N; i++)
        fill_noise(from + i * COUNT, 0.5);
    for (uint64_t b = 0; b < 20; b++) {
        den_contrast_frames_fill(&frames, b, from, to);
        for (size_t i = 0; i < N; i++) {
            /* resizing smooths what was there; gain is 0.7 to 1.3, the new variance 0.5
             * to 2 times 0.25 */
            double level = level_of(to + i * COUNT);
            ck_assert_msg(level > 0.33 && level < 1.05, "%g", level);
        }
    }
}
END_TEST

/* A dark half with noise of 0.1 beside a bright one of 2: the views keep them apart,
 * wherever turns and flips put them. */
START_TEST(noise_is_added_where_the_image_has_it)
{
    static float from[N * COUNT], to[N * COUNT], work[COUNT];
    const struct den_contrast_frames frames = {1, N, EDGE, 0, 100, work, NULL};
    struct den_rng rng;
    den_rng_seed(&rng, 4, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < ALL; i++)
        from[i] = i % EDGE < EDGE / 2 ? (float)(10 + 0.1 * den_rng_normal(&rng))
                                      : (float)(90 + 2 * den_rng_normal(&rng));
    double sums[2] = {0};
    for (uint64_t batch = 0; batch < 20; batch++) {
        den_contrast_frames_fill(&frames, batch, from, to);
        for (size_t i = 0; i < ALL; i++)
            if (i % EDGE + 1 < EDGE && fabsf(to[i] - to[i + 1]) < 15)
                sums[to[i] > 50] += (double)fabsf(to[i] - to[i + 1]);
    }
    ck_assert_msg(sums[1] > 5 * sums[0], "%g bright, %g dark", sums[1], sums[0]);
}
END_TEST

START_TEST(views_are_a_function_of_seed_and_batch_on_any_number_of_threads)
{
    static float from[N * COUNT], a[N * COUNT], b[N * COUNT], work[2 * COUNT];
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *two = NULL;
    must(den_pool_new(2, &two, &err));
    for (size_t i = 0; i < N; i++)
        fill_noise(from + i * COUNT, 0.5);
    struct den_contrast_frames frames = {1, N, EDGE, 0, 10, work, NULL};
    den_contrast_frames_fill(&frames, 7, from, a);
    frames.pool = two;
    den_contrast_frames_fill(&frames, 7, from, b);
    ck_assert_mem_eq(a, b, sizeof a);
    den_contrast_frames_fill(&frames, 8, from, b);
    ck_assert_mem_ne(a, b, sizeof a);
    frames.seed = 2;
    den_contrast_frames_fill(&frames, 7, from, b);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_mem_ne(a, a + COUNT, COUNT * sizeof *a);
    den_pool_free(two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contrast_frame");
    TCase *t = tcase_create("noise");
    tcase_add_test(t, the_level_of_noise_is_seen_through_a_slope);
    tcase_add_loop_test(t, photons_and_camera_are_told_apart, 0,
                        (int)(sizeof cameras / sizeof cameras[0]));
    tcase_add_test(t, noise_of_a_camera_alone_has_hardly_a_slope);
    tcase_add_loop_test(t, a_flat_image_has_one_variance, 0,
                        (int)(sizeof flats / sizeof flats[0]));
    suite_add_tcase(suite, t);
    t = tcase_create("views");
    tcase_add_test(t, noise_is_added_where_the_image_has_it);
    tcase_add_test(t, brightness_stays_within_the_ranges_of_the_method);
    tcase_add_test(t, a_view_has_more_noise_than_its_image_but_not_much_more);
    tcase_add_test(t, views_are_a_function_of_seed_and_batch_on_any_number_of_threads);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
