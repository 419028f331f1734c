/* Every kind of TIFF page that is read, written by libtiff from samples that are packed
 * here one bit after the other: sample types, numbers of samples, planes, parts, codecs,
 * byte and bit order, min-is-white.  And packing, which rewriting needs, gives the same
 * bytes. */

#include <tiffio.h>
#include <unistd.h>

#include "format.h"
#include "image_files.h"
#include "tiff_io.h"

enum { WIDTH = 45, HEIGHT = 37, SIDE = 64, SAMPLES = 4 };

static const struct sort {
    unsigned bits, format;
    enum den_dtype dtype;
} sorts[] = {
    {1, SAMPLEFORMAT_UINT, DEN_U8},     {2, SAMPLEFORMAT_UINT, DEN_U8},
    {4, SAMPLEFORMAT_UINT, DEN_U8},     {5, SAMPLEFORMAT_UINT, DEN_U8},
    {8, SAMPLEFORMAT_UINT, DEN_U8},     {10, SAMPLEFORMAT_UINT, DEN_U16},
    {12, SAMPLEFORMAT_UINT, DEN_U16},   {14, SAMPLEFORMAT_UINT, DEN_U16},
    {16, SAMPLEFORMAT_UINT, DEN_U16},   {24, SAMPLEFORMAT_UINT, DEN_U32},
    {32, SAMPLEFORMAT_UINT, DEN_U32},   {8, SAMPLEFORMAT_INT, DEN_I8},
    {16, SAMPLEFORMAT_INT, DEN_I16},    {32, SAMPLEFORMAT_INT, DEN_I32},
    {16, SAMPLEFORMAT_IEEEFP, DEN_F16}, {32, SAMPLEFORMAT_IEEEFP, DEN_F32},
    {64, SAMPLEFORMAT_IEEEFP, DEN_F64},
};
enum { SORTS = sizeof sorts / sizeof *sorts };

