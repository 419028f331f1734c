/* What counts as a page of a TIFF: stacks of ImageJ with one directory, reduced copies,
 * SubIFDs, parts that are nowhere. */

#include <tiffio.h>

#include "image_files.h"

enum { WIDTH = 20, HEIGHT = 12, AREA = WIDTH * HEIGHT };

static void same(float got, float want)
{
    ck_assert_double_eq((double)got, (double)want);
}

/* ---- stacks with one directory, byte by byte --------------------------------------- */

struct bytes {
    unsigned char data[65536];
    size_t length;
    bool big_endian;
};

static void put(struct bytes *to, size_t at, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to->data[at + i] =
            (unsigned char)(value >> 8 * (to->big_endian ? size - 1 - i : i));
    if (at + size > to->length)
        to->length = at + size;
}

static void entry(struct bytes *to, uint32_t tag, uint32_t type, uint32_t count,
                  uint32_t value)
{
    size_t at = to->length;
    put(to, at, tag, 2);
    put(to, at + 2, type, 2);
    put(to, at + 4, count, 4);
    put(to, at + 8, 0, 4);
    put(to, at + 8, value, type == 3 ? 2 : 4);
}

struct stack {
    const char *text;
    uint32_t samples, bits;
    size_t held; /* bytes of pixels behind the offset of the first page */
    uint32_t compression;
    bool big_endian, behind; /* the directory lies behind the first page */
};

/* Pixel bytes of all pages: byte i is i * 7 + i / 251. */
static unsigned char pixel_byte(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static void write_stack(const char *path, const struct stack *s)
{
    static struct bytes file;
    uint32_t page = AREA * s->samples * s->bits / 8;
    uint32_t directory = s->behind ? 8 + page : 8;
    uint32_t text = directory + 2 + 12 * 12 + 4;
    uint32_t pixels = s->behind ? 8 : text + 200;
    memset(&file, 0, sizeof file);
    file.big_endian = s->big_endian;
    memcpy(file.data, s->big_endian ? "MM\0*" : "II*", 4);
    put(&file, 4, directory, 4);
    file.length = directory;
    put(&file, directory, 12, 2);
    entry(&file, 256, 3, 1, WIDTH);
    entry(&file, 257, 3, 1, HEIGHT);
    entry(&file, 258, 3, 1, s->bits);
    if (s->samples == 3) { /* three numbers of 16 bits do not fit into the entry */
        file.length -= 12;
        entry(&file, 258, 3, 3, 0);
        put(&file, file.length - 4, text + 150, 4);
        for (uint32_t i = 0; i < 3; i++)
            put(&file, text + 150 + 2 * i, s->bits, 2);
        file.length = directory + 2 + 3 * 12;
    }
    entry(&file, 259, 3, 1, s->compression);
    entry(&file, 262, 3, 1, s->samples == 3 ? 2 : 1);
    entry(&file, 270, 2, (uint32_t)strlen(s->text) + 1, text);
    entry(&file, 273, 4, 1, pixels);
    entry(&file, 277, 3, 1, s->samples);
    entry(&file, 278, 3, 1, HEIGHT);
    entry(&file, 279, 4, 1, page);
    entry(&file, 284, 3, 1, 1);
    entry(&file, 339, 3, 1, 1);
    put(&file, file.length, 0, 4);
    ck_assert_uint_eq(file.length, text);
    ck_assert_uint_lt(strlen(s->text), 150);
    memcpy(file.data + text, s->text, strlen(s->text) + 1);
    if (file.length < text + 200)
        file.length = text + 200;
    for (size_t i = 0; i < s->held && (!s->behind || i < page); i++)
        file.data[pixels + i] = pixel_byte(i);
    if (file.length < pixels + s->held)
        file.length = pixels + s->held;
    write_bytes(path, file.data, file.length);
}

/* Page k, sample c, pixel i of a stack, by the bytes of the file. */
static uint32_t stack_value(const struct stack *s, uint32_t page, uint32_t c, size_t i)
{
    size_t size = s->bits / 8;
    size_t at = (((size_t)page * AREA + i) * s->samples + c) * size;
    uint32_t value = 0;
    for (size_t j = 0; j < size; j++)
        value = value << 8 | pixel_byte(at + (s->big_endian ? j : size - 1 - j));
    return value;
}

static void check_stack(const char *path, const struct stack *s, uint32_t pages)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    must(den_image_load(path, NULL, &image, &err));
    ck_assert_uint_eq(image.info.pages, pages);
    ck_assert_uint_eq(image.info.channels, s->samples);
    for (uint32_t page = 0; page < pages; page++)
        for (uint32_t c = 0; c < s->samples; c++)
            for (size_t i = 0; i < AREA; i++) {
                size_t at = ((size_t)page * s->samples + c) * AREA + i;
                same(image.pixels[at], (float)stack_value(s, page, c, i));
            }
    den_image_release(&image);
}

