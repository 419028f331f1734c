/* PNG and TIFF files: what is written is read again, and nothing else is believed. */

#include <fcntl.h>
#include <math.h>

#include "image_files.h"

static const struct {
    const char *format;
    enum den_dtype dtype;
    uint32_t pages;
} kinds[] = {
    {"png", DEN_U8, 1},   {"png", DEN_U16, 1}, {"tiff", DEN_U8, 1},  {"tiff", DEN_U16, 1},
    {"tiff", DEN_F32, 1}, {"tiff", DEN_U8, 3}, {"tiff", DEN_U16, 5}, {"tiff", DEN_F32, 2},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static struct den_image_info info_of(int kind, uint32_t width, uint32_t height)
{
    return image_info(kinds[kind].format, kinds[kind].dtype, width, height,
                      kinds[kind].pages);
}

START_TEST(what_is_written_is_read_again_bit_for_bit)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 7}, {13, 1}, {211, 157}, {700, 260}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct den_image_info info = info_of(_i, sizes[i][0], sizes[i][1]);
        void *pixels = random_pixels(&info);
        write_image(scratch("image"), &info, pixels);
        check_image(scratch("image"), &info, pixels);
        den_free(pixels);
    }
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = info_of(_i, 60, 50), got;
    char *data = NULL;
    size_t length = 0, cuts = 0;
    write_random(scratch("whole"), &info);
    must(den_fs_read(scratch("whole"), 1 << 20, &data, &length, &err));
    for (size_t cut = 0; cut < length; cut += cut + 40 < length ? 64 : 1, cuts++) {
        write_bytes(scratch("cut"), data, cut);
        err = DEN_ERR_INIT;
        ck_assert_msg(!den_image_verify(scratch("cut"), NULL, &got, &err),
                      "%zu of %zu bytes were accepted", cut, length);
        ck_assert_msg(err.code == DEN_E_UNPROCESSABLE || err.code == DEN_E_UNSUPPORTED,
                      "%zu bytes: %s", cut, err.text);
        err = DEN_ERR_INIT;
    }
    ck_assert_uint_ge(cuts, 40);
    den_free(data);
}
END_TEST

START_TEST(changed_bytes_end_in_success_or_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rng rng;
    struct den_image_info info = info_of(_i, 24, 20), got;
    char *data = NULL;
    size_t length = 0, refused = 0;
    write_random(scratch("whole"), &info);
    must(den_fs_read(scratch("whole"), 1 << 20, &data, &length, &err));
    den_rng_seed(&rng, 3, DEN_STREAM_SYNTH, (uint64_t)_i);
    for (int round = 0; round < 300; round++) {
        /* Half of the changes hit the last 300 bytes, where TIFF keeps its tags. */
        size_t tail = length < 300 ? length : 300;
        size_t at = round % 2 ? den_rng_below(&rng, length)
                              : length - 1 - den_rng_below(&rng, tail);
        char old = data[at];
        data[at] = (char)den_rng_below(&rng, 256);
        write_bytes(scratch("bad"), data, length);
        err = DEN_ERR_INIT;
        if (!den_image_verify(scratch("bad"), NULL, &got, &err)) {
            ck_assert(err.code != DEN_OK && err.text[0] != '\0');
            ck_assert_msg(den_utf8_printable(err.text), "%s", err.text);
            refused++;
        }
        data[at] = old;
    }
    ck_assert_uint_gt(refused, 10);
    den_free(data);
}
END_TEST

