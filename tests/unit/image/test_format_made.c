/* Files as other programs write them, made here with libpng and libtiff: every encoding
 * that is read, and a sentence for every one that is not. */

#include <png.h>
#include <tiffio.h>

#include "image_files.h"

enum { WIDTH = 70, HEIGHT = 45 };

struct tiff_kind {
    const char *mode;
    int compression, predictor, tile, bits, format, photometric, samples, orientation;
    const char *words; /* of the refusal; NULL when the file is read */
};

/* Zero means the plain value. */
static const struct tiff_kind tiffs[] = {
    {.mode = "w", .bits = 8},
    {.mode = "wb", .bits = 16},
    {.mode = "wl", .bits = 16},
    {.mode = "wb8", .bits = 16},
    {.mode = "wl8", .bits = 32, .format = SAMPLEFORMAT_IEEEFP},
    {.mode = "wb", .bits = 32, .format = SAMPLEFORMAT_IEEEFP},
    {.mode = "w", .bits = 16, .format = SAMPLEFORMAT_VOID},
    {.mode = "w", .bits = 16, .tile = 16},
    {.mode = "wb", .bits = 16, .tile = 128},
    {.mode = "w8", .bits = 32, .format = SAMPLEFORMAT_IEEEFP, .tile = 32},
    {.mode = "w", .bits = 8, .compression = COMPRESSION_LZW},
    {.mode = "wb", .bits = 16, .compression = COMPRESSION_LZW, .predictor = 2},
    {.mode = "w", .bits = 16, .compression = COMPRESSION_ADOBE_DEFLATE, .tile = 32},
    {.mode = "w", .bits = 16, .compression = COMPRESSION_DEFLATE, .predictor = 2},
    {.mode = "w",
     .bits = 32,
     .format = SAMPLEFORMAT_IEEEFP,
     .compression = COMPRESSION_ADOBE_DEFLATE,
     .predictor = 3},
    {.mode = "w", .bits = 16, .compression = COMPRESSION_PACKBITS},
    {.mode = "w", .bits = 16, .compression = COMPRESSION_ZSTD, .predictor = 2},
    {.mode = "w", .bits = 8, .compression = COMPRESSION_LZMA},
    {.mode = "w", .bits = 8, .orientation = ORIENTATION_BOTLEFT},
    {.mode = "w", .bits = 8, .samples = 5, .words = "samples per pixel: 5"},
    {.mode = "w",
     .bits = 8,
     .photometric = PHOTOMETRIC_RGB,
     .samples = 2,
     .words = "RGB pixels with samples per pixel: 2"},
    {.mode = "w",
     .bits = 8,
     .photometric = PHOTOMETRIC_SEPARATED,
     .samples = 4,
     .words = "CMYK pixels (photometric interpretation 5)"},
    {.mode = "w",
     .bits = 16,
     .photometric = -1,
     .format = SAMPLEFORMAT_INT,
     .words = "min-is-white pixels (photometric 0) of sample format 2"},
    {.mode = "w",
     .bits = 32,
     .photometric = -1,
     .format = SAMPLEFORMAT_IEEEFP,
     .words = "min-is-white pixels (photometric 0) of sample format 3"},
    {.mode = "w", .bits = 64, .words = "64-bit unsigned"},
    {.mode = "w", .bits = 64, .format = SAMPLEFORMAT_INT, .words = "64-bit signed"},
    {.mode = "w",
     .bits = 64,
     .format = SAMPLEFORMAT_COMPLEXIEEEFP,
     .words = "64-bit complex pixels (sample format 6)"},
    {.mode = "w", .bits = 8, .compression = COMPRESSION_JPEG, .words = "compression 7"},
};
enum { TIFFS = sizeof tiffs / sizeof *tiffs };

static void set_tags(TIFF *tif, const struct tiff_kind *kind, uint32_t width,
                     uint32_t height)
{
    int photometric = kind->photometric < 0    ? PHOTOMETRIC_MINISWHITE
                      : kind->photometric == 0 ? PHOTOMETRIC_MINISBLACK
                                               : kind->photometric;
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, kind->bits);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, kind->samples ? kind->samples : 1);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT,
                 kind->format ? kind->format : SAMPLEFORMAT_UINT);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, photometric);
    TIFFSetField(tif, TIFFTAG_COMPRESSION,
                 kind->compression ? kind->compression : COMPRESSION_NONE);
    if (kind->predictor)
        TIFFSetField(tif, TIFFTAG_PREDICTOR, kind->predictor);
    if (kind->orientation)
        TIFFSetField(tif, TIFFTAG_ORIENTATION, kind->orientation);
    if (kind->tile) {
        TIFFSetField(tif, TIFFTAG_TILEWIDTH, kind->tile);
        TIFFSetField(tif, TIFFTAG_TILELENGTH, kind->tile);
    } else {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 8); /* what JPEG wants */
    }
}

