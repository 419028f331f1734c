/* The jail for image decoders: files read the same in it, a decoder that breaks costs one
 * file, and nothing stays behind. */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <tiffio.h>

#include "clock.h"
#include "jail_case.h"
#include "processes.h"
#include "rewrite.h"

/* ---- files --------------------------------------------------------------------------
 */

static const struct {
    const char *name, *format;
    enum den_dtype dtype;
    uint32_t width, height, pages;
} images[] = {
    {"a gray PNG of 8 bits", "png", DEN_U8, 31, 17, 1},
    {"a gray PNG of 16 bits", "png", DEN_U16, 64, 64, 1},
    {"a TIFF stack of 16 bits", "tiff", DEN_U16, 33, 21, 7},
    {"a TIFF of floats", "tiff", DEN_F32, 40, 40, 2},
    {"a page larger than the decoder's own memory", "tiff", DEN_U16, 2500, 2000, 1},
};

START_TEST(files_read_the_same_in_the_jail)
{
    make_scratch();
    struct den_image_info info =
        image_info(images[_i].format, images[_i].dtype, images[_i].width,
                   images[_i].height, images[_i].pages);
    void *pixels = random_pixels(&info);
    write_image(scratch("image"), &info, pixels);
    start_jail(0, 8);
    check_image(scratch("image"), &info, pixels);
    den_jail_stop();
    check_image(scratch("image"), &info, pixels);
    den_free(pixels);
    remove_scratch();
}
END_TEST

START_TEST(refusals_are_the_same_in_the_jail)
{
    static const struct {
        const char *name, *bytes;
        size_t length;
    } files[] = {
        {"no image", "hello", 5},
        {"a PNG that ends early", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16},
        {"a TIFF without a page", "II*\0\0\0\0\0", 8},
        {"a TIFF that points nowhere", "II*\0\xff\xff\xff\x7f", 8},
    };
    struct den_err inside = DEN_ERR_INIT, outside = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    make_scratch();
    write_bytes(scratch("file"), files[_i].bytes, files[_i].length);
    ck_assert(!den_reader_open(scratch("file"), NULL, &reader, &outside));
    start_jail(0, 0);
    ck_assert(!den_reader_open(scratch("file"), NULL, &reader, &inside));
    ck_assert_str_eq(inside.text, outside.text);
    ck_assert_int_eq((int)inside.code, (int)outside.code);
    ck_assert_int_eq(inside.limit, outside.limit);
    den_jail_stop();
    remove_scratch();
}
END_TEST

START_TEST(limits_hold_in_the_jail)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    const struct den_image_limits limits = {.side = 50};
    make_scratch();
    struct den_image_info info = image_info("tiff", DEN_U8, 51, 4, 1);
    write_random(scratch("image"), &info);
    start_jail(0, 0);
    must_fail(den_reader_open(scratch("image"), &limits, &reader, &err), DEN_E_TOO_LARGE,
              "at most 50");
    den_jail_stop();
    remove_scratch();
}
END_TEST

START_TEST(files_are_rewritten_in_the_jail)
{
    static const char *const formats[] = {"png", "tiff"};
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    make_scratch();
    struct den_image_info info = image_info(formats[_i], DEN_U16, 50, 40, 1);
    write_random(scratch("image"), &info);
    uint16_t *pixels = den_calloc(50 * (size_t)40, sizeof *pixels);
    for (size_t i = 0; i < 2000; i++)
        pixels[i] = (uint16_t)(7 * i);
    start_jail(0, 0);
    must(den_rewriter_open(scratch("image"), scratch("copy"), NULL, "denoised test",
                           &rewriter, &err));
    ck_assert_uint_eq(den_rewriter_info(rewriter)->width, 50);
    must(den_rewriter_page(rewriter, 0, pixels, &err));
    must(den_rewriter_finish(rewriter, &err));
    check_image(scratch("copy"), &info, pixels);
    /* Left half way, nothing stays behind but the file, as outside the jail. */
    must(den_rewriter_open(scratch("image"), scratch("copy"), NULL, "denoised test",
                           &rewriter, &err));
    den_rewriter_abandon(rewriter);
    den_jail_stop();
    den_free(pixels);
    remove_scratch();
}
END_TEST

