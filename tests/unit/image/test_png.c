/* PNG of every kind: pixels are read as they are stored, and a copy with other pixels
 * keeps every other byte. */

#include "png_files.h"

static const uint32_t sizes[][2] = {{1, 1}, {2, 3},  {5, 1},  {1, 9},  {4, 4},
                                    {8, 8}, {9, 17}, {33, 5}, {61, 47}};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(every_kind_is_read_as_it_is_stored)
{
    for (size_t s = 0; s < SIZES; s++) {
        struct made_png m = made_png(_i, sizes[s][0], sizes[s][1]);
        struct den_image_info info;
        write_made(scratch("made"), &m);
        void *want = planes_of(&m), *got = read_planes(scratch("made"), &info);
        int depth = m.kind->depth;
        ck_assert_str_eq(info.format, "png");
        ck_assert_uint_eq(info.width, m.width);
        ck_assert_uint_eq(info.height, m.height);
        ck_assert_uint_eq(info.pages, 1);
        ck_assert_uint_eq(info.channels, m.kind->channels);
        ck_assert_int_eq(info.alpha, (m.kind->color & PNG_COLOR_MASK_ALPHA) != 0);
        ck_assert_int_eq((int)info.dtype, depth == 16 ? DEN_U16 : DEN_U8);
        ck_assert_uint_eq(info.bits, has_palette(&m) ? 8 : (uint32_t)depth);
        close_to(info.pixel_size_um, 0.1, 1e-9);
        ck_assert_mem_eq(got, want, den_image_page_bytes(&info));
        check_against_libpng(scratch("made"), &info, got);
        den_free(want);
        den_free(got);
        den_free(m.values);
    }
}
END_TEST

START_TEST(a_copy_has_the_new_pixels_and_every_other_byte_of_its_source)
{
    struct den_err err = DEN_ERR_INIT;
    for (size_t s = 0; s < SIZES; s++) {
        struct made_png m = made_png(_i, sizes[s][0], sizes[s][1]);
        struct den_image_info info;
        write_made(scratch("made"), &m);
        size_t n = (size_t)m.width * m.height * m.samples;
        unsigned top = (1u << m.kind->depth) - 1;
        for (size_t i = 0; i < n; i++) /* the smallest and the largest, too */
            if (!has_palette(&m))
                m.values[i] = (uint16_t)(top - m.values[i]);
            else if (m.values[i] > 1) /* the others have an opacity of their own */
                m.values[i] = (uint16_t)(top + 2 - m.values[i]);
        void *want = planes_of(&m);
        must(copy_with(scratch("made"), scratch("copy"), want, "job 7", &err));
        void *got = read_planes(scratch("copy"), &info);
        ck_assert_mem_eq(got, want, den_image_page_bytes(&info));
        check_against_libpng(scratch("copy"), &info, want);
        check_copy(scratch("made"), scratch("copy"), "tEXt", "job 7");
        den_free(want);
        den_free(got);
        den_free(m.values);
    }
}
END_TEST

START_TEST(a_copy_without_new_pixels_has_the_very_bytes_of_the_old_ones)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_png m = made_png(_i, 61, 47);
    write_made(scratch("made"), &m);
    must(copy_with(scratch("made"), scratch("copy"), NULL, "job 8", &err));
    check_copy(scratch("made"), scratch("copy"), "tEXt", "job 8");
    struct png_bytes a = load_bytes(scratch("made")), b = load_bytes(scratch("copy"));
    size_t from = find_chunk(&a, "IDAT"), to = skip_pixels(&a, from);
    ck_assert_mem_eq(a.data + from, b.data + from, to - from);
    den_free(a.data);
    den_free(b.data);
    den_free(m.values);
}
END_TEST

START_TEST(a_record_of_other_letters_is_kept_as_utf8_beside_an_older_one)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_png m = made_png(3, 9, 7);
    write_made(scratch("made"), &m);
    must(copy_with(scratch("made"), scratch("first"), NULL, "first", &err));
    must(
        copy_with(scratch("first"), scratch("copy"), NULL, "Modell M\xc3\xbcller", &err));
    check_copy(scratch("first"), scratch("copy"), "iTXt", "Modell M\xc3\xbcller");
    den_free(m.values);
}
END_TEST

/* ---- palettes ------------------------------------------------------------------------
 */

START_TEST(a_palette_of_grays_is_one_channel)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_png m = made_png(PNG_KINDS - 1 - _i, 31, 23);
    struct den_image_info info;
    m.gray_palette = true;
    write_made(scratch("made"), &m);
    void *want = planes_of(&m), *got = read_planes(scratch("made"), &info);
    ck_assert_uint_eq(info.channels, 1);
    ck_assert_uint_eq(info.bits, 8);
    ck_assert_mem_eq(got, want, den_image_page_bytes(&info));
    check_against_libpng(scratch("made"), &info, got);
    must(copy_with(scratch("made"), scratch("copy"), want, "same", &err));
    check_against_libpng(scratch("copy"), &info, want);
    den_free(want);
    den_free(got);
    den_free(m.values);
}
END_TEST