/* Width 0: strips of that many rows. */
static const struct shape {
    uint32_t width, rows;
} shapes[] = {{0, HEIGHT}, {0, 7}, {16, 16}, {32, 48}, {SIDE, SIDE}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct kind {
    struct sort sort;
    struct shape shape;
    unsigned samples, compression, predictor, fill_order;
    bool planar, big_endian, big_tiff, white, alpha;
};

/* The samples as they are to be read, as bit patterns: [sample][y][x]. */
static uint64_t samples[SAMPLES][HEIGHT][WIDTH];

static void draw_samples(const struct kind *kind, uint64_t seed)
{
    struct den_rng rng;
    den_rng_seed(&rng, seed, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < kind->samples * (size_t)HEIGHT * WIDTH; i++) {
        uint64_t value = (uint64_t)den_rng_below(&rng, 1u << 31) << 33 |
                         (uint64_t)den_rng_below(&rng, 1u << 31) << 2;
        (&samples[0][0][0])[i] = value >> (64 - kind->sort.bits);
    }
}

/* What the file holds of a pixel; tiles repeat the last row and column. */
static uint64_t stored_at(const struct kind *kind, unsigned sample, uint32_t y,
                          uint32_t x)
{
    uint64_t value =
        samples[sample][y < HEIGHT ? y : HEIGHT - 1][x < WIDTH ? x : WIDTH - 1];
    bool opacity = kind->alpha && sample == kind->samples - 1;
    uint64_t top = UINT64_MAX >> (64 - kind->sort.bits);
    return kind->white && !opacity ? top - value : value;
}

/* A sample at a place of a row, as libtiff takes it. */
static void store(unsigned char *row, size_t place, unsigned bits, uint64_t value)
{
    if (bits == 8 || bits == 16 || bits == 24 || bits == 32 || bits == 64) {
        memcpy(row + place * (bits / 8), &value, bits / 8); /* little endian */
        return;
    }
    for (unsigned bit = 0; bit < bits; bit++) {
        size_t at = place * bits + bit;
        if ((value >> (bits - 1 - bit)) & 1)
            row[at / 8] = (unsigned char)(row[at / 8] | 128u >> (at % 8));
    }
}

struct part {
    size_t bytes;
    unsigned char data[SIDE * SIDE * SAMPLES * 8 + 1];
};

static void fill_part(const struct kind *kind, uint32_t index, struct part *ret)
{
    uint32_t width = kind->shape.width != 0 ? kind->shape.width : WIDTH;
    uint32_t across = (WIDTH - 1) / width + 1;
    uint32_t down = (HEIGHT - 1) / kind->shape.rows + 1;
    uint32_t plane = index / (across * down), in_plane = index % (across * down);
    uint32_t x = in_plane % across * width, y = in_plane / across * kind->shape.rows;
    uint32_t rows = kind->shape.width == 0 && HEIGHT - y < kind->shape.rows
                        ? HEIGHT - y
                        : kind->shape.rows;
    unsigned beside = kind->planar ? 1 : kind->samples;
    size_t row = ((size_t)width * beside * kind->sort.bits + 7) / 8;
    ret->bytes = row * rows;
    memset(ret->data, 0, ret->bytes);
    for (uint32_t j = 0; j < rows; j++)
        for (uint32_t i = 0; i < width * beside; i++)
            store(ret->data + j * row, i, kind->sort.bits,
                  stored_at(kind, plane + i % beside, y + j, x + i / beside));
}

static void set_tags(TIFF *tif, const struct kind *kind)
{
    static const uint16_t extra[SAMPLES] = {EXTRASAMPLE_UNSPECIFIED};
    uint16_t last[SAMPLES] = {0};
    unsigned colors = kind->samples >= 3 && !kind->white ? 3 : 1;
    unsigned extras = kind->samples - colors;
    memcpy(last, extra, sizeof last);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, WIDTH);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, HEIGHT);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, kind->sort.bits);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, kind->sort.format);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, kind->samples);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC,
                 kind->white   ? PHOTOMETRIC_MINISWHITE
                 : colors == 3 ? PHOTOMETRIC_RGB
                               : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG,
                 kind->planar ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, kind->compression);
    TIFFSetField(tif, TIFFTAG_FILLORDER, kind->fill_order);
    if (kind->predictor > 1)
        TIFFSetField(tif, TIFFTAG_PREDICTOR, kind->predictor);
    if (extras > 0) {
        last[extras - 1] = kind->alpha ? EXTRASAMPLE_UNASSALPHA : EXTRASAMPLE_UNSPECIFIED;
        TIFFSetField(tif, TIFFTAG_EXTRASAMPLES, extras, last);
    }
    if (kind->shape.width == 0) {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, kind->shape.rows);
        return;
    }
    TIFFSetField(tif, TIFFTAG_TILEWIDTH, kind->shape.width);
    TIFFSetField(tif, TIFFTAG_TILELENGTH, kind->shape.rows);
}

static void write_file(const char *path, const struct kind *kind)
{
    static struct part part;
    char mode[4] = {'w', kind->big_endian ? 'b' : 'l', kind->big_tiff ? '8' : '\0'};
    TIFF *tif = TIFFOpen(path, mode);
    ck_assert_ptr_nonnull(tif);
    set_tags(tif, kind);
    bool tiled = kind->shape.width != 0;
    uint32_t parts = tiled ? TIFFNumberOfTiles(tif) : TIFFNumberOfStrips(tif);
    for (uint32_t i = 0; i < parts; i++) {
        fill_part(kind, i, &part);
        tmsize_t bytes = (tmsize_t)part.bytes;
        ck_assert_int_eq(tiled ? TIFFWriteEncodedTile(tif, i, part.data, bytes)
                               : TIFFWriteEncodedStrip(tif, i, part.data, bytes),
                         bytes);
    }
    TIFFClose(tif);
}

/* The samples in the type of the reader. */
static void *expected(const struct kind *kind)
{
    size_t n = kind->samples * (size_t)HEIGHT * WIDTH;
    size_t size = den_dtype_bytes(kind->sort.dtype);
    unsigned char *pixels = den_calloc(n, size);
    for (size_t i = 0; i < n; i++)
        memcpy(pixels + i * size, &(&samples[0][0][0])[i], size);
    return pixels;
}

