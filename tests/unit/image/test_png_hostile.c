/* PNG files that are damaged, cut, or made to cost much. */

#include <time.h>

#include "png_files.h"

/* The bytes of a made file; den_free. */
static struct png_bytes made_bytes(int way, uint32_t width, uint32_t height)
{
    struct made_png m = made_png(way, width, height);
    write_made(scratch("made"), &m);
    den_free(m.values);
    return load_bytes(scratch("made"));
}

static void mend_crc(struct png_bytes *b, const char *name)
{
    char *chunk = b->data + find_chunk(b, name);
    size_t length = big_endian(chunk);
    put_big_endian(chunk + 8 + length, crc_of(chunk + 4, length + 4));
}

/* Puts a chunk before the first of this name. */
static void insert_chunk(struct png_bytes *b, const char *before, const char *name,
                         const char *data, size_t length)
{
    size_t at = find_chunk(b, before), size = length + 12;
    b->data = den_realloc(b->data, b->length + size, 1);
    ck_assert_ptr_nonnull(b->data);
    memmove(b->data + at + size, b->data + at, b->length - at);
    put_big_endian(b->data + at, (uint32_t)length);
    memcpy(b->data + at + 4, name, 4);
    memcpy(b->data + at + 8, data, length);
    put_big_endian(b->data + at + 8 + length, crc_of(b->data + at + 4, length + 4));
    b->length += size;
}

/* Reading and copying agree on whether the file is sound; true if it is. */
static bool try_file(const struct png_bytes *b, size_t length)
{
    struct den_err err = DEN_ERR_INIT, other = DEN_ERR_INIT;
    struct den_image_info info;
    write_bytes(scratch("bad"), b->data, length);
    bool done = den_image_verify(scratch("bad"), NULL, &info, &err);
    ck_assert(done || (err.code != DEN_OK && den_utf8_printable(err.text)));
    if (done) {
        void *pixels = den_calloc(1, den_image_page_bytes(&info));
        must(copy_with(scratch("bad"), scratch("copy"), pixels, "job", &other));
        must(den_image_verify(scratch("copy"), NULL, &info, &other));
        den_free(pixels);
    } else {
        (void)copy_with(scratch("bad"), scratch("copy"), NULL, "job", &other);
    }
    return done;
}

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct png_bytes b = made_bytes(_i, 37, 29);
    size_t end = find_chunk(&b, "IEND") + 12; /* what follows is not needed */
    for (size_t cut = 8; cut < end; cut += 37)
        ck_assert_msg(!try_file(&b, cut), "%zu of %zu bytes were read", cut, end);
    ck_assert(try_file(&b, end));
    den_free(b.data);
}
END_TEST

START_TEST(changed_bits_end_in_success_or_a_sentence)
{
    struct png_bytes b = made_bytes(_i, 17, 13);
    struct den_rng rng;
    size_t refused = 0;
    den_rng_seed(&rng, 9, DEN_STREAM_SYNTH, (uint64_t)_i);
    for (size_t round = 0; round < 120; round++) {
        size_t at = 8 + den_rng_below(&rng, b.length - 8);
        char flip = (char)(1 << den_rng_below(&rng, 8));
        b.data[at] ^= flip;
        refused += !try_file(&b, b.length);
        b.data[at] ^= flip;
    }
    ck_assert_uint_gt(refused, 20);
    den_free(b.data);
}
END_TEST

/* With a right CRC nothing but the meaning is wrong. */
START_TEST(changed_headers_with_a_right_checksum_end_in_success_or_a_sentence)
{
    struct png_bytes b = made_bytes(_i, 17, 13);
    size_t refused = 0;
    for (size_t at = 8 + 8; at < 8 + 8 + 13; at++)
        for (int value = 0; value < 9; value++) {
            char old = b.data[at];
            b.data[at] = (char)value;
            mend_crc(&b, "IHDR");
            refused += !try_file(&b, b.length);
            b.data[at] = old;
        }
    mend_crc(&b, "IHDR");
    ck_assert_uint_gt(refused, 60);
    ck_assert(try_file(&b, b.length));
    den_free(b.data);
}
END_TEST

