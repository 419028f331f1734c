/* Real images in many encodings, and files made to break decoders. */

#include <dirent.h>
#include <math.h>

#include "clock.h"
#include "image_files.h"

enum { ROWS = 157, COLUMNS = 211, PIXELS = ROWS * COLUMNS };

/* What page k, row y, column x of the file must be, from the references. */
enum truth {
    REF16,
    REF8,
    HALF8,
    UNIT16,
    TIMES_1000,
    ROLL_X,
    ROLL_Y,
    FLAT_1000,
    ONE_777,
    ROW_0,
    COLUMN_0
};

/* The 42 files of the folder; words NULL: read bit for bit, else refused saying them. */
static const struct {
    const char *file;
    enum truth truth;
    const char *words;
} variants[] = {
    {"u16_base.tif", REF16, NULL},
    {"u8_base.tif", REF8, NULL},
    {"u16_be.tif", REF16, NULL},
    {"u16_bigtiff.tif", REF16, NULL},
    {"u16_bigtiff_be.tif", REF16, NULL},
    {"u16_rps7.tif", REF16, NULL},
    {"u16_tile64.tif", REF16, NULL},
    {"u16_deflate.tif", REF16, NULL},
    {"f32.tif", REF16, NULL},
    {"f32_unit.tif", UNIT16, NULL},
    {"f64.tif", REF16, NULL},
    {"i16.tif", REF16, NULL},
    {"u32.tif", TIMES_1000, NULL},
    {"u16_imagej_stack5.tif", ROLL_X, NULL},
    {"u16_ome_stack3.ome.tif", ROLL_Y, NULL},
    {"u8_pages8.tif", REF8, NULL},
    {"rgb8.tif", REF8, NULL},
    {"rgb8_planar.tif", REF8, NULL},
    {"u16_miniswhite.tif", REF16, NULL},
    {"f32_nan_inf.tif", REF16, "no finite number at x 20, y 10"},
    {"u16_constant.tif", FLAT_1000, NULL},
    {"u16_1x1.tif", ONE_777, NULL},
    {"u16_1xN.tif", ROW_0, NULL},
    {"u16_Nx1.tif", COLUMN_0, NULL},
    {"u16_lzw.tif", REF16, NULL},
    {"u16_lzw_pred2.tif", REF16, NULL},
    {"u16_zip_pred2.tif", REF16, NULL},
    {"u16_packbits.tif", REF16, NULL},
    {"u16_tile_lzw_be.tif", REF16, NULL},
    {"f32_zip_pred3.tif", REF16, NULL},
    {"f32_lzw.tif", REF16, NULL},
    {"u8_jpeg.tif", REF8, "compression 7"},
    {"u16_lzma.tif", REF16, NULL},
    {"u16_zstd.tif", REF16, NULL},
    {"u8_lsb2msb.tif", REF8, NULL},
    {"u16_bigtiff_tile_zip.tif", REF16, NULL},
    {"u8.png", REF8, NULL},
    {"u16.png", REF16, NULL},
    {"rgb8.png", REF8, NULL},
    {"rgba8.png", REF8, NULL},
    {"pal8.png", HALF8, NULL},
    {"u8.jpg", REF8, "PNG and TIFF are read"},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static uint16_t ref16[PIXELS];
static uint8_t ref8[PIXELS];

/* The numbers of a .npy file (version 1) of this size, little endian. */
static void read_npy(const char *root, const char *name, void *to, size_t bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char path[512], *data = NULL;
    size_t length = 0;
    ck_assert(den_str_format(path, sizeof path, "%s/format_variants/%s", root, name));
    must(den_fs_read(path, 1 << 20, &data, &length, &err));
    ck_assert_uint_gt(length, 10);
    size_t head =
        10 + (size_t)(unsigned char)data[8] + 256 * (size_t)(unsigned char)data[9];
    ck_assert_uint_eq(length, head + bytes);
    memcpy(to, data + head, bytes);
    den_free(data);
}

static float want_at(enum truth truth, size_t page, size_t y, size_t x)
{
    size_t left = (x + COLUMNS - page % COLUMNS) % COLUMNS;
    size_t up = (y + ROWS - page % ROWS) % ROWS;
    size_t at = y * COLUMNS + x;
    switch (truth) {
    case REF8:
        return (float)ref8[at];
    case HALF8:
        return (float)(ref8[at] / 2);
    case UNIT16:
        return (float)ref16[at] / 65535.0f;
    case TIMES_1000:
        return (float)(1000u * ref16[at]);
    case ROLL_X:
        return (float)ref16[y * COLUMNS + left];
    case ROLL_Y:
        return (float)ref16[up * COLUMNS + x];
    case FLAT_1000:
        return 1000.0f;
    case ONE_777:
        return 777.0f;
    case REF16:
    case ROW_0:
    case COLUMN_0:
        break;
    }
    return (float)ref16[at];
}

static void check_pixels(const struct den_image *image, const char *file,
                         enum truth truth)
{
    size_t width = image->info.width, height = image->info.height;
    bool whole = truth != FLAT_1000 && truth != ONE_777;
    ck_assert_uint_eq(width, truth == COLUMN_0 ? 1 : whole ? COLUMNS : width);
    ck_assert_uint_eq(height, truth == ROW_0 ? 1 : whole ? ROWS : height);
    size_t channels = image->info.channels;
    for (size_t i = 0; i < width * height * channels * image->info.pages; i++) {
        size_t plane = i / (width * height), y = i / width % height, x = i % width;
        size_t page = plane / channels;
        bool opaque = image->info.alpha && plane % channels == channels - 1;
        float want = opaque ? 255.0f : want_at(truth, page, y, x);
        ck_assert_msg(!(image->pixels[i] < want || image->pixels[i] > want),
                      "%s page %zu, y %zu, x %zu is %g, want %g", file, page, y, x,
                      (double)image->pixels[i], (double)want);
    }
}

START_TEST(each_of_the_variants_is_read_exactly_or_refused_by_name)
{
    need_test_data(root);
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    char path[512];
    const char *file = variants[_i].file;
    read_npy(root, "ref16.npy", ref16, sizeof ref16);
    read_npy(root, "ref8.npy", ref8, sizeof ref8);
    ck_assert(den_str_format(path, sizeof path, "%s/format_variants/%s", root, file));
    if (variants[_i].words == NULL) {
        must(den_image_load(path, NULL, &image, &err));
        check_pixels(&image, file, variants[_i].truth);
        den_image_release(&image);
    } else {
        ck_assert_msg(!den_image_load(path, NULL, &image, &err), "%s was read", file);
        ck_assert_msg(strstr(err.text, variants[_i].words) != NULL, "%s: %s", file,
                      err.text);
    }
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

static size_t try_folder(const char *folder, size_t *read)
{
    struct dirent *entry;
    size_t files = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct den_err err = DEN_ERR_INIT;
        struct den_image_info info;
        char path[1024];
        if (entry->d_name[0] == '.')
            continue;
        ck_assert(den_str_format(path, sizeof path, "%s/%s", folder, entry->d_name));
        double start = den_monotonic_s();
        bool done = den_image_verify(path, NULL, &info, &err);
        double took = den_monotonic_s() - start;
        ck_assert_msg(took < 2.0, "%s took %.1f s", entry->d_name, took);
        ck_assert_msg(done || (err.code != DEN_OK && err.text[0] != '\0'), "%s",
                      entry->d_name);
        ck_assert_msg(den_utf8_printable(err.text), "%s: %s", entry->d_name, err.text);
        ck_assert_msg(den_mem_live() == 0, "%s leaks", entry->d_name);
        *read += done;
        files++;
    }
    closedir(dir);
    return files;
}

START_TEST(every_hostile_file_ends_in_success_or_a_sentence)
{
    static const char *const kinds[] = {"tif", "png"};
    need_test_data(root);
    char folder[512];
    size_t read = 0;
    ck_assert(den_str_format(folder, sizeof folder, "%s/hostile/%s", root, kinds[_i]));
    den_mem_reset_peak();
    size_t files = try_folder(folder, &read);
    printf("hostile/%s: %zu files, %zu of them read\n", kinds[_i], files, read);
    ck_assert_uint_ge(files, 300);
    ck_assert_uint_lt(den_mem_peak(), (size_t)512 << 20);
}
END_TEST

/* What is broken on purpose must not be read; a byte changed within pixels may be. */
START_TEST(crafted_files_are_refused_for_the_right_reason)
{
    static const struct {
        const char *file;
        enum den_code code;
        const char *words;
    } cases[] = {
        {"tif/crafted_bps_0.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_deflate_bomb.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_deflate_garbage.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_dims_4g.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_f32_all_nan.tif", DEN_E_UNPROCESSABLE, "x 0, y 0"},
        {"tif/crafted_hdr_only.tif", DEN_E_UNPROCESSABLE, "cut short"},
        {"tif/crafted_rps_0.tif", DEN_E_UNPROCESSABLE, "RowsPerStrip"},
        {"tif/crafted_spp_65535.tif", DEN_E_UNPROCESSABLE, "samples per pixel: 65535"},
        {"tif/crafted_strip_off_eof.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_tile_0.tif", DEN_E_UNPROCESSABLE, "tiles"},
        {"tif/crafted_tile_huge.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_trunc2_u16_base.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_trunc97_u16_base.tif", DEN_E_UNPROCESSABLE, "page 0"},
        {"tif/crafted_trunc97_u16_lzw_pred2.tif", DEN_E_UNPROCESSABLE, "cut short"},
        {"tif/crafted_wide_1x200000.tif", DEN_E_TOO_LARGE, "200000 x 1"},
        {"png/crafted_bad_ctype.png", DEN_E_UNPROCESSABLE, "damaged"},
        {"png/crafted_bomb_dims_max.png", DEN_E_TOO_LARGE, "2147483647"},
        {"png/crafted_flip5_real.png", DEN_E_UNPROCESSABLE, "damaged"},
        {"png/crafted_html.png", DEN_E_UNSUPPORTED, "PNG and TIFF"},
        {"png/crafted_idat_short.png", DEN_E_UNPROCESSABLE, "Not enough image data"},
        {"png/crafted_trunc50_real.png", DEN_E_UNPROCESSABLE, "ends too early"},
        {"png/crafted_zero_w.png", DEN_E_UNPROCESSABLE, "damaged"},
    };
    need_test_data(root);
    struct den_image_info info;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_err err = DEN_ERR_INIT;
        char path[512];
        ck_assert(
            den_str_format(path, sizeof path, "%s/hostile/%s", root, cases[i].file));
        must_fail(den_image_verify(path, NULL, &info, &err), cases[i].code,
                  cases[i].words);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format variants");
    TCase *real = tcase_create("real");
    tcase_set_timeout(real, 60);
    tcase_add_loop_test(real, each_of_the_variants_is_read_exactly_or_refused_by_name, 0,
                        VARIANTS);
    tcase_add_loop_test(real, every_hostile_file_ends_in_success_or_a_sentence, 0, 2);
    tcase_add_test(real, crafted_files_are_refused_for_the_right_reason);
    suite_add_tcase(suite, real);
    return den_check_main(suite);
}