static void write_tile(TIFF *tif, const struct tiff_kind *kind, uint32_t x, uint32_t y,
                       const unsigned char *pixels, size_t pixel)
{
    size_t size = (size_t)kind->tile;
    unsigned char *tile = den_calloc(size * size, pixel);
    for (uint32_t j = 0; j < size && y + j < HEIGHT; j++)
        for (uint32_t i = 0; i < size && x + i < WIDTH; i++)
            memcpy(tile + (j * size + i) * pixel,
                   pixels + ((y + j) * (size_t)WIDTH + x + i) * pixel, pixel);
    ck_assert_int_gt(TIFFWriteTile(tif, tile, x, y, 0, 0), 0);
    den_free(tile);
}

static void write_pixels(TIFF *tif, const struct tiff_kind *kind,
                         const unsigned char *pixels, uint32_t height)
{
    size_t pixel = (size_t)kind->bits / 8 * (size_t)(kind->samples ? kind->samples : 1);
    unsigned char row[WIDTH * 8 * 3];
    for (uint32_t y = 0; kind->tile && y < HEIGHT; y += (uint32_t)kind->tile)
        for (uint32_t x = 0; x < WIDTH; x += (uint32_t)kind->tile)
            write_tile(tif, kind, x, y, pixels, pixel);
    for (uint32_t y = 0; !kind->tile && y < height; y++) {
        memcpy(row, pixels + (size_t)y * WIDTH * pixel, WIDTH * pixel);
        ck_assert_int_eq(TIFFWriteScanline(tif, row, y, 0), 1);
    }
}

static void write_tiff(const char *path, const struct tiff_kind *kind,
                       const unsigned char *pixels)
{
    TIFF *tif = TIFFOpen(path, kind->mode);
    ck_assert_ptr_nonnull(tif);
    set_tags(tif, kind, WIDTH, HEIGHT);
    write_pixels(tif, kind, pixels, HEIGHT);
    TIFFClose(tif);
}

START_TEST(every_kind_of_tiff_is_read_or_refused_by_name)
{
    struct den_err err = DEN_ERR_INIT;
    const struct tiff_kind *kind = &tiffs[_i];
    enum den_dtype dtype = kind->bits == 8    ? DEN_U8
                           : kind->bits == 16 ? DEN_U16
                                              : DEN_F32;
    /* Eight times as many pixels as needed, for the wider kinds. */
    struct den_image_info info = image_info("tiff", dtype, WIDTH, HEIGHT, 8), got;
    unsigned char *pixels = random_pixels(&info);
    info.pages = 1;
    write_tiff(scratch("made"), kind, pixels);
    if (kind->words == NULL)
        check_image(scratch("made"), &info, pixels);
    else
        must_fail(den_image_verify(scratch("made"), NULL, &got, &err),
                  DEN_E_UNPROCESSABLE, kind->words);
    if (kind->words != NULL)
        must_fail(den_image_verify(scratch("made"), NULL, &got, &err),
                  DEN_E_UNPROCESSABLE, "page 0");
    den_free(pixels);
}
END_TEST