START_TEST(a_wrong_checksum_matters_where_readers_need_the_chunk)
{
    static const struct {
        const char *name;
        bool read;
    } cases[] = {{"IHDR", false}, {"PLTE", false}, {"IDAT", false}, {"IEND", false},
                 {"tIME", true},  {"vmAb", true},  {"vmAa", true},  {"zTXt", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct png_bytes b = made_bytes(PNG_KINDS - 1, 17, 13), copy;
        size_t at = find_chunk(&b, cases[i].name);
        b.data[at + 8 + big_endian(b.data + at)] ^= 1;
        ck_assert_msg(try_file(&b, b.length) == cases[i].read, "%s", cases[i].name);
        if (cases[i].read) { /* it is as wrong in the copy */
            copy = load_bytes(scratch("copy"));
            size_t there = find_chunk(&copy, cases[i].name);
            ck_assert_mem_eq(copy.data + there, b.data + at,
                             big_endian(b.data + at) + 12);
            den_free(copy.data);
        }
        den_free(b.data);
    }
}
END_TEST

static char *text_of(const struct png_bytes *b)
{
    static char said[400];
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    write_bytes(scratch("bad"), b->data, b->length);
    ck_assert(!den_image_verify(scratch("bad"), NULL, &info, &err));
    ck_assert_int_eq((int)err.code, DEN_E_UNPROCESSABLE);
    den_str_copy(said, sizeof said, err.text);
    return said;
}

START_TEST(what_is_no_still_image_is_refused_by_name)
{
    static const struct {
        const char *before, *name, *words;
    } cases[] = {
        {"IDAT", "acTL", "animation (chunk acTL)"},
        {"IDAT", "fcTL", "animation (chunk fcTL)"},
        {"IEND", "fdAT", "animation (chunk fdAT)"},
        {"IHDR", "CgBI", "Apple's own variant"},
        {"IHDR", "tEXt", "first chunk is not IHDR"},
        {"IEND", "IDAT", "do not follow each other"},
        {"IDAT", "XXXX", "unhandled critical chunk"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct png_bytes b = made_bytes(3, 17, 13);
        insert_chunk(&b, cases[i].before, cases[i].name, "12345678", 8);
        char *said = text_of(&b);
        ck_assert_msg(strstr(said, cases[i].words) != NULL, "%s: %s", cases[i].name,
                      said);
        den_free(b.data);
    }
}
END_TEST

START_TEST(a_color_outside_the_palette_is_refused)
{
    struct png_bytes b = made_bytes(PNG_KINDS - 1, 31, 29);
    char *palette = b.data + find_chunk(&b, "PLTE");
    size_t behind = find_chunk(&b, "PLTE") + 12 + 768, to = behind - 3;
    ck_assert_uint_eq(big_endian(palette), 768);
    put_big_endian(palette, 765); /* all of the 256 entries are used */
    memmove(b.data + to, b.data + behind, b.length - behind);
    b.length -= 3;
    mend_crc(&b, "PLTE");
    ck_assert_ptr_nonnull(strstr(text_of(&b), "not in the palette"));
    den_free(b.data);
}
END_TEST

/* One chunk of any length as chunks of one byte, with empty ones between. */
START_TEST(pixels_in_chunks_of_one_byte_are_read)
{
    struct made_png m = made_png(_i, 30, 20);
    struct den_image_info info;
    struct den_err err = DEN_ERR_INIT;
    write_made(scratch("made"), &m);
    struct png_bytes b = load_bytes(scratch("made"));
    size_t at = find_chunk(&b, "IDAT"), length = big_endian(b.data + at), to = at;
    size_t behind = skip_pixels(&b, at);
    ck_assert_uint_eq(behind, at + length + 12);
    char *split = den_calloc(b.length + length * 25, 1);
    memcpy(split, b.data, at);
    for (size_t i = 0; i < 2 * length; i++) {
        size_t size = i % 2;
        memcpy(split + to, b.data + at, 8); /* with the name */
        put_big_endian(split + to, (uint32_t)size);
        split[to + 8] = b.data[at + 8 + i / 2];
        put_big_endian(split + to + 8 + size, crc_of(split + to + 4, 4 + size));
        to += 12 + size;
    }
    memcpy(split + to, b.data + behind, b.length - behind);
    write_bytes(scratch("split"), split, to + b.length - behind);
    void *want = planes_of(&m), *got = read_planes(scratch("split"), &info);
    ck_assert_mem_eq(got, want, den_image_page_bytes(&info));
    must(copy_with(scratch("split"), scratch("copy"), want, "job", &err));
    check_copy(scratch("split"), scratch("copy"), "tEXt", "job");
    check_against_libpng(scratch("copy"), &info, want);
    den_free(want);
    den_free(got);
    den_free(split);
    den_free(b.data);
    den_free(m.values);
}
END_TEST

/* ---- what it may cost ----------------------------------------------------------------
 */

/* 64 MB of text in 64 kB. */
START_TEST(a_text_that_unpacks_to_much_costs_nothing)
{
    struct den_image_info info;
    struct den_err err = DEN_ERR_INIT;
    const size_t length = (size_t)64 << 20;
    struct png_bytes b = made_bytes(3, 17, 13), packed;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = 8192,
                       .height = 8192,
                       .format = PNG_FORMAT_GRAY};
    char *zeros = den_calloc(length, 1);
    ck_assert_int_ne(png_image_write_to_file(&image, scratch("big"), 0, zeros, 0, NULL),
                     0);
    den_free(zeros);
    packed = load_bytes(scratch("big")); /* its IDAT is what a zTXt holds */
    char *text = den_calloc(packed.length, 1);
    size_t at = find_chunk(&packed, "IDAT"), size = 0;
    memcpy(text, "Comment", 8); /* and a zero: the method */
    for (size = 9; memcmp(packed.data + at + 4, "IDAT", 4) == 0;) {
        size_t part = big_endian(packed.data + at);
        memcpy(text + size, packed.data + at + 8, part);
        size += part;
        at += part + 12;
    }
    insert_chunk(&b, "IDAT", "zTXt", text, size);
    insert_chunk(&b, "IEND", "zTXt", text, size);
    write_bytes(scratch("bomb"), b.data, b.length);
    den_mem_reset_peak();
    size_t live = den_mem_live();
    clock_t start = clock(); /* of this process: others may be busy */
    must(den_image_verify(scratch("bomb"), NULL, &info, &err));
    must(copy_with(scratch("bomb"), scratch("copy"), NULL, "job", &err));
    ck_assert_uint_lt(den_mem_peak() - live, 1 << 20);
    ck_assert_int_lt(clock() - start, CLOCKS_PER_SEC);
    check_copy(scratch("bomb"), scratch("copy"), "tEXt", "job");
    den_free(text);
    den_free(packed.data);
    den_free(b.data);
}
END_TEST

START_TEST(limits_are_told_with_their_value)
{
    static const struct {
        uint32_t side;
        bool interlaced;
        const char *words;
    } cases[] = {
        {65537, false, "65537 x 65537 pixels; a side may have at most 65536"},
        {20000, false, "at most 268435456 pixels"},
        {8193, true, "interlaced and has 67125249 pixels; at most 67108864"},
        {8000, false, "unpacks to 64000000 bytes"},
        {8000, true, "unpacks to 64000000 bytes"},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    struct png_bytes b = made_bytes(3, 17, 13);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_big_endian(b.data + 16, cases[i].side);
        put_big_endian(b.data + 20, cases[i].side);
        b.data[28] = cases[i].interlaced;
        mend_crc(&b, "IHDR");
        write_bytes(scratch("bad"), b.data, b.length);
        den_mem_reset_peak();
        must_fail(den_image_verify(scratch("bad"), NULL, &info, &err), DEN_E_TOO_LARGE,
                  cases[i].words);
        ck_assert_uint_lt(den_mem_peak(), 1 << 20);
    }
    den_free(b.data);
}
END_TEST

START_TEST(the_number_of_chunks_has_a_limit)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    struct den_image_limits limits = {.tags = 20};
    struct png_bytes b = made_bytes(3, 17, 13);
    size_t others = 0;
    for (size_t at = 8; at + 12 <= find_chunk(&b, "IEND") + 12; at += chunk_size(&b, at))
        others += memcmp(b.data + at + 4, "IDAT", 4) != 0;
    for (; others < 20; others++)
        insert_chunk(&b, "IDAT", "vmAc", "", 0);
    write_bytes(scratch("many"), b.data, b.length);
    must(den_image_verify(scratch("many"), &limits, &info, &err));
    insert_chunk(&b, "IEND", "vmAc", "", 0);
    write_bytes(scratch("many"), b.data, b.length);
    must_fail(den_image_verify(scratch("many"), &limits, &info, &err), DEN_E_TOO_LARGE,
              "more than 20 chunks");
    den_free(b.data);
}
END_TEST

