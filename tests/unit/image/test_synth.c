/* The simulator: the noise is the noise of its formula. */

#include <math.h>

#include "image_files.h"
#include "synth.h"

enum { SCENES = 3, SIDE = 64, PIXELS = SIDE * SIDE, FRAMES = 400 };

static struct den_scene small_scene(int kind)
{
    struct den_scene scene = den_scene_default();
    scene.kind = den_scenes[kind].name;
    scene.width = scene.height = SIDE;
    return scene;
}

START_TEST(the_mean_of_many_frames_is_the_clean_image)
{
    static float clean[PIXELS];
    static uint16_t frame[PIXELS];
    static double sum[PIXELS], squares[PIXELS];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = small_scene(_i);
    must(den_scene_clean(&scene, clean, &err));
    for (uint64_t f = 0; f < FRAMES; f++) {
        den_scene_frame(&scene, clean, f, frame);
        for (size_t i = 0; i < PIXELS; i++) {
            double d = frame[i] - (double)clean[i];
            sum[i] += d;
            squares[i] += d * d;
        }
    }
    /* With Poisson counts of mean p: variance = gain^2 p + read_noise^2 + 1/12 by the
     * rounding.  Each pixel's mean is compared within 5.5 of its standard errors, the
     * variance as a ratio over all pixels, whose relative error is below 1 / sqrt(2e5).
     */
    double ratio = 0.0;
    for (size_t i = 0; i < PIXELS; i++) {
        double photons = ((double)clean[i] - scene.offset) / scene.gain;
        double variance = scene.gain * scene.gain * photons +
                          scene.read_noise * scene.read_noise + 1.0 / 12.0;
        double mean = sum[i] / FRAMES;
        ck_assert_msg(fabs(mean) < 5.5 * sqrt(variance / FRAMES),
                      "pixel %zu is off by %g, expected error %g", i, mean,
                      sqrt(variance / FRAMES));
        ratio += squares[i] / FRAMES / variance / PIXELS;
    }
    close_to(ratio, 1.0, 0.01);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_bytes)
{
    static float clean[PIXELS], again[PIXELS], other[PIXELS];
    static uint16_t frame[PIXELS], same[PIXELS], next[PIXELS];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = small_scene(_i);
    must(den_scene_clean(&scene, clean, &err));
    must(den_scene_clean(&scene, again, &err));
    ck_assert_mem_eq(clean, again, sizeof clean);
    den_scene_frame(&scene, clean, 3, frame);
    den_scene_frame(&scene, clean, 4, next);
    den_scene_frame(&scene, clean, 3, same);
    ck_assert_mem_eq(frame, same, sizeof frame);
    ck_assert_mem_ne(frame, next, sizeof frame);
    scene.seed++;
    must(den_scene_clean(&scene, other, &err));
    ck_assert_mem_ne(clean, other, sizeof clean);
}
END_TEST

START_TEST(the_brightest_pixel_gets_the_peak)
{
    static float clean[PIXELS];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = small_scene(_i);
    double low = INFINITY, high = 0.0;
    must(den_scene_clean(&scene, clean, &err));
    for (size_t i = 0; i < PIXELS; i++) {
        low = fmin(low, (double)clean[i]);
        high = fmax(high, (double)clean[i]);
    }
    double base = scene.offset + scene.gain * scene.background_photons;
    close_to(high, base + scene.gain * scene.peak_photons, 1e-6);
    ck_assert(low >= base - 1e-3);
    ck_assert(low < base + 0.2 * (high - base)); /* there is background as well */
}
END_TEST

/* Noise that a denoiser can show itself on: neither hopeless nor already clean. */
START_TEST(a_default_scene_has_a_noisy_psnr_of_22_to_26_db)
{
    enum { N = 256 * 256 };
    static float clean[N];
    static uint16_t frame[N];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = den_scene_default();
    scene.kind = den_scenes[_i].name;
    ck_assert_uint_eq((size_t)scene.width * scene.height, N);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        double low = INFINITY, high = 0.0, mse = 0.0;
        scene.seed = seed;
        must(den_scene_clean(&scene, clean, &err));
        den_scene_frame(&scene, clean, 0, frame);
        for (size_t i = 0; i < N; i++) {
            double d = frame[i] - (double)clean[i];
            low = fmin(low, (double)clean[i]);
            high = fmax(high, (double)clean[i]);
            mse += d * d / N;
        }
        double psnr = 10.0 * log10((high - low) * (high - low) / mse);
        ck_assert_msg(psnr > 22.0 && psnr < 26.0, "%s, seed %d: %.2f dB", scene.kind,
                      (int)seed, psnr);
    }
}
END_TEST