/* One strip that does not get smaller. */
static void write_one_strip(const char *path, uint32_t width, uint32_t height)
{
    size_t n = (size_t)width * height;
    uint16_t *pixels = den_calloc(n, sizeof *pixels);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint16_t)(i * 2654435761U >> 7);
    TIFF *tif = TIFFOpen(path, "w");
    ck_assert_ptr_nonnull(tif);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 16);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_PACKBITS);
    TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, height);
    ck_assert_int_gt(
        TIFFWriteEncodedStrip(tif, 0, pixels, (tmsize_t)(n * sizeof *pixels)), 0);
    TIFFClose(tif);
    den_free(pixels);
}

START_TEST(a_file_that_needs_too_much_memory_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    if (DEN_JAIL_SANITIZED) {
        printf("skipped: %s (under a sanitizer)\n", __func__);
        return;
    }
    make_scratch();
    write_one_strip(scratch("image"), 2500, 2000); /* 10 MB */
    void *page = den_calloc(2500 * (size_t)2000, 2);
    for (int roomy = 0; roomy < 2; roomy++) {
        start_jail(0, roomy ? 512 : 6);
        must(den_reader_open(scratch("image"), NULL, &reader, &err));
        if (roomy)
            must(den_reader_page(reader, 0, page, &err));
        else
            must_fail(den_reader_page(reader, 0, page, &err), DEN_E_UNPROCESSABLE, "");
        den_reader_close(reader);
        den_jail_stop();
    }
    den_free(page);
    remove_scratch();
}
END_TEST

/* ---- decoders that break ------------------------------------------------------------
 */

static pid_t only_decoder(void)
{
    pid_t pid = 0;
    ck_assert_uint_eq(children_of(den_jail_nursery_pid(), &pid), 1);
    return pid;
}

struct reading {
    struct den_reader *reader;
    void *page;
    bool done;
    struct den_err err;
};

static void *read_page(void *argument)
{
    struct reading *reading = argument;
    reading->done = den_reader_page(reading->reader, 0, reading->page, &reading->err);
    return NULL;
}

static const struct {
    const char *name;
    int signal; /* 0 = leave it stopped */
    const char *words;
} ends[] = {
    {"a decoder that is killed in the middle of a page", SIGKILL, "killed by the system"},
    {"one that crashes", SIGSEGV, "it crashed, signal 11"},
    {"one that does what is forbidden", SIGSYS, "killed by the system-call filter"},
    {"one that computes too long", SIGXCPU, "out of its time limit"},
    {"one that hangs", 0, "out of its time limit of 1 seconds"},
};

START_TEST(a_decoder_that_ends_costs_one_file)
{
    if (DEN_JAIL_SANITIZED && ends[_i].signal == SIGSEGV) {
        printf("skipped: %s (a sanitizer handles the signal)\n", ends[_i].name);
        return;
    }
    make_scratch();
    struct den_image_info info = image_info("tiff", DEN_U16, 64, 64, 2);
    void *pixels = random_pixels(&info);
    write_image(scratch("image"), &info, pixels);
    start_jail(1, 0);
    pthread_t thread;
    struct den_err err = DEN_ERR_INIT;
    struct reading reading = {.page = den_calloc(1, den_image_page_bytes(&info)),
                              .err = DEN_ERR_INIT};
    must(den_reader_open(scratch("image"), NULL, &reading.reader, &err));
    pid_t decoder = only_decoder();
    /* Stopped, it has the request and cannot answer: that is the middle of a page. */
    ck_assert_int_eq(kill(decoder, SIGSTOP), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_page, &reading), 0);
    (void)usleep(100000);
    if (ends[_i].signal != 0) {
        ck_assert_int_eq(kill(decoder, ends[_i].signal), 0);
        (void)kill(decoder, SIGCONT); /* one that SIGKILL ended may be reaped already */
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!reading.done);
    ck_assert_int_eq((int)reading.err.code, DEN_E_UNPROCESSABLE);
    ck_assert_msg(strstr(reading.err.text, ends[_i].words) != NULL, "%s",
                  reading.err.text);
    must_fail(den_reader_page(reading.reader, 1, reading.page, &err), DEN_E_UNPROCESSABLE,
              ends[_i].words); /* it stays so */
    check_image(scratch("image"), &info, pixels);
    den_reader_close(reading.reader);
    den_jail_stop();
    den_free(reading.page);
    den_free(pixels);
    remove_scratch();
}
END_TEST