static const char four[] = "ImageJ=1.54f\nimages=4\nslices=4\nunit=micron\n";

START_TEST(a_stack_with_one_directory_has_all_its_pages)
{
    static const struct stack stacks[] = {
        {four, 1, 16, (size_t)4 * AREA * 2, 1, false, false},
        {four, 1, 16, (size_t)4 * AREA * 2, 1, true, false},
        {four, 1, 8, (size_t)4 * AREA, 1, true, false},
        {four, 3, 8, (size_t)4 * AREA * 3, 1, false, false},
        {four, 3, 16, (size_t)4 * AREA * 6 + 17, 1, true, false},
        {four, 1, 32, (size_t)4 * AREA * 4, 1, true, false},
    };
    write_stack(scratch("stack"), &stacks[_i]);
    check_stack(scratch("stack"), &stacks[_i], 4);
}
END_TEST

/* Programs copy ImageJ's text to files that hold less. */
START_TEST(a_text_alone_makes_no_stack)
{
    static const struct stack stacks[] = {
        {four, 1, 16, (size_t)AREA * 2, 1, false, false},        /* one page */
        {four, 1, 16, (size_t)AREA * 2 + AREA, 1, false, false}, /* and a half */
        {four, 1, 8, (size_t)4 * AREA, 1, false, true},          /* directory in it */
        {"ImageJ=1.54f\n", 1, 8, (size_t)4 * AREA, 1, false, false},
        {"ImageJ=1.54f\nimages=0\n", 1, 8, (size_t)4 * AREA, 1, false, false},
        {"images=4\n", 1, 8, (size_t)4 * AREA, 1, false, false},
    };
    write_stack(scratch("stack"), &stacks[_i]);
    check_stack(scratch("stack"), &stacks[_i], 1);
}
END_TEST

START_TEST(a_stack_that_ends_early_or_is_too_long_is_refused)
{
    static const struct {
        struct stack stack;
        uint32_t limit;
        enum den_code code;
        const char *words;
    } cases[] = {
        {{four, 1, 16, (size_t)4 * AREA * 2 - 1, 1, false, false},
         0,
         DEN_E_UNPROCESSABLE,
         "its description has 4 images, but the file holds 3"},
        {{"ImageJ=1.54f\nimages=19000\n", 1, 8, (size_t)3 * AREA, 1, true, false},
         0,
         DEN_E_UNPROCESSABLE,
         "19000 images, but the file holds 3"},
        {{four, 1, 8, (size_t)4 * AREA, 1, false, false},
         3,
         DEN_E_TOO_LARGE,
         "has 4 pages; at most 3"},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_limits limits = {.pages = cases[_i].limit};
    struct den_image_info info;
    write_stack(scratch("stack"), &cases[_i].stack);
    must_fail(den_image_verify(scratch("stack"), &limits, &info, &err), cases[_i].code,
              cases[_i].words);
}
END_TEST

/* ---- directories ------------------------------------------------------------------- */

static void write_page(TIFF *tif, uint32_t width, uint32_t height, unsigned char value,
                       uint32_t subfile)
{
    unsigned char row[WIDTH];
    memset(row, value, sizeof row);
    TIFFSetField(tif, TIFFTAG_SUBFILETYPE, subfile);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, height);
    for (uint32_t y = 0; y < height; y++)
        ck_assert_int_eq(TIFFWriteScanline(tif, row, y, 0), 1);
    ck_assert_int_eq(TIFFWriteDirectory(tif), 1);
}

static void check_pages(const char *path, uint32_t width, uint32_t pages,
                        const unsigned char *values)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    must(den_image_load(path, NULL, &image, &err));
    ck_assert_uint_eq(image.info.pages, pages);
    ck_assert_uint_eq(image.info.width, width);
    size_t area = (size_t)width * image.info.height;
    for (size_t i = 0; i < area * pages; i++)
        same(image.pixels[i], (float)values[i / area]);
    den_image_release(&image);
}

