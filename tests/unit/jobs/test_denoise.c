/* What a denoise job changes in a file, and what it leaves alone. */

#include <math.h>
#include <tiffio.h>

#include "filter.h"
#include "job_case.h"

enum { W = 24, H = 20, PLANE = W * H };

/* Values that are all different enough to notice a plane in the wrong place. */
static uint16_t value_of(uint32_t page, uint32_t sample, size_t i)
{
    return (uint16_t)(1000 * (page + 1) + 7000 * sample + i * 37 % 211);
}

/* Contiguous 16-bit samples; with 2 or 4 of them the last is opacity.  description NULL:
 * none. */
static void write_tiff(const char *path, uint32_t pages, uint16_t samples,
                       const char *description)
{
    uint16_t row[W * 4], opacity = EXTRASAMPLE_UNASSALPHA;
    TIFF *tif = TIFFOpen(path, "w");
    ck_assert_ptr_nonnull(tif);
    for (uint32_t page = 0; page < pages; page++) {
        TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, (uint32_t)W);
        TIFFSetField(tif, TIFFTAG_IMAGELENGTH, (uint32_t)H);
        TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 16);
        TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, samples);
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 7);
        TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
        TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
        TIFFSetField(tif, TIFFTAG_PHOTOMETRIC,
                     samples > 2 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
        if (samples % 2 == 0)
            TIFFSetField(tif, TIFFTAG_EXTRASAMPLES, 1, &opacity);
        if (description != NULL && page == 0)
            TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, description);
        for (uint32_t y = 0; y < H; y++) {
            for (size_t x = 0; x < W; x++)
                for (uint16_t s = 0; s < samples; s++)
                    row[x * samples + s] = value_of(page, s, (size_t)y * W + x);
            ck_assert_int_eq(TIFFWriteScanline(tif, row, y, 0), 1);
        }
        ck_assert_int_eq(TIFFWriteDirectory(tif), 1);
    }
    TIFFClose(tif);
}

static struct den_image_row add_tiff(const char *name, uint32_t pages, uint16_t samples,
                                     const char *description)
{
    char path[PATH_MAX];
    den_blobs_temporary(den_service_blobs(service), path, sizeof path);
    write_tiff(path, pages, samples, description);
    return add_file(path, name);
}

static void result_path(const struct den_job_row *job, char *path)
{
    den_blobs_path(den_service_blobs(service), job->result_sha256, path, PATH_MAX);
}

/* A sample of a page is what the median makes of it where it was chosen, and else what it
 * was. */
static void check_result(const struct den_job_row *job, uint32_t pages, uint32_t samples,
                         bool (*chosen)(uint32_t page, uint32_t sample))
{
    const double radius[DEN_FILTER_OPTIONS] = {1};
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    char path[PATH_MAX];
    uint16_t *got = den_calloc((size_t)PLANE * 4, sizeof *got);
    float noisy[PLANE], want[PLANE];
    result_path(job, path);
    must(den_reader_open(path, NULL, &reader, &err));
    ck_assert_uint_eq(den_reader_info(reader)->pages, pages);
    ck_assert_uint_eq(den_reader_info(reader)->channels, samples);
    for (uint32_t page = 0; page < pages; page++) {
        must(den_reader_page(reader, page, got, &err));
        for (uint32_t s = 0; s < samples; s++) {
            for (size_t i = 0; i < PLANE; i++)
                noisy[i] = value_of(page, s, i);
            must(den_filter_median.apply(NULL, W, H, noisy, want, radius, &err));
            for (size_t i = 0; i < PLANE; i++)
                ck_assert_uint_eq(got[(size_t)s * PLANE + i],
                                  (uint16_t)(chosen(page, s) ? want[i] : noisy[i]));
        }
    }
    den_reader_close(reader);
    den_free(got);
}

static struct den_job_request median_of(const char *image)
{
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, image);
    set(&request, "radius", "1");
    return request;
}

static bool all_light(uint32_t page, uint32_t sample)
{
    (void)page;
    return sample < 3;
}

static bool green_of_pages_1_and_3(uint32_t page, uint32_t sample)
{
    return sample == 1 && (page == 1 || page == 3);
}

START_TEST(colors_are_denoised_one_by_one_and_opacity_is_left)
{
    struct den_image_row image = add_tiff("rgba.tif", 2, 4, NULL);
    ck_assert_uint_eq(image.info.channels, 4);
    ck_assert(image.info.alpha);
    struct den_job_request request = median_of(image.id);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    check_result(&job, 2, 4, all_light);
    ck_assert_uint_eq(job.planes, 6);
    ck_assert_uint_eq(job.planes_left, 2);
    ck_assert_uint_eq(job.steps, 6);
    ck_assert_str_eq(job.dtype, "uint16");
    ck_assert_str_eq(job.model_sha256, "");
}
END_TEST