START_TEST(a_wider_point_spread_is_smoother)
{
    static float sharp[PIXELS], soft[PIXELS];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = small_scene(_i);
    double steps[2] = {0.0, 0.0};
    scene.psf_sigma = 0.0;
    must(den_scene_clean(&scene, sharp, &err));
    scene.psf_sigma = 3.0;
    must(den_scene_clean(&scene, soft, &err));
    for (size_t i = 0; i + 1 < PIXELS; i++) {
        steps[0] += fabs((double)sharp[i + 1] - (double)sharp[i]);
        steps[1] += fabs((double)soft[i + 1] - (double)soft[i]);
    }
    ck_assert(steps[1] < 0.9 * steps[0]);
}
END_TEST

START_TEST(odd_and_tiny_sizes_are_drawn)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 40}, {2, 2}, {37, 3}, {5, 130}};
    static float clean[1024];
    struct den_err err = DEN_ERR_INIT;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct den_scene scene = small_scene(_i);
        scene.width = sizes[i][0];
        scene.height = sizes[i][1];
        must(den_scene_clean(&scene, clean, &err));
        for (size_t j = 0; j < (size_t)scene.width * scene.height; j++)
            ck_assert(isfinite(clean[j]));
    }
}
END_TEST

START_TEST(a_wrong_value_is_named)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_scene good = den_scene_default();
    struct den_scene cases[12];
    static const char *const fields[12] = {
        "kind",      "width", "height", "peak_photons", "background_photons",
        "psf_sigma", "gain",  "gain",   "read_noise",   "offset",
        "offset",    "kind"};
    for (size_t i = 0; i < 12; i++)
        cases[i] = good;
    cases[0].kind = "stars";
    cases[1].width = 0;
    cases[2].height = 16385;
    cases[3].peak_photons = 0.0;
    cases[4].background_photons = -1.0;
    cases[5].psf_sigma = -0.1;
    cases[6].gain = 0.0;
    cases[7].gain = 60000.0; /* the brightest pixel would not fit */
    cases[8].read_noise = NAN;
    cases[9].offset = -1.0;
    cases[10].offset = INFINITY;
    cases[11].kind = NULL;
    must(den_scene_check(&good, &err));
    for (size_t i = 0; i < 12; i++) {
        err = DEN_ERR_INIT;
        ck_assert_msg(!den_scene_check(&cases[i], &err), "case %zu passed", i);
        ck_assert_int_eq(err.code, DEN_E_INVALID);
        ck_assert_str_eq(err.field, fields[i]);
        ck_assert(err.text[0] != '\0');
    }
}
END_TEST

START_TEST(no_memory_is_told_and_leaks_nothing)
{
    static float clean[PIXELS];
    struct den_err err = DEN_ERR_INIT;
    struct den_scene scene = small_scene(_i);
    size_t n = 1;
    for (bool done = false; !done; n++) {
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = den_scene_clean(&scene, clean, &err);
        ck_assert(done || err.code == DEN_E_NO_MEMORY);
        ck_assert_uint_eq(den_mem_live(), 0);
        ck_assert_uint_lt(n, 100);
    }
    ck_assert_uint_gt(n, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("synth");
    TCase *synth = tcase_create("synth");
    tcase_set_timeout(synth, 60);
    tcase_add_loop_test(synth, the_mean_of_many_frames_is_the_clean_image, 0, SCENES);
    tcase_add_loop_test(synth, the_same_seed_gives_the_same_bytes, 0, SCENES);
    tcase_add_loop_test(synth, the_brightest_pixel_gets_the_peak, 0, SCENES);
    tcase_add_loop_test(synth, a_default_scene_has_a_noisy_psnr_of_22_to_26_db, 0,
                        SCENES);
    tcase_add_loop_test(synth, a_wider_point_spread_is_smoother, 0, SCENES);
    tcase_add_loop_test(synth, odd_and_tiny_sizes_are_drawn, 0, SCENES);
    tcase_add_test(synth, a_wrong_value_is_named);
    tcase_add_loop_test(synth, no_memory_is_told_and_leaks_nothing, 0, SCENES);
    suite_add_tcase(suite, synth);
    return den_check_main(suite);
}