/* Waits until it is a zombie at most; who adopted it may let it be one. */
static void wait_for_end(pid_t pid)
{
    char path[64], line[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < 5000 && strstr(line, ") Z") == NULL; i++) {
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(line, sizeof line, file) == NULL)
            (void)snprintf(line, sizeof line, ") Z");
        if (file != NULL)
            (void)fclose(file);
        (void)usleep(2000);
    }
    ck_assert_msg(strstr(line, ") Z") != NULL, "%s", line);
}

START_TEST(a_jail_that_is_gone_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL, *other = NULL;
    make_scratch();
    struct den_image_info info = image_info("png", DEN_U8, 9, 9, 1);
    unsigned char page[81];
    write_random(scratch("image"), &info);
    start_jail(0, 0);
    must(den_reader_open(scratch("image"), NULL, &reader, &err));
    pid_t decoder = only_decoder();
    ck_assert_int_eq(kill(den_jail_nursery_pid(), SIGKILL), 0);
    wait_for_end(decoder); /* it goes with it */
    must_fail(den_reader_page(reader, 0, page, &err), DEN_E_UNPROCESSABLE, "refused");
    must_fail(den_reader_open(scratch("image"), NULL, &other, &err), DEN_E_INTERNAL,
              "has to be started again");
    den_reader_close(reader);
    den_jail_stop();
    remove_scratch();
}
END_TEST

/* ---- nothing stays ------------------------------------------------------------------
 */

START_TEST(two_hundred_files_leave_nothing_behind)
{
    enum { FILES = 200 };
    struct den_err err = DEN_ERR_INIT;
    make_scratch();
    struct den_image_info info = image_info("png", DEN_U16, 32, 32, 1);
    unsigned char page[32 * 32 * 2];
    write_random(scratch("good"), &info);
    write_bytes(scratch("bad"), "\x89PNG\r\n\x1a\nrubbish", 15);
    start_jail(0, 0);
    size_t before = open_descriptors();
    for (int i = 0; i < FILES; i++) {
        struct den_reader *reader = NULL;
        if (i % 4 == 3) {
            must_fail(den_reader_open(scratch("bad"), NULL, &reader, &err),
                      DEN_E_UNPROCESSABLE, "PNG");
            continue;
        }
        must(den_reader_open(scratch("good"), NULL, &reader, &err));
        if (i % 2 == 0) /* some are closed unread */
            must(den_reader_page(reader, 0, page, &err));
        den_reader_close(reader);
    }
    pid_t none = 0;
    ck_assert_uint_eq(open_descriptors(), before);
    ck_assert_uint_eq(children_of(den_jail_nursery_pid(), &none), 0);
    ck_assert_uint_eq(children_of(getpid(), &none), 1); /* the nursery */
    den_jail_stop();
    ck_assert_uint_eq(children_of(getpid(), &none), 0);
    ck_assert_uint_eq(open_descriptors(), before - 1);
    remove_scratch();
}
END_TEST

static void *read_files(void *path)
{
    enum { FILES = 20 };
    uintptr_t good = 0;
    for (int i = 0; i < FILES; i++) {
        struct den_image_info info;
        good += den_image_verify(path, NULL, &info, NULL) && info.pages == 5;
    }
    return good == FILES ? path : NULL;
}