START_TEST(planes_that_are_not_chosen_keep_every_bit)
{
    struct den_image_row image = add_tiff("rgba.tif", 5, 4, NULL);
    struct den_job_request request = median_of(image.id);
    assign(request.pages, "1,3");
    assign(request.channels, "1");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    check_result(&job, 5, 4, green_of_pages_1_and_3);
    ck_assert_uint_eq(job.planes, 2);
    ck_assert_uint_eq(job.planes_left, 18);
    ck_assert_str_eq(job.config, "radius=1\npages=1,3\nchannels=1\n");
}
END_TEST

static bool second_channel(uint32_t page, uint32_t sample)
{
    (void)sample;
    return page % 2 == 1;
}

START_TEST(channels_of_a_series_are_those_of_its_axis)
{
    struct den_image_row image = add_tiff("series.tif", 6, 1,
                                          "ImageJ=1.53t\nimages=6\nchannels=2\nslices="
                                          "3\nhyperstack=true\nmode=composite\n");
    ck_assert_str_eq(image.info.axes.source, "imagej");
    ck_assert_uint_eq(image.info.axes.c, 2);
    struct den_job_request request = median_of(image.id);
    assign(request.channels, "1");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    check_result(&job, 6, 1, second_channel);
    ck_assert_uint_eq(job.planes, 3);
    ck_assert_uint_eq(job.planes_left, 3);
}
END_TEST

START_TEST(a_selection_outside_the_image_is_refused_before_the_queue)
{
    struct den_image_row image = add_tiff("gray.tif", 3, 1, NULL);
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request request = median_of(image.id);
    struct den_job_row row;
    struct den_job_estimate estimate;
    assign(request.pages, "0-3");
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                 &estimate, &err),
              DEN_E_INVALID, "page 3 does not exist");
    assign(request.pages, "");
    assign(request.channels, "1");
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                 &estimate, &err),
              DEN_E_INVALID, "channel 1 does not exist");
    struct den_job_request train = {.kind = "evaluate", .method = "median"};
    assign(train.pages, "0");
    ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, &train, false, &row,
                                  &estimate, &err));
    ck_assert_str_eq(err.field, "/pages");
}
END_TEST

/* The bytes of a file hold the line somewhere, whatever tag it is in. */
START_TEST(the_result_says_where_it_comes_from)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row image = add_tiff("gray.tif", 3, 1, NULL);
    struct den_job_request request = median_of(image.id);
    char path[PATH_MAX], want[200], *bytes = NULL;
    size_t length = 0;
    assign(request.pages, "0,2");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    result_path(&job, path);
    must(den_fs_read(path, 1 << 20, &bytes, &length, &err));
    (void)den_str_format(want, sizeof want,
                         "denoised %s; job %s; filter median(radius=1); channels all; "
                         "pages 0,2",
                         DEN_VERSION, job.id);
    ck_assert_msg(memmem(bytes, length, want, strlen(want)) != NULL, "no '%s'", want);
    den_free(bytes);
}
END_TEST

START_TEST(the_estimate_goes_by_earlier_jobs_once_there_are_some)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row image = add_tiff("gray.tif", 3, 1, NULL);
    struct den_job_request request = median_of(image.id);
    struct den_job_row row;
    struct den_job_estimate before, after, part;
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &before,
                            &err));
    ck_assert(!before.measured);
    ck_assert(before.seconds > 0);
    wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    must(
        den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &after, &err));
    ck_assert(after.measured);
    ck_assert(after.seconds > 0 && after.seconds < 60);
    ck_assert_uint_eq(before.bytes, after.bytes);
    assign(request.pages, "1");
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &part, &err));
    ck_assert_double_eq_tol(part.seconds * 3, after.seconds, after.seconds * 1e-9);
    ck_assert_uint_eq(part.steps, 1);
}
END_TEST