/* Entry 0 is transparent and entry 1 half so (see add_chunks); all others are opaque. */
static unsigned opacity(uint16_t entry)
{
    return entry == 0 ? 0 : entry == 1 ? 128 : 255;
}

static int gap(const png_color *color, const unsigned char *rgb, size_t n)
{
    int r = color->red - rgb[0], g = color->green - rgb[n], b = color->blue - rgb[2 * n];
    return r * r + g * g + b * b;
}

/* Another name for the first chunk of this one. */
static void rename_chunk(struct png_bytes *b, const char *from, const char *to)
{
    char *chunk = b->data + find_chunk(b, from);
    size_t length = big_endian(chunk);
    memcpy(chunk + 4, to, 4);
    put_big_endian(chunk + 8 + length, crc_of(chunk + 4, length + 4));
}

/* The entries of the copy are read as if it were gray. */
static unsigned char *entries_of(const char *path, size_t *ret_n)
{
    struct png_bytes b = load_bytes(path);
    b.data[8 + 8 + 9] = PNG_COLOR_TYPE_GRAY;
    rename_chunk(&b, "IHDR", "IHDR");
    rename_chunk(&b, "PLTE", "vmAc");
    rename_chunk(&b, "tRNS", "vmAd");
    write_bytes(scratch("entries"), b.data, b.length);
    den_free(b.data);
    return libpng_pixels(scratch("entries"), ret_n);
}

START_TEST(a_color_that_the_palette_lacks_becomes_the_nearest_of_the_same_opacity)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_png m = made_png(PNG_KINDS - 1 - _i % 4 + (_i / 4) * PNG_KINDS, 29, 31);
    size_t n = (size_t)m.width * m.height, got_n = 0;
    struct den_rng rng;
    write_made(scratch("made"), &m);
    unsigned char *pixels = den_calloc(n, 3);
    den_rng_seed(&rng, 5, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < 3 * n; i++)
        pixels[i] = (unsigned char)den_rng_below(&rng, 256);
    must(copy_with(scratch("made"), scratch("copy"), pixels, "job", &err));
    unsigned char *entries = entries_of(scratch("copy"), &got_n);
    ck_assert_uint_eq(got_n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(opacity(entries[i]), opacity(m.values[i]));
        int least = gap(&m.palette[entries[i]], pixels + i, n);
        for (uint16_t k = 0; k < 1u << m.kind->depth; k++)
            ck_assert(opacity(k) != opacity(m.values[i]) ||
                      gap(&m.palette[k], pixels + i, n) >= least);
    }
    den_free(entries);
    den_free(pixels);
    den_free(m.values);
}
END_TEST

START_TEST(pixels_that_keep_their_color_keep_their_entry)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_png m = made_png(PNG_KINDS - 1, 29, 31);
    size_t n = (size_t)m.width * m.height, got_n = 0;
    for (size_t i = 0; i < 256; i++) /* each color 64 times */
        m.palette[i] = m.palette[i % 4];
    write_made(scratch("made"), &m);
    void *pixels = planes_of(&m);
    must(copy_with(scratch("made"), scratch("copy"), pixels, "job", &err));
    unsigned char *entries = entries_of(scratch("copy"), &got_n);
    ck_assert_uint_eq(got_n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(entries[i], m.values[i]);
    den_free(entries);
    den_free(pixels);
    den_free(m.values);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("PNG");
    TCase *made = tcase_create("made");
    tcase_add_checked_fixture(made, make_scratch, remove_scratch);
    tcase_set_timeout(made, 60);
    tcase_add_loop_test(made, every_kind_is_read_as_it_is_stored, 0, PNG_WAYS);
    tcase_add_loop_test(
        made, a_copy_has_the_new_pixels_and_every_other_byte_of_its_source, 0, PNG_WAYS);
    tcase_add_loop_test(
        made, a_copy_without_new_pixels_has_the_very_bytes_of_the_old_ones, 0, PNG_WAYS);
    tcase_add_test(made, a_record_of_other_letters_is_kept_as_utf8_beside_an_older_one);
    tcase_add_loop_test(made, a_palette_of_grays_is_one_channel, 0, 4);
    tcase_add_loop_test(
        made, a_color_that_the_palette_lacks_becomes_the_nearest_of_the_same_opacity, 0,
        8);
    tcase_add_test(made, pixels_that_keep_their_color_keep_their_entry);
    suite_add_tcase(suite, made);
    return den_check_main(suite);
}
