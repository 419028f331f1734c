/* Copies in which only pixels change: real files, and what can go wrong. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "rewrite_files.h"

enum { FILE_MOST = 6 << 20 }; /* bytes: larger files are left out, for time */

struct tally {
    int files, copies, refused;
};

static bool has_image_name(const char *name)
{
    return strstr(name, ".tif") != NULL || strstr(name, ".png") != NULL;
}

/* Every way of changing; the source stays as it was, bit by bit. */
static void try_file(const char *path, struct tally *tally)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    struct den_reader *reader = NULL;
    char *before = NULL, *after = NULL;
    size_t length = 0, length_after = 0;
    if (!den_reader_open(path, NULL, &reader, &err)) {
        tally->refused++;
        return;
    }
    info = *den_reader_info(reader);
    void *page = den_calloc(1, den_image_page_bytes(&info));
    bool readable = true;
    for (uint32_t i = 0; i < info.pages && readable; i++)
        readable = den_reader_page(reader, i, page, &err);
    den_free(page);
    den_reader_close(reader);
    if (!readable) {
        tally->refused++;
        return;
    }
    err = DEN_ERR_INIT;
    must(den_fs_read(path, FILE_MOST, &before, &length, &err));
    for (int change = 0; change < CHANGES; change++, tally->copies++)
        rewrite_and_check(path, (enum change)change);
    must(den_fs_read(path, FILE_MOST, &after, &length_after, &err));
    ck_assert_uint_eq(length, length_after);
    ck_assert_mem_eq(before, after, length);
    den_free(before);
    den_free(after);
    tally->files++;
}

static const struct {
    const char *folder;
    int at_least, most; /* files that are rewritten; 0 = all that are there */
} folders[] = {
    {"format_variants", 40, 0}, {"ome_tiff", 4, 0},           {"neubias_tiff", 17, 0},
    {"tiff_formats", 80, 0},    {"nuclei_16bit/noisy", 1, 2},
};

START_TEST(real_files_are_rewritten_and_only_pixels_change)
{
    need_test_data(root);
    struct tally tally = {.files = 0};
    char path[1024];
    struct dirent *entry = NULL;
    ck_assert(den_str_format(path, sizeof path, "%s/%s", root, folders[_i].folder));
    DIR *folder = opendir(path);
    ck_assert_msg(folder != NULL, "%s", path);
    while ((entry = readdir(folder)) != NULL) {
        uint64_t size = 0;
        struct den_err err = DEN_ERR_INIT;
        if (!has_image_name(entry->d_name) ||
            (folders[_i].most != 0 && tally.files == folders[_i].most))
            continue;
        ck_assert(den_str_format(path, sizeof path, "%s/%s/%s", root, folders[_i].folder,
                                 entry->d_name));
        must(den_fs_size(path, &size, &err));
        if (size <= FILE_MOST)
            try_file(path, &tally);
    }
    closedir(folder);
    printf("%s: %d files, %d copies, %d not read\n", folders[_i].folder, tally.files,
           tally.copies, tally.refused);
    ck_assert_int_ge(tally.files, folders[_i].at_least);
}
END_TEST

START_TEST(pages_that_are_not_replaced_keep_their_pixels)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_info info = image_info("tiff", DEN_U16, 31, 20, 5);
    uint16_t *pixels = random_pixels(&info);
    size_t page = (size_t)info.width * info.height;
    write_image(scratch("source"), &info, pixels);
    must(den_rewriter_open(scratch("source"), scratch("copy"), NULL, "a", &rewriter,
                           &err));
    ck_assert_uint_eq(den_rewriter_info(rewriter)->pages, 5);
    for (size_t i = 0; i < page; i++)
        pixels[3 * page + i] ^= 21;
    must(den_rewriter_page(rewriter, 3, pixels + 3 * page, &err));
    must(den_rewriter_finish(rewriter, &err));
    check_image(scratch("copy"), &info, pixels);
    den_free(pixels);
}
END_TEST

START_TEST(a_page_is_replaced_once_and_must_exist)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_info info = image_info("tiff", DEN_U8, 8, 8, 2);
    unsigned char pixels[64] = {0};
    write_random(scratch("source"), &info);
    must(den_rewriter_open(scratch("source"), scratch("copy"), NULL, "a", &rewriter,
                           &err));
    must_fail(den_rewriter_page(rewriter, 2, pixels, &err), DEN_E_INVALID,
              "page 2 does not exist; the image has pages 0 to 1");
    must(den_rewriter_page(rewriter, 1, pixels, &err));
    must_fail(den_rewriter_page(rewriter, 1, pixels, &err), DEN_E_INVALID,
              "page 1 was rewritten before");
    must(den_rewriter_finish(rewriter, &err));
    den_rewriter_abandon(NULL);
}
END_TEST