START_TEST(no_memory_is_told_and_leaks_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = info_of(_i, 30, 20);
    write_random(scratch("image"), &info);
    size_t live = den_mem_live(), n = 1;
    for (bool done = false; !done; n++) {
        struct den_image image = {.pixels = NULL};
        ck_assert_uint_lt(n, 1000);
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = den_image_load(scratch("image"), NULL, &image, &err);
        if (!done)
            ck_assert_msg(err.code == DEN_E_NO_MEMORY || err.code == DEN_E_UNPROCESSABLE,
                          "allocation %zu: %s", n, err.text);
        den_image_release(&image);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    den_mem_fail_at(0);
    ck_assert_uint_gt(n, 3);
}
END_TEST

START_TEST(a_page_that_does_not_exist_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct den_image_info info = info_of(_i, 8, 8);
    float pixels[64];
    write_random(scratch("image"), &info);
    must(den_reader_open(scratch("image"), NULL, &reader, &err));
    must_fail(den_reader_page(reader, info.pages, pixels, &err), DEN_E_INVALID,
              "does not exist");
    must_fail(den_reader_page(reader, UINT32_MAX, pixels, &err), DEN_E_INVALID,
              "4294967295");
    must(den_reader_page_float(reader, info.pages - 1, pixels, &err));
    den_reader_close(reader);
}
END_TEST

START_TEST(limits_are_told_with_their_value)
{
    static const struct {
        struct den_image_limits limits;
        int64_t limit, actual;
    } cases[] = {
        {{.side = 39}, 39, 40},
        {{.page_pixels = 1199}, 1199, 1200},
        {{.pages = 3}, 3, 4},
        {{.decoded_bytes = 9599}, 9599, 9600},
    };
    struct den_image_info info = image_info("tiff", DEN_U16, 40, 30, 4), got;
    write_random(scratch("image"), &info);
    struct den_err err = DEN_ERR_INIT;
    must(den_image_verify(
        scratch("image"),
        &(struct den_image_limits){
            .side = 40, .page_pixels = 1200, .pages = 4, .decoded_bytes = 9600},
        &got, &err));
    ck_assert(!den_image_verify(scratch("image"), &cases[_i].limits, &got, &err));
    ck_assert_int_eq(err.code, DEN_E_TOO_LARGE);
    ck_assert_int_eq(err.limit, cases[_i].limit);
    ck_assert_int_eq(err.actual, cases[_i].actual);
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    must(den_fs_write(scratch("empty"), "", 0, &err));
    must(den_fs_write(scratch("text"), "<!DOCTYPE html><html>", 21, &err));
    must(den_fs_write(scratch("short"), "\x89PNG", 4, &err));
    must(den_fs_write(scratch("head"), "II*\0\0\0\0\0", 8, &err));
    ck_assert_int_eq(mkfifo(scratch("fifo"), 0600), 0);
    must_fail(den_image_verify(scratch("empty"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "empty");
    must_fail(den_image_verify(scratch("text"), NULL, &got, &err), DEN_E_UNSUPPORTED,
              "PNG and TIFF");
    must_fail(den_image_verify(scratch("short"), NULL, &got, &err), DEN_E_UNSUPPORTED,
              "PNG and TIFF");
    must_fail(den_image_verify(scratch("head"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "no page");
    must_fail(den_image_verify(scratch("fifo"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "regular file");
    must_fail(den_image_verify(scratch_folder, NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "regular file");
    must_fail(den_image_verify(scratch("none"), NULL, &got, &err), DEN_E_NOT_FOUND, "");
    ck_assert_ptr_null(strstr(err.text, scratch_folder));
}
END_TEST

START_TEST(numbers_that_are_none_are_refused_with_their_place)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct den_image image = {.pixels = NULL};
    struct den_image_info info = image_info("tiff", DEN_F32, 9, 5, 3), got;
    float *pixels = random_pixels(&info), page[45];
    pixels[2 * 45 + 3 * 9 + 7] = bad[_i];
    write_image(scratch("image"), &info, pixels);
    must(den_reader_open(scratch("image"), NULL, &reader, &err));
    must(den_reader_page_float(reader, 1, page, &err));
    must_fail(den_reader_page_float(reader, 2, page, &err), DEN_E_UNPROCESSABLE,
              "page 2 has a pixel that is no finite number at x 7, y 3");
    den_reader_close(reader);
    must_fail(den_image_verify(scratch("image"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "x 7, y 3");
    must_fail(den_image_load(scratch("image"), NULL, &image, &err), DEN_E_UNPROCESSABLE,
              "x 7, y 3");
    den_free(pixels);
}
END_TEST

START_TEST(floats_are_rounded_and_clipped_pixels_counted)
{
    static const float pixels[] = {-3.0f, 0.4f, 0.5f, 254.6f, 255.4f, 300.0f};
    static const unsigned char want[] = {0, 0, 1, 255, 255, 255};
    struct den_err err = DEN_ERR_INIT;
    struct den_writer *writer = NULL;
    struct den_image_info info = image_info(kinds[_i].format, DEN_U8, 3, 2, 1);
    uint64_t clipped = 40;
    must(den_writer_open(scratch("image"), &info, &writer, &err));
    must(den_writer_page_float(writer, pixels, &clipped, &err));
    must(den_writer_finish(writer, &err));
    ck_assert_uint_eq(clipped, 42);
    check_image(scratch("image"), &info, want);
}
END_TEST

START_TEST(an_image_is_loaded_and_saved_whole)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    struct den_image_info info = info_of(_i, 33, 21);
    void *pixels = random_pixels(&info);
    write_image(scratch("image"), &info, pixels);
    must(den_image_load(scratch("image"), NULL, &image, &err));
    must(den_image_save(scratch("copy"), &image, &err));
    check_image(scratch("copy"), &info, pixels);
    den_image_release(&image);
    ck_assert_ptr_null(image.pixels);
    den_free(pixels);
}
END_TEST

START_TEST(the_pixel_size_is_kept)
{
    static const double sizes[] = {0.0, 0.065, 0.1, 1.0, 6.5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_image_info info = info_of(_i, 5, 4), got;
        info.pixel_size_um = sizes[i];
        write_random(scratch("image"), &info);
        must(den_image_verify(scratch("image"), NULL, &got, &err));
        close_to(got.pixel_size_um, sizes[i], 1e-5);
    }
}
END_TEST

START_TEST(a_print_resolution_is_no_pixel_size)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = info_of(_i, 5, 4), got;
    info.pixel_size_um = 25400.0 / 72.0;
    write_random(scratch("image"), &info);
    must(den_image_verify(scratch("image"), NULL, &got, &err));
    ck_assert(got.pixel_size_um <= 0.0);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused_at_once)
{
    static const struct {
        const char *format;
        enum den_dtype dtype;
        uint32_t width, pages, channels;
        const char *words;
    } cases[] = {
        {"png", DEN_F32, 8, 1, 1, "not float32"},
        {"png", DEN_U8, 8, 2, 1, "holds 1 page"},
        {"gif", DEN_U8, 8, 1, 1, "png or tiff"},
        {"tiff", DEN_U8, 8, 0, 1, "at least 1 page"},
        {"tiff", DEN_U8, 8, 1, 3, "3 channels"},
        {"tiff", DEN_DTYPES, 8, 1, 1, "pixel type"},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_writer *writer = NULL;
    struct den_image_info info = image_info(cases[_i].format, cases[_i].dtype,
                                            cases[_i].width, 8, cases[_i].pages);
    info.channels = cases[_i].channels;
    must_fail(den_writer_open(scratch("image"), &info, &writer, &err), DEN_E_INVALID,
              cases[_i].words);
    ck_assert(!den_fs_exists(scratch("image")));
}
END_TEST

START_TEST(the_number_of_pages_is_a_promise)
{
    static const unsigned char pixels[64];
    struct den_err err = DEN_ERR_INIT;
    struct den_writer *writer = NULL;
    struct den_image_info info = image_info("tiff", DEN_U8, 8, 8, 2);
    must(den_writer_open(scratch("image"), &info, &writer, &err));
    must(den_writer_page(writer, pixels, &err));
    must_fail(den_writer_finish(writer, &err), DEN_E_INVALID, "1 of 2 pages");
    must(den_writer_open(scratch("image"), &info, &writer, &err));
    must(den_writer_page(writer, pixels, &err));
    must(den_writer_page(writer, pixels, &err));
    must_fail(den_writer_page(writer, pixels, &err), DEN_E_INVALID, "2 pages");
    den_writer_abandon(writer);
    den_writer_abandon(NULL);
}
END_TEST

/* /dev/full takes every open and refuses every write. */
START_TEST(a_full_disk_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_writer *writer = NULL;
    struct den_image_info info = info_of(_i, 700, 260);
    void *pixels = random_pixels(&info);
    size_t page = (size_t)info.width * info.height * den_dtype_bytes(info.dtype);
    bool done = den_writer_open("/dev/full", &info, &writer, &err);
    for (uint32_t i = 0; i < info.pages && done; i++) {
        done = den_writer_page(writer, (unsigned char *)pixels + i * page, &err);
        if (!done)
            den_writer_abandon(writer);
    }
    if (done)
        done = den_writer_finish(writer, &err);
    ck_assert(!done);
    ck_assert_msg(err.code == DEN_E_DISK_FULL, "%s: %s", den_code_name(err.code),
                  err.text);
    den_free(pixels);
}
END_TEST

START_TEST(the_libraries_keep_silent)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = info_of(_i, 40, 30), got;
    char *data = NULL;
    size_t length = 0;
    uint64_t said = 1;
    write_random(scratch("image"), &info);
    must(den_fs_read(scratch("image"), 1 << 20, &data, &length, &err));
    int keep = dup(STDERR_FILENO);
    int fd = open(scratch("stderr"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    size_t refused = 0;
    for (size_t at = 0; at < length; at += 7) {
        data[at] ^= 0x55;
        write_bytes(scratch("bad"), data, length);
        refused += !den_image_verify(scratch("bad"), NULL, &got, &err);
        data[at] ^= 0x55;
        err = DEN_ERR_INIT;
    }
    dup2(keep, STDERR_FILENO);
    close(fd);
    close(keep);
    must(den_fs_size(scratch("stderr"), &said, &err));
    ck_assert_uint_eq(said, 0);
    ck_assert_uint_gt(refused, 0);
    den_free(data);
}
END_TEST

START_TEST(a_long_stack_is_read_in_any_order)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct den_image_info info = image_info("tiff", DEN_U16, 16, 16, 600);
    uint16_t *pixels = random_pixels(&info), page[256];
    write_image(scratch("stack"), &info, pixels);
    must(den_reader_open(scratch("stack"), NULL, &reader, &err));
    for (uint32_t i = 0; i < 600; i++) {
        uint32_t at = i * 7 % 600;
        must(den_reader_page(reader, at, page, &err));
        ck_assert_mem_eq(page, pixels + (size_t)at * 256, sizeof page);
    }
    den_reader_close(reader);
    den_free(pixels);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image formats");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_scratch, remove_scratch);
    tcase_set_timeout(files, 60);
    tcase_add_loop_test(files, what_is_written_is_read_again_bit_for_bit, 0, KINDS);
    tcase_add_loop_test(files, a_file_cut_anywhere_is_refused, 0, KINDS);
    tcase_add_loop_test(files, changed_bytes_end_in_success_or_a_sentence, 0, KINDS);
    tcase_add_loop_test(files, no_memory_is_told_and_leaks_nothing, 0, KINDS);
    tcase_add_loop_test(files, a_page_that_does_not_exist_is_refused, 0, KINDS);
    tcase_add_loop_test(files, limits_are_told_with_their_value, 0, 4);
    tcase_add_test(files, what_is_no_image_is_refused);
    tcase_add_loop_test(files, numbers_that_are_none_are_refused_with_their_place, 0, 3);
    tcase_add_loop_test(files, floats_are_rounded_and_clipped_pixels_counted, 0, 3);
    tcase_add_loop_test(files, an_image_is_loaded_and_saved_whole, 0, KINDS);
    tcase_add_loop_test(files, the_pixel_size_is_kept, 0, KINDS);
    tcase_add_loop_test(files, a_print_resolution_is_no_pixel_size, 0, KINDS);
    tcase_add_loop_test(files, what_cannot_be_written_is_refused_at_once, 0, 6);
    tcase_add_test(files, the_number_of_pages_is_a_promise);
    tcase_add_loop_test(files, a_full_disk_is_told, 0, KINDS);
    tcase_add_loop_test(files, the_libraries_keep_silent, 0, KINDS);
    tcase_add_test(files, a_long_stack_is_read_in_any_order);
    suite_add_tcase(suite, files);
    return den_check_main(suite);
}