/* ---- what can fail meanwhile
 * ----------------------------------------------------------- */

START_TEST(no_memory_is_told_and_leaks_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    struct png_bytes b = made_bytes(_i, 37, 29);
    den_free(b.data);
    void *pixels = read_planes(scratch("made"), &info);
    size_t live = den_mem_live(), n = 1;
    for (bool done = false; !done; n++) {
        ck_assert_uint_lt(n, 1000);
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = copy_with(scratch("made"), scratch("copy"), pixels, "job", &err);
        ck_assert_msg(done || err.code == DEN_E_NO_MEMORY, "allocation %zu: %s", n,
                      err.text);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    den_mem_fail_at(0);
    ck_assert_uint_gt(n, 8);
    check_copy(scratch("made"), scratch("copy"), "tEXt", "job");
    den_free(pixels);
}
END_TEST

/* /dev/full takes every open and refuses every write. */
START_TEST(a_full_disk_is_told)
{
    struct den_image_info info;
    struct png_bytes b = made_bytes(_i, 211, 157);
    den_free(b.data);
    void *pixels = read_planes(scratch("made"), &info);
    for (int with_pixels = 0; with_pixels < 2; with_pixels++) {
        struct den_err err = DEN_ERR_INIT;
        ck_assert(!copy_with(scratch("made"), "/dev/full", with_pixels ? pixels : NULL,
                             "job", &err));
        ck_assert_msg(err.code == DEN_E_DISK_FULL, "%s", err.text);
    }
    ck_assert(access("/dev/full", F_OK) == 0);
    den_free(pixels);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("PNG, hostile");
    TCase *made = tcase_create("made");
    tcase_add_checked_fixture(made, make_scratch, remove_scratch);
    tcase_set_timeout(made, 60);
    tcase_add_loop_test(made, a_file_cut_anywhere_is_refused, 0, PNG_WAYS);
    tcase_add_loop_test(made, changed_bits_end_in_success_or_a_sentence, 0, PNG_WAYS);
    tcase_add_loop_test(
        made, changed_headers_with_a_right_checksum_end_in_success_or_a_sentence, 0,
        PNG_WAYS);
    tcase_add_test(made, a_wrong_checksum_matters_where_readers_need_the_chunk);
    tcase_add_test(made, what_is_no_still_image_is_refused_by_name);
    tcase_add_test(made, a_color_outside_the_palette_is_refused);
    tcase_add_loop_test(made, pixels_in_chunks_of_one_byte_are_read, 0, PNG_WAYS);
    tcase_add_test(made, a_text_that_unpacks_to_much_costs_nothing);
    tcase_add_test(made, limits_are_told_with_their_value);
    tcase_add_test(made, the_number_of_chunks_has_a_limit);
    tcase_add_loop_test(made, no_memory_is_told_and_leaks_nothing, 0, PNG_WAYS);
    tcase_add_loop_test(made, a_full_disk_is_told, 0, PNG_WAYS);
    suite_add_tcase(suite, made);
    return den_check_main(suite);
}