/* The first page is dim and the second bright: by itself each would fill the range. */
START_TEST(a_model_that_goes_by_the_image_goes_by_the_whole_series)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row data = add_pairs("set");
    struct den_job_request train = train_request(data.id, "4");
    assign(train.model, "joint");
    set(&train, "normalisation", "batch_joint");
    wait_for(submit(&train).id, DEN_JOB_SUCCEEDED);
    struct den_image_row image = add_tiff("two.tif", 2, 1, NULL);
    struct den_job_request request = {.kind = "denoise", .model = "joint"};
    struct den_image whole, alone;
    char path[PATH_MAX];
    assign(request.image, image.id);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_uint_eq(strlen(job.model_sha256), 64);
    result_path(&job, path);
    must(den_image_load(path, NULL, &whole, &err));
    assign(request.pages, "0");
    job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    result_path(&job, path);
    must(den_image_load(path, NULL, &alone, &err));
    size_t changed = 0;
    for (size_t i = 0; i < PLANE; i++)
        changed += whole.pixels[i] != alone.pixels[i];
    ck_assert_uint_gt(changed, 0);
    for (size_t i = 0; i < PLANE; i++) /* the page that was not chosen */
        ck_assert(alone.pixels[PLANE + i] == (float)value_of(1, 0, i));
    den_image_release(&whole);
    den_image_release(&alone);
}
END_TEST

/* Two workers, and a limit that is enough for one of the two jobs at a time. */
START_TEST(jobs_that_do_not_fit_beside_each_other_run_one_after_the_other)
{
    enum { JOBS = 4 };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row image = add_scene(
        "big.tif", 3, 0, info_of("tiff", DEN_U16, test_sanitized() ? 128 : 512, 2));
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    struct den_job_row row, jobs[JOBS];
    struct den_job_estimate estimate;
    assign(request.image, image.id);
    set(&request, "radius", "5");
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &estimate,
                            &err));
    close_all();
    struct den_service_config config = usual_config();
    config.memory_limit = estimate.bytes + estimate.bytes / 2;
    open_with(config);
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = submit(&request);
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = wait_for(jobs[i].id, DEN_JOB_SUCCEEDED);
    bool waited = false;
    for (size_t i = 0; i < JOBS; i++)
        waited |= has_event(jobs[i].id, "log", "waiting for memory", false);
    ck_assert(waited);
    config.memory_limit = estimate.bytes - 1;
    close_all();
    open_with(config);
    ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row,
                                  &estimate, &err));
    ck_assert_int_eq(err.code, DEN_E_UNPROCESSABLE);
    ck_assert_msg(strstr(err.text, "MiB of memory and a job may have") != NULL, "%s",
                  err.text);
    ck_assert_int_eq(err.limit, (int64_t)config.memory_limit);
    ck_assert_int_eq(err.actual, (int64_t)config.memory_limit + 1);
}
END_TEST

START_TEST(data_sets_take_only_images_of_one_sample)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row rgb = add_tiff("rgb.tif", 1, 3, NULL),
                         alpha = add_tiff("ga.tif", 1, 2, NULL),
                         gray = add_tiff("g.tif", 1, 1, NULL);
    struct den_dataset_item items[1];
    struct den_dataset_row row;
    assign(items[0].noisy, rgb.id);
    assign(items[0].clean, gray.id);
    must_fail(den_service_add_dataset(service, DEN_OWNER_LOCAL, "s", "pairs", items, 1,
                                      &row, &err),
              DEN_E_UNPROCESSABLE,
              "this image has 3 samples a pixel; only images with 1");
    assign(items[0].noisy, gray.id);
    assign(items[0].clean, alpha.id);
    must_fail(den_service_add_dataset(service, DEN_OWNER_LOCAL, "s", "pairs", items, 1,
                                      &row, &err),
              DEN_E_UNPROCESSABLE, "2 samples a pixel, one of them opacity");
    assign(items[0].noisy, alpha.id);
    must_fail(den_service_add_dataset(service, DEN_OWNER_LOCAL, "s", "repeats", items, 1,
                                      &row, &err),
              DEN_E_UNPROCESSABLE, "opacity");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("denoise");
    TCase *tcase = tcase_create("denoise");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, colors_are_denoised_one_by_one_and_opacity_is_left);
    tcase_add_test(tcase, planes_that_are_not_chosen_keep_every_bit);
    tcase_add_test(tcase, channels_of_a_series_are_those_of_its_axis);
    tcase_add_test(tcase, a_selection_outside_the_image_is_refused_before_the_queue);
    tcase_add_test(tcase, the_result_says_where_it_comes_from);
    tcase_add_test(tcase, the_estimate_goes_by_earlier_jobs_once_there_are_some);
    tcase_add_test(tcase, a_model_that_goes_by_the_image_goes_by_the_whole_series);
    tcase_add_test(tcase, jobs_that_do_not_fit_beside_each_other_run_one_after_the_other);
    tcase_add_test(tcase, data_sets_take_only_images_of_one_sample);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