START_TEST(many_threads_read_at_once)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    char path[512];
    make_scratch();
    (void)den_str_copy(path, sizeof path, scratch("image"));
    struct den_image_info info = image_info("tiff", DEN_U16, 60, 60, 5);
    write_random(path, &info);
    start_jail(0, 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_files, path), 0);
    for (int i = 0; i < THREADS; i++) {
        void *good = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &good), 0);
        ck_assert_ptr_eq(good, path);
    }
    den_jail_stop();
    remove_scratch();
}
END_TEST

/* The stand-in for a daemon; tells when the jail is up and a file open. */
_Noreturn static void hold_a_file(const char *path, int ready)
{
    struct den_reader *reader = NULL;
    const struct den_jail_options options = {.seconds = 0};
    bool done = den_jail_start(&options, NULL) &&
                den_reader_open(path, NULL, &reader, NULL) && write(ready, "x", 1) == 1;
    if (done)
        pause();
    _exit(1);
}

START_TEST(decoders_die_with_the_daemon)
{
    make_scratch();
    struct den_image_info info = image_info("png", DEN_U8, 9, 9, 1);
    const char *path = scratch("image");
    int ready[2];
    char byte;
    write_random(path, &info);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    pid_t daemon = fork();
    if (daemon == 0)
        hold_a_file(path, ready[1]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    pid_t nursery = 0, decoder = 0;
    ck_assert_uint_eq(children_of(daemon, &nursery), 1);
    ck_assert_uint_eq(children_of(nursery, &decoder), 1);
    double begin = den_monotonic_s();
    ck_assert_int_eq(kill(daemon, SIGKILL), 0);
    int ended = 0;
    while (den_monotonic_s() - begin < 1 && ended < 3) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid > 0)
            ended++;
        else
            (void)usleep(2000);
    }
    ck_assert_int_eq(ended, 3); /* daemon, nursery, decoder */
    close(ready[0]);
    remove_scratch();
}
END_TEST

/* A terminal and a service manager send these to every process at once. */
START_TEST(decoders_work_on_while_the_daemon_ends_in_order)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    make_scratch();
    struct den_image_info info = image_info("png", DEN_U8, 9, 9, 1);
    unsigned char page[81];
    write_random(scratch("image"), &info);
    start_jail(0, 0);
    must(den_reader_open(scratch("image"), NULL, &reader, &err));
    pid_t decoder = only_decoder();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(kill(den_jail_nursery_pid(), signals[i]), 0);
        ck_assert_int_eq(kill(decoder, signals[i]), 0);
    }
    must(den_reader_page(reader, 0, page, &err));
    den_reader_close(reader);
    must(den_reader_open(scratch("image"), NULL, &reader, &err));
    den_reader_close(reader);
    den_jail_stop();
    remove_scratch();
}
END_TEST

enum { IMAGES = sizeof images / sizeof *images, ENDS = sizeof ends / sizeof *ends };

int main(void)
{
    Suite *suite = suite_create("jail");
    TCase *reading = tcase_create("files"), *ending = tcase_create("ending");
    tcase_set_timeout(reading, 30);
    tcase_add_loop_test(reading, files_read_the_same_in_the_jail, 0, IMAGES);
    tcase_add_loop_test(reading, refusals_are_the_same_in_the_jail, 0, 4);
    tcase_add_test(reading, limits_hold_in_the_jail);
    tcase_add_loop_test(reading, files_are_rewritten_in_the_jail, 0, 2);
    tcase_add_test(reading, a_file_that_needs_too_much_memory_is_refused);
    suite_add_tcase(suite, reading);
    tcase_set_timeout(ending, 30);
    tcase_add_loop_test(ending, a_decoder_that_ends_costs_one_file, 0, ENDS);
    tcase_add_test(ending, a_jail_that_is_gone_is_told);
    tcase_add_test(ending, two_hundred_files_leave_nothing_behind);
    tcase_add_test(ending, many_threads_read_at_once);
    tcase_add_test(ending, decoders_die_with_the_daemon);
    tcase_add_test(ending, decoders_work_on_while_the_daemon_ends_in_order);
    suite_add_tcase(suite, ending);
    return den_check_main(suite);
}