START_TEST(what_cannot_be_rewritten_is_refused_and_nothing_left)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_info info = image_info("tiff", DEN_U8, 8, 8, 1);
    char long_text[1002];
    memset(long_text, 'x', sizeof long_text);
    long_text[1001] = '\0';
    write_random(scratch("source"), &info);
    must(den_fs_write(scratch("text"), "no image", 8, &err));
    static const struct {
        const char *source, *copy, *provenance;
        enum den_code code;
        const char *words;
    } cases[] = {
        {"none", "copy", "a", DEN_E_NOT_FOUND, ""},
        {"text", "copy", "a", DEN_E_UNSUPPORTED, "PNG and TIFF"},
        {"source", "copy", "", DEN_E_INVALID, "0 bytes"},
        {"source", "copy", "a\nb", DEN_E_INVALID, "one line"},
        {"source", "copy", "\xff", DEN_E_INVALID, "UTF-8"},
        {"source", "copy", NULL, DEN_E_INVALID, "1001 bytes"},
        {"source", "source", "a", DEN_E_INVALID, "its own file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].provenance == NULL ? long_text : cases[i].provenance;
        must_fail(den_rewriter_open(scratch(cases[i].source), scratch(cases[i].copy),
                                    NULL, text, &rewriter, &err),
                  cases[i].code, cases[i].words);
    }
    ck_assert(!den_fs_exists(scratch("copy")));
    must(den_image_verify(scratch("source"), NULL, &info, &err));
}
END_TEST

/* A strip-compressed stack, so that every branch of the rewriter allocates. */
static const char *compressed_source(char *path, size_t size)
{
    const char *root = den_test_data();
    if (root == NULL)
        return NULL;
    ck_assert(den_str_format(path, size, "%s/format_variants/u16_tile_lzw_be.tif", root));
    return path;
}

START_TEST(no_memory_is_told_and_leaks_nothing)
{
    char path[1024];
    const char *source = compressed_source(path, sizeof path);
    if (source == NULL)
        return;
    size_t live = den_mem_live(), n = 1;
    for (bool done = false; !done; n++) {
        struct den_err err = DEN_ERR_INIT;
        ck_assert_uint_lt(n, 2000);
        den_mem_fail_at(n);
        done = rewrite_file(source, scratch("copy"), NOISE, &err);
        den_mem_fail_at(0);
        if (!done)
            ck_assert_msg(err.code == DEN_E_NO_MEMORY || err.code == DEN_E_UNPROCESSABLE,
                          "allocation %zu: %s: %s", n, den_code_name(err.code), err.text);
        if (!done)
            ck_assert(err.text[0] != '\0');
        ck_assert_uint_eq(den_mem_live(), live);
    }
    ck_assert_uint_gt(n, 10);
    check_changed(source, scratch("copy"), NOISE);
}
END_TEST

/* /dev/full takes every open and refuses every write. */
START_TEST(a_full_disk_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_info info = image_info("tiff", DEN_U16, 60, 50, 2);
    write_random(scratch("source"), &info);
    must_fail(
        den_rewriter_open(scratch("source"), "/dev/full", NULL, "a", &rewriter, &err),
        DEN_E_DISK_FULL, "cannot be written");
    ck_assert_int_eq(access("/dev/full", F_OK), 0);
}
END_TEST

/* The copy may become as long as the source, but not longer: the new parts have no place.
 */
START_TEST(a_copy_that_may_not_grow_ends_in_an_error)
{
    char path[1024];
    const char *source = compressed_source(path, sizeof path);
    uint64_t size = 0;
    struct den_err err = DEN_ERR_INIT;
    if (source == NULL)
        return;
    must(den_fs_size(source, &size, &err));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    bool done = rewrite_file(source, scratch("copy"), NOISE, &err);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!done);
    ck_assert_msg(err.code == DEN_E_IO, "%s: %s", den_code_name(err.code), err.text);
    err = DEN_ERR_INIT;
    must(rewrite_file(source, scratch("copy"), NOISE, &err));
    check_changed(source, scratch("copy"), NOISE);
}
END_TEST

static size_t peak_of(uint32_t pages)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = image_info("tiff", DEN_U16, 64, 64, pages);
    write_random(scratch("stack"), &info);
    size_t live = den_mem_live();
    den_mem_reset_peak();
    must(rewrite_file(scratch("stack"), scratch("copy"), FLIP, &err));
    size_t peak = den_mem_peak() - live;
    check_changed(scratch("stack"), scratch("copy"), FLIP);
    return peak;
}

/* A page has 8 KiB of pixels; what grows is the list of directories, of reader and
 * rewriter, and for a moment that of the pieces of the file. */
START_TEST(a_stack_of_1000_pages_needs_as_much_memory_as_one_of_100)
{
    size_t few = peak_of(100), many = peak_of(1000);
    printf("peak of 100 pages %zu, of 1000 pages %zu bytes\n", few, many);
    ck_assert_uint_lt(many - few, (size_t)900 * 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite");
    TCase *tcase = tcase_create("rewrite");
    tcase_add_checked_fixture(tcase, make_scratch, remove_scratch);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, real_files_are_rewritten_and_only_pixels_change, 0,
                        sizeof folders / sizeof *folders);
    tcase_add_test(tcase, pages_that_are_not_replaced_keep_their_pixels);
    tcase_add_test(tcase, a_page_is_replaced_once_and_must_exist);
    tcase_add_test(tcase, what_cannot_be_rewritten_is_refused_and_nothing_left);
    tcase_add_test(tcase, no_memory_is_told_and_leaks_nothing);
    tcase_add_test(tcase, a_full_disk_is_told);
    tcase_add_test(tcase, a_copy_that_may_not_grow_ends_in_an_error);
    tcase_add_test(tcase, a_stack_of_1000_pages_needs_as_much_memory_as_one_of_100);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