START_TEST(a_page_unlike_the_first_is_named)
{
    static const struct {
        uint32_t height;
        struct tiff_kind kind;
        const char *words;
    } cases[] = {
        {HEIGHT - 1, {.bits = 8}, "page 2 of the TIFF is 70 x 44 uint8, but page 0"},
        {HEIGHT, {.bits = 16}, "page 2 of the TIFF is 70 x 45 uint16, but page 0"},
        {HEIGHT,
         {.bits = 8, .format = SAMPLEFORMAT_INT},
         "page 2 of the TIFF is 70 x 45 int8, but page 0"},
        {HEIGHT,
         {.bits = 8, .samples = 2},
         "page 2 of the TIFF is 70 x 45 uint8, 2 samples, but page 0"},
    };
    static const struct tiff_kind plain = {.bits = 8};
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = image_info("tiff", DEN_U16, WIDTH, HEIGHT, 1), got;
    unsigned char *pixels = random_pixels(&info);
    TIFF *tif = TIFFOpen(scratch("mixed"), "w");
    for (int page = 0; page < 3; page++) {
        const struct tiff_kind *kind = page < 2 ? &plain : &cases[_i].kind;
        uint32_t height = page < 2 ? HEIGHT : cases[_i].height;
        set_tags(tif, kind, WIDTH, height);
        write_pixels(tif, kind, pixels, height);
        ck_assert_int_eq(TIFFWriteDirectory(tif), 1);
    }
    TIFFClose(tif);
    must_fail(den_image_verify(scratch("mixed"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              cases[_i].words);
    den_free(pixels);
}
END_TEST

START_TEST(pages_that_repeat_in_a_loop_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info = image_info("tiff", DEN_U8, 8, 8, 3), got;
    char *data = NULL;
    size_t length = 0;
    write_random(scratch("stack"), &info);
    must(den_fs_read(scratch("stack"), 1 << 20, &data, &length, &err));
    /* Four zeros near the end are the last link: it is made to point to the first page,
     * whose offset the header holds. */
    for (size_t at = length - 4; at >= 8; at--) {
        char old[4];
        memcpy(old, data + at, 4);
        if (memcmp(old, "\0\0\0\0", 4) != 0)
            continue;
        memcpy(data + at, data + 4, 4);
        write_bytes(scratch("loop"), data, length);
        memcpy(data + at, old, 4);
        err = DEN_ERR_INIT;
        if (!den_image_verify(scratch("loop"), NULL, &got, &err) &&
            strstr(err.text, "loop") != NULL)
            break;
        ck_assert_msg(at > 8, "no link made a loop");
    }
    den_free(data);
}
END_TEST

/* libtiff would fill such a strip with whatever follows it in the file. */
START_TEST(a_strip_shorter_than_its_rows_is_refused)
{
    static const struct tiff_kind kind = {.bits = 8};
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    unsigned char rows[8 * WIDTH] = {1, 2, 3};
    for (int missing = 0; missing < 2; missing++) {
        TIFF *tif = TIFFOpen(scratch("short"), "w");
        set_tags(tif, &kind, WIDTH, 16);
        ck_assert_int_gt(TIFFWriteRawStrip(tif, 0, rows, (tmsize_t)sizeof rows - missing),
                         0);
        ck_assert_int_gt(TIFFWriteRawStrip(tif, 1, rows, (tmsize_t)sizeof rows), 0);
        TIFFClose(tif);
        if (missing == 0)
            must(den_image_verify(scratch("short"), NULL, &got, &err));
        else
            must_fail(den_image_verify(scratch("short"), NULL, &got, &err),
                      DEN_E_UNPROCESSABLE, "page 0 of the TIFF is damaged");
    }
}
END_TEST

/* A directory may claim up to 2^32 bytes for each of its tags. */
START_TEST(tags_that_claim_more_than_the_file_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    unsigned char data[8192] = {'I', 'I', 42, 0, 8, 0, 0, 0, 200, 0};
    for (size_t i = 0; i < 200; i++) {
        unsigned tag = 40000 + (unsigned)i;
        unsigned char entry[12] = {tag & 255, (unsigned char)(tag >> 8), 1, 0, 0, 16};
        memcpy(data + 10 + i * 12, entry, sizeof entry); /* 4096 bytes at offset 0 */
    }
    write_bytes(scratch("greedy"), data, sizeof data);
    must_fail(den_image_verify(scratch("greedy"), NULL, &got, &err), DEN_E_UNPROCESSABLE,
              "claim 819200 bytes");
}
END_TEST

static const struct {
    png_uint_32 format;
    uint32_t channels;
    bool alpha;
} pngs[] = {
    {PNG_FORMAT_GRAY, 1, false}, {PNG_FORMAT_LINEAR_Y, 1, false}, /* 16 bits */
    {PNG_FORMAT_GA, 2, true},    {PNG_FORMAT_RGB, 3, false},
    {PNG_FORMAT_RGBA, 4, true},  {PNG_FORMAT_RGB_COLORMAP, 3, false},
};

START_TEST(every_kind_of_png_is_read_with_its_channels)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = WIDTH,
                       .height = HEIGHT,
                       .format = pngs[_i].format,
                       .colormap_entries = 200};
    unsigned char colors[256 * 4] = {1, 2, 3, 4, 5, 6};
    unsigned char *pixels = den_calloc((size_t)WIDTH * HEIGHT, 8);
    ck_assert_int_ne(
        png_image_write_to_file(&image, scratch("made"), 0, pixels, 0, colors), 0);
    must(den_image_verify(scratch("made"), NULL, &got, &err));
    ck_assert_uint_eq(got.channels, pngs[_i].channels);
    ck_assert_int_eq(got.alpha, pngs[_i].alpha);
    den_free(pixels);
}
END_TEST