static void check_read(const char *path, const struct kind *kind, const void *want)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    must(den_reader_open(path, NULL, &reader, &err));
    const struct den_image_info *info = den_reader_info(reader);
    size_t bytes = den_image_page_bytes(info);
    void *got = den_calloc(bytes, 1);
    ck_assert_uint_eq(info->channels, kind->samples);
    ck_assert_uint_eq(info->bits, kind->sort.bits);
    ck_assert_int_eq((int)info->dtype, (int)kind->sort.dtype);
    ck_assert(info->alpha == kind->alpha);
    must(den_reader_page(reader, 0, got, &err));
    ck_assert_msg(memcmp(got, want, bytes) == 0,
                  "%u bits, format %u, %u samples, planar %d, part %u x %u, "
                  "compression %u, predictor %u, fill order %u, white %d, big endian %d",
                  kind->sort.bits, kind->sort.format, kind->samples, kind->planar,
                  kind->shape.width, kind->shape.rows, kind->compression, kind->predictor,
                  kind->fill_order, kind->white, kind->big_endian);
    den_free(got);
    den_reader_close(reader);
}

static void check_pack(const char *path, const struct kind *kind, const void *pixels)
{
    static struct part part, packed;
    struct den_err err = DEN_ERR_INIT;
    struct den_image_limits limits = den_image_limits_default();
    struct den_tiff_in *in = NULL;
    struct den_tiff_layout layout;
    uint64_t size = 0;
    int fd = -1;
    must(den_format_open(path, &fd, &size, &err));
    must(den_tiff_in_open(fd, size, &limits, &in, &err));
    must(den_tiff_layout_read(in, 0, &layout, &err));
    ck_assert_uint_eq(layout.compression, kind->compression);
    ck_assert_uint_eq(layout.predictor, kind->predictor);
    ck_assert_uint_eq(layout.fill_order, kind->fill_order);
    ck_assert(layout.big_endian == kind->big_endian);
    for (uint32_t i = 0; i < layout.parts; i++) {
        fill_part(kind, i, &part);
        memset(packed.data, 0xA5, part.bytes + 1);
        ck_assert_uint_eq(den_tiff_part_bytes(&layout, i), part.bytes);
        den_tiff_pack_part(&layout, i, pixels, packed.data);
        ck_assert_mem_eq(packed.data, part.data, part.bytes);
        ck_assert_uint_eq(packed.data[part.bytes], 0xA5); /* and nothing behind it */
    }
    den_tiff_in_close(in);
    close(fd);
}

/* Codecs and orders go round at a step that is prime to their number: each meets each
 * kind of samples and parts in some file. */
static struct kind kind_of(size_t sort, size_t shape, unsigned count, bool planar,
                           unsigned turn)
{
    static const uint16_t codecs[] = {COMPRESSION_NONE,     COMPRESSION_LZW,
                                      COMPRESSION_PACKBITS, COMPRESSION_ADOBE_DEFLATE,
                                      COMPRESSION_ZSTD,     COMPRESSION_LZMA,
                                      COMPRESSION_DEFLATE};
    struct kind kind = {.sort = sorts[sort],
                        .shape = shapes[shape],
                        .samples = count,
                        .planar = planar,
                        .compression = codecs[turn % 7],
                        .predictor = 1,
                        .fill_order = 1 + turn / 7 % 2,
                        .big_endian = turn / 2 % 2,
                        .big_tiff = turn / 3 % 2,
                        .alpha = count % 2 == 0 && turn / 5 % 2};
    /* Its encoder takes 100 MB for every part. */
    if (kind.compression == COMPRESSION_LZMA && shape != 0)
        kind.compression = COMPRESSION_LZW;
    bool whole = kind.sort.bits % 8 == 0 && kind.sort.bits != 24;
    bool codec =
        kind.compression != COMPRESSION_NONE && kind.compression != COMPRESSION_PACKBITS;
    kind.white = kind.sort.format == SAMPLEFORMAT_UINT && turn / 11 % 2;
    bool is_float = kind.sort.format == SAMPLEFORMAT_IEEEFP;
    /* Big endian floats cannot be written by libtiff 4.5, see below. */
    if (whole && codec && turn / 4 % 2 && !(is_float && kind.big_endian))
        kind.predictor = is_float ? 3 : 2;
    return kind;
}

