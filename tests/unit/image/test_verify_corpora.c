/* Real files of many programs: each is refused with a sentence, or copied with other
 * pixels and nothing else changed. */
#include <dirent.h>

#include "image_files.h"
#include "rewrite.h"
#include "verify.h"

static const char record[] = "denoised test, pixels changed";

/* least: how many of the folder's files must be read, so that this test cannot pass by
 * reading none. */
static const struct folder {
    const char *name;
    unsigned least;
} folders[] = {
    {"format_variants", 40},
    {"neubias_tiff", 17},
    {"ome_tiff", 4},
    {"ome_tiff/master", 5},
    {"tiff_formats", 82},
    {"pngsuite/16bit", 14},
    {"pngsuite/primary", 48},
    {"pngsuite/libpng_testpngs", 71},
    {"pngsuite/iphone_cgbi", 0},
    {"nuclei_16bit/noisy", 1},
};

struct counts {
    unsigned files, read, refused, clean;
};

static void setup(void)
{
    make_scratch();
}

static void teardown(void)
{
    remove_scratch();
}

static bool is_image(const char *name)
{
    static const char *const ends[] = {".tif", ".tiff", ".png", ".jpg"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (den_str_ends(name, ends[i]))
            return true;
    return false;
}

/* Another value within the type and its bits. */
static void change_value(const struct den_image_info *info, unsigned char *at)
{
    if (info->dtype == DEN_F32) {
        *(float *)(void *)at = *(float *)(void *)at * 0.5f + 1.0f;
    } else if (info->dtype == DEN_F64) {
        *(double *)(void *)at = *(double *)(void *)at * 0.5 + 1.0;
    } else {
        /* The lowest bit of an integer; of a half, the lowest of its mantissa. */
        uint16_t one = 1;
        bool little = *(unsigned char *)&one == 1;
        at[little ? 0 : den_dtype_bytes(info->dtype) - 1] ^= 1;
    }
}

static uint64_t change_page(const struct den_image_info *info, unsigned char *page,
                            const unsigned char *before)
{
    size_t bytes = den_dtype_bytes(info->dtype);
    size_t colors = info->channels - (info->alpha ? 1 : 0);
    size_t values = (size_t)info->width * info->height * colors;
    uint64_t changed = 0;
    for (size_t i = 0; i < values; i++) {
        change_value(info, page + i * bytes);
        changed += memcmp(page + i * bytes, before + i * bytes, bytes) != 0;
    }
    return changed;
}

/* Gives how many values were changed. */
static uint64_t rewrite(const char *name, const char *from, const char *to)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct den_rewriter *rewriter = NULL;
    must(den_reader_open(from, NULL, &reader, &err));
    const struct den_image_info *info = den_reader_info(reader);
    size_t bytes = den_image_page_bytes(info);
    unsigned char *page = den_calloc(bytes, 1), *before = den_calloc(bytes, 1);
    uint64_t changed = 0;
    ck_assert_msg(den_rewriter_open(from, to, NULL, record, &rewriter, &err), "%s: %s",
                  name, err.text);
    for (uint32_t p = 0; p < info->pages; p++) {
        ck_assert_msg(den_reader_page(reader, p, before, &err), "%s: %s", name, err.text);
        memcpy(page, before, bytes);
        changed += change_page(info, page, before);
        ck_assert_msg(den_rewriter_page(rewriter, p, page, &err), "%s: %s", name,
                      err.text);
    }
    ck_assert_msg(den_rewriter_finish(rewriter, &err), "%s: %s", name, err.text);
    den_reader_close(reader);
    den_free(page);
    den_free(before);
    return changed;
}

static bool is_readable(const char *path, char *why, size_t size)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    bool readable = den_image_verify(path, NULL, &info, &err);
    /* NaN is refused by those who compute with pixels; as numbers they can be copied. */
    if (!readable && strstr(err.text, "nan") == NULL && strstr(err.text, "NaN") == NULL &&
        strstr(err.text, "inf") == NULL) {
        bool sentence = strlen(err.text) > 20 && err.code != DEN_E_IO &&
                        err.code != DEN_E_INTERNAL && err.code != DEN_E_NO_MEMORY;
        ck_assert_msg(sentence, "%s: %s: %s", path, den_code_name(err.code), err.text);
        (void)den_str_copy(why, size, err.text);
        return false;
    }
    return true;
}

static void check_file(const char *name, const char *path, struct counts *counts)
{
    static struct den_verdict v;
    struct den_err err = DEN_ERR_INIT;
    char why[400];
    counts->files++;
    if (!is_readable(path, why, sizeof why)) {
        counts->refused++;
        return;
    }
    counts->read++;
    uint64_t changed = rewrite(name, path, scratch("copy"));
    must(den_verify(path, scratch("copy"), NULL, &v, &err));
    ck_assert_msg(v.differences == 0, "%s: %s, %s: %s (%u differences)", name,
                  v.list[0].where, v.list[0].what, v.list[0].how,
                  (unsigned)v.differences);
    ck_assert_msg(strcmp(v.provenance, record) == 0, "%s: record '%s'", name,
                  v.provenance);
    /* A palette may have no other color; all else takes what it is given. */
    bool palette = strcmp(v.info.format, "png") == 0 && v.values_changed < changed;
    ck_assert_msg(v.values_changed == changed || palette, "%s: %u of %u values changed",
                  name, (unsigned)v.values_changed, (unsigned)changed);
    counts->clean++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

START_TEST(every_file_is_refused_or_changes_in_pixels_alone)
{
    need_test_data(root);
    const struct folder *folder = &folders[_i];
    struct counts counts = {0};
    struct dirent **names = NULL;
    char path[512];
    ck_assert(den_str_format(path, sizeof path, "%s/%s", root, folder->name));
    int n = scandir(path, &names, NULL, by_name);
    ck_assert_int_gt(n, 0);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        ck_assert(
            den_str_format(path, sizeof path, "%s/%s/%s", root, folder->name, name));
        if (is_image(name))
            check_file(name, path, &counts);
        free(names[i]);
    }
    free(names);
    printf("%s: %u files, %u refused, %u read, %u copied and clean\n", folder->name,
           counts.files, counts.refused, counts.read, counts.clean);
    ck_assert_uint_eq(counts.clean, counts.read);
    ck_assert_uint_ge(counts.read, folder->least);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify_corpora");
    TCase *tc = tcase_create("corpora");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_file_is_refused_or_changes_in_pixels_alone, 0,
                        (int)(sizeof folders / sizeof *folders));
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