/* As in LSM files, where a thumbnail follows every page. */
START_TEST(reduced_copies_are_no_pages)
{
    static const char *const modes[] = {"w", "wb", "w8", "wb8"};
    TIFF *tif = TIFFOpen(scratch("lsm"), modes[_i]);
    for (unsigned char page = 0; page < 3; page++) {
        write_page(tif, WIDTH, HEIGHT, (unsigned char)(10 + page), 0);
        write_page(tif, WIDTH / 2, HEIGHT / 2, (unsigned char)(20 + page),
                   FILETYPE_REDUCEDIMAGE);
    }
    TIFFClose(tif);
    check_pages(scratch("lsm"), WIDTH, 3, (const unsigned char[]){10, 11, 12});
}
END_TEST

START_TEST(a_file_of_nothing_but_reduced_copies_is_read)
{
    TIFF *tif = TIFFOpen(scratch("thumbs"), "w");
    for (unsigned char page = 0; page < 2; page++)
        write_page(tif, WIDTH / 2, HEIGHT / 2, (unsigned char)(30 + page),
                   FILETYPE_REDUCEDIMAGE);
    TIFFClose(tif);
    check_pages(scratch("thumbs"), WIDTH / 2, 2, (const unsigned char[]){30, 31});
}
END_TEST

START_TEST(pages_of_a_pyramid_below_a_page_are_none)
{
    toff_t below[2] = {0, 0};
    TIFF *tif = TIFFOpen(scratch("pyramid"), "w");
    TIFFSetField(tif, TIFFTAG_SUBIFD, 2, below);
    write_page(tif, WIDTH, HEIGHT, 40, 0);
    write_page(tif, WIDTH / 2, HEIGHT / 2, 41, FILETYPE_REDUCEDIMAGE);
    write_page(tif, WIDTH / 4, HEIGHT / 4, 42, FILETYPE_REDUCEDIMAGE);
    write_page(tif, WIDTH, HEIGHT, 43, 0);
    TIFFClose(tif);
    check_pages(scratch("pyramid"), WIDTH, 2, (const unsigned char[]){40, 43});
}
END_TEST

/* Sparse files leave out parts that are empty; white is 0 there, too. */
START_TEST(parts_that_are_nowhere_are_zeros)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    unsigned char tile[16 * 16];
    bool white = _i % 2 == 1;
    TIFF *tif = TIFFOpen(scratch("sparse"), "w");
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, 48);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, 16);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC,
                 white ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_COMPRESSION,
                 _i / 2 == 1 ? COMPRESSION_LZW : COMPRESSION_NONE);
    TIFFSetField(tif, TIFFTAG_TILEWIDTH, 16);
    TIFFSetField(tif, TIFFTAG_TILELENGTH, 16);
    memset(tile, 7, sizeof tile);
    ck_assert_int_eq(TIFFWriteEncodedTile(tif, 1, tile, sizeof tile), sizeof tile);
    TIFFClose(tif);
    must(den_image_load(scratch("sparse"), NULL, &image, &err));
    for (size_t i = 0; i < 48 * 16; i++) {
        float stored = i % 48 / 16 == 1 ? 7.0f : 0.0f;
        same(image.pixels[i], white ? 255.0f - stored : stored);
    }
    den_image_release(&image);
}
END_TEST

int main(void)
{
    TIFFSetWarningHandler(NULL); /* of the writer here; the reader has its own */
    Suite *suite = suite_create("pages of a TIFF");
    TCase *made = tcase_create("made");
    tcase_add_checked_fixture(made, make_scratch, remove_scratch);
    tcase_set_timeout(made, 60);
    tcase_add_loop_test(made, a_stack_with_one_directory_has_all_its_pages, 0, 6);
    tcase_add_loop_test(made, a_text_alone_makes_no_stack, 0, 6);
    tcase_add_loop_test(made, a_stack_that_ends_early_or_is_too_long_is_refused, 0, 3);
    tcase_add_loop_test(made, reduced_copies_are_no_pages, 0, 4);
    tcase_add_test(made, a_file_of_nothing_but_reduced_copies_is_read);
    tcase_add_test(made, pages_of_a_pyramid_below_a_page_are_none);
    tcase_add_loop_test(made, parts_that_are_nowhere_are_zeros, 0, 4);
    suite_add_tcase(suite, made);
    return den_check_main(suite);
}