START_TEST(samples_of_any_kind_are_read_and_packed_again)
{
    const char *path = scratch("kind");
    unsigned turn = (unsigned)_i, files = 0;
    for (size_t shape = 0; shape < SHAPES; shape++)
        for (unsigned count = 1; count <= SAMPLES; count++)
            for (unsigned planar = 0; planar < (count > 1 ? 2 : 1); planar++)
                for (unsigned again = 0; again < 4; again++, turn += 13, files++) {
                    struct kind kind =
                        kind_of((size_t)_i, shape, count, planar == 1, turn);
                    draw_samples(&kind, turn);
                    void *want = expected(&kind);
                    write_file(path, &kind);
                    check_read(path, &kind, want);
                    check_pack(path, &kind, want);
                    den_free(want);
                }
    ck_assert_uint_eq(files, (size_t)SHAPES * 7 * 4);
}
END_TEST

static void copy_raw_strip(const char *from, const char *to, const struct kind *kind)
{
    static unsigned char raw[SIDE * SIDE * 8];
    TIFF *source = TIFFOpen(from, "r"), *copy = TIFFOpen(to, "wb");
    tmsize_t bytes = TIFFReadRawStrip(source, 0, raw, sizeof raw);
    ck_assert_int_gt(bytes, 0);
    set_tags(copy, kind);
    ck_assert_int_eq(TIFFWriteRawStrip(copy, 0, raw, bytes), bytes);
    TIFFClose(source);
    TIFFClose(copy);
}

/* The bytes of floats in planes (predictor 3) are the same in either byte order, but
 * libtiff's encoder swaps them: the strip of a little endian file is taken over. */
START_TEST(floats_of_big_endian_files_are_read)
{
    struct kind kind = kind_of(14 + (size_t)_i, 0, 1, false, 0);
    kind.compression = COMPRESSION_ADOBE_DEFLATE;
    kind.predictor = 3;
    draw_samples(&kind, 3);
    write_file(scratch("little"), &kind);
    copy_raw_strip(scratch("little"), scratch("big"), &kind);
    kind.big_endian = true;
    void *want = expected(&kind);
    check_read(scratch("big"), &kind, want);
    den_free(want);
}
END_TEST

/* A page, and one part of it: no matter how many pages. */
START_TEST(reading_takes_a_page_and_a_part)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct kind kind = kind_of(8, 2, 3, false, 0);
    kind.white = false;
    draw_samples(&kind, 1);
    write_file(scratch("kind"), &kind);
    must(den_reader_open(scratch("kind"), NULL, &reader, &err));
    void *page = den_calloc(den_image_page_bytes(den_reader_info(reader)), 1);
    den_mem_reset_peak();
    size_t before = den_mem_live();
    must(den_reader_page(reader, 0, page, &err));
    ck_assert_uint_le(den_mem_peak() - before, 16 * 16 * 3 * 2 + 64);
    den_free(page);
    den_reader_close(reader);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    struct kind kind = kind_of(6, 2, 3, false, 1);
    size_t n = 1, failures = 0;
    draw_samples(&kind, 1);
    write_file(scratch("kind"), &kind);
    for (bool done = false; !done; n++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_image_info info;
        ck_assert_uint_lt(n, 100);
        den_mem_fail_at(n);
        done = den_image_verify(scratch("kind"), NULL, &info, &err);
        den_mem_fail_at(0);
        ck_assert(done || err.code == DEN_E_NO_MEMORY);
        ck_assert_uint_eq(den_mem_live(), 0);
        failures += !done;
    }
    ck_assert_uint_gt(failures, 4);
}
END_TEST

int main(void)
{
    TIFFSetWarningHandler(NULL); /* of the writer here; the reader has its own */
    Suite *suite = suite_create("kinds of TIFF pages");
    TCase *made = tcase_create("made");
    tcase_add_checked_fixture(made, make_scratch, remove_scratch);
    tcase_set_timeout(made, 60);
    tcase_add_loop_test(made, samples_of_any_kind_are_read_and_packed_again, 0, SORTS);
    tcase_add_loop_test(made, floats_of_big_endian_files_are_read, 0, 3);
    tcase_add_test(made, reading_takes_a_page_and_a_part);
    tcase_add_test(made, any_allocation_may_fail);
    suite_add_tcase(suite, made);
    return den_check_main(suite);
}
