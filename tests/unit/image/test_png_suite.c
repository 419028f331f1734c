/* The conformance files of PngSuite and of libpng: read as libpng itself reads them, and
 * copied with other pixels. */

#include <dirent.h>

#include "png_files.h"

static const struct {
    const char *folder;
    size_t files;
    const char *words; /* NULL: read, else refused saying this */
} folders[] = {
    {"primary", 48, NULL},
    {"16bit", 14, NULL},
    {"libpng_testpngs", 71, NULL},
    {"iphone_cgbi", 7, "CgBI"},
};
enum { FOLDERS = sizeof folders / sizeof *folders };

/* Other pixels that the file can hold; opacity stays. */
static void change(const struct den_image_info *info, void *planes)
{
    size_t n = (size_t)info->width * info->height * (info->channels - info->alpha);
    unsigned top = (1u << info->bits) - 1;
    for (size_t i = 0; i < n; i++)
        if (info->dtype == DEN_U16)
            ((uint16_t *)planes)[i] = (uint16_t)(top - ((uint16_t *)planes)[i]);
        else
            ((unsigned char *)planes)[i] =
                (unsigned char)(top - ((unsigned char *)planes)[i]);
}

static bool is_palette(const char *path)
{
    struct png_bytes b = load_bytes(path);
    bool palette = b.data[8 + 8 + 9] == PNG_COLOR_TYPE_PALETTE;
    den_free(b.data);
    return palette;
}

static void read_and_copy(const char *path)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info, again;
    void *planes = read_planes(path, &info);
    check_against_libpng(path, &info, planes);
    bool palette = is_palette(path); /* may lack other colors: see test_png */
    if (!palette)
        change(&info, planes);
    must(copy_with(path, scratch("copy"), planes, "job 9", &err));
    check_copy(path, scratch("copy"), "tEXt", "job 9");
    void *got = read_planes(scratch("copy"), &again);
    ck_assert_uint_eq(again.width, info.width);
    ck_assert_uint_eq(again.height, info.height);
    ck_assert_uint_eq(again.channels, info.channels);
    ck_assert_uint_eq(again.bits, info.bits);
    ck_assert_mem_eq(got, planes, den_image_page_bytes(&info));
    check_against_libpng(scratch("copy"), &info, planes);
    den_free(got);
    den_free(planes);
}

START_TEST(each_file_is_read_and_copied_or_refused_by_name)
{
    need_test_data(root);
    struct dirent *entry;
    char folder[512], path[1024];
    size_t files = 0;
    ck_assert(den_str_format(folder, sizeof folder, "%s/pngsuite/%s", root,
                             folders[_i].folder));
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct den_err err = DEN_ERR_INIT;
        struct den_image_info info;
        if (!den_str_ends(entry->d_name, ".png"))
            continue;
        ck_assert(den_str_format(path, sizeof path, "%s/%s", folder, entry->d_name));
        if (folders[_i].words == NULL)
            read_and_copy(path);
        else
            must_fail(den_image_verify(path, NULL, &info, &err), DEN_E_UNPROCESSABLE,
                      folders[_i].words);
        files++;
    }
    closedir(dir);
    printf("pngsuite/%s: %zu files %s\n", folders[_i].folder, files,
           folders[_i].words == NULL ? "read and copied exactly" : "refused");
    ck_assert_uint_eq(files, folders[_i].files);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("PNG suite");
    TCase *real = tcase_create("real");
    tcase_add_checked_fixture(real, make_scratch, remove_scratch);
    tcase_set_timeout(real, 60);
    tcase_add_loop_test(real, each_file_is_read_and_copied_or_refused_by_name, 0,
                        FOLDERS);
    suite_add_tcase(suite, real);
    return den_check_main(suite);
}