/* What libpng's plain interface does with rows in seven passes. */
START_TEST(an_interlaced_png_is_read)
{
    struct den_image_info info =
        image_info("png", _i == 0 ? DEN_U8 : DEN_U16, WIDTH, HEIGHT, 1);
    unsigned char *pixels = random_pixels(&info);
    size_t row = WIDTH * den_dtype_bytes(info.dtype);
    FILE *file = fopen(scratch("made"), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop head = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, head, WIDTH, HEIGHT, _i == 0 ? 8 : 16, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_ADAM7, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, head);
    if (_i == 1 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        png_set_swap(png);
    for (int passes = png_set_interlace_handling(png); passes > 0; passes--)
        for (size_t y = 0; y < HEIGHT; y++)
            png_write_row(png, pixels + y * row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &head);
    fclose(file);
    check_image(scratch("made"), &info, pixels);
    den_free(pixels);
}
END_TEST

START_TEST(a_small_file_that_unpacks_to_much_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    const png_uint_32 side = 6000;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = side,
                       .height = side,
                       .format = PNG_FORMAT_GRAY};
    unsigned char *zeros = den_calloc(side, side);
    ck_assert_int_ne(png_image_write_to_file(&image, scratch("bomb"), 0, zeros, 0, NULL),
                     0);
    den_free(zeros);
    den_mem_reset_peak();
    must_fail(den_image_verify(scratch("bomb"), NULL, &got, &err), DEN_E_TOO_LARGE,
              "unpacks to 36000000 bytes");
    ck_assert_uint_lt(den_mem_peak(), 1 << 20);
}
END_TEST

/* Tiny pages in huge tiles cost decoding time that the page size does not show. */
START_TEST(padding_of_tiles_counts_as_unpacked)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info got;
    const uint32_t side = 4096;
    unsigned char *zeros = den_calloc(side, side);
    TIFF *tif = TIFFOpen(scratch("tiles"), "w");
    for (int page = 0; page < 2; page++) {
        const struct tiff_kind kind = {
            .bits = 8, .compression = COMPRESSION_ADOBE_DEFLATE, .tile = (int)side};
        set_tags(tif, &kind, 1, 1);
        ck_assert_int_gt(TIFFWriteTile(tif, zeros, 0, 0, 0, 0), 0);
        ck_assert_int_eq(TIFFWriteDirectory(tif), 1);
    }
    TIFFClose(tif);
    den_free(zeros);
    must_fail(den_image_verify(scratch("tiles"), NULL, &got, &err), DEN_E_TOO_LARGE,
              "unpacks to 33554432 bytes");
}
END_TEST

int main(void)
{
    TIFFSetWarningHandler(NULL); /* of the writer here; the reader has its own */
    Suite *suite = suite_create("files of other programs");
    TCase *made = tcase_create("made");
    tcase_add_checked_fixture(made, make_scratch, remove_scratch);
    tcase_set_timeout(made, 60);
    tcase_add_loop_test(made, every_kind_of_tiff_is_read_or_refused_by_name, 0, TIFFS);
    tcase_add_loop_test(made, a_page_unlike_the_first_is_named, 0, 4);
    tcase_add_test(made, pages_that_repeat_in_a_loop_are_refused);
    tcase_add_test(made, a_strip_shorter_than_its_rows_is_refused);
    tcase_add_test(made, tags_that_claim_more_than_the_file_are_refused);
    tcase_add_loop_test(made, every_kind_of_png_is_read_with_its_channels, 0,
                        sizeof pngs / sizeof *pngs);
    tcase_add_loop_test(made, an_interlaced_png_is_read, 0, 2);
    tcase_add_test(made, a_small_file_that_unpacks_to_much_is_refused);
    tcase_add_test(made, padding_of_tiles_counts_as_unpacked);
    suite_add_tcase(suite, made);
    return den_check_main(suite);
}
