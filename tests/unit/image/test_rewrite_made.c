/* Rewriting TIFF files that no library would write: tables of every type and place, parts
 * and tags that share bytes, stacks with one directory. */

#include <fcntl.h>

#include "made_tiff.h"
#include "rewrite.h"
#include "rewrite_files.h"
#include "tiff_splice.h"

enum { W = 40, H = 8, PIXELS = W * H, PACKBITS = 32773, STRIP = PIXELS / 2 };
enum { ROWS = 2 * H }; /* bytes of H rows of runs */

static struct made made, copied;

/* A row that PackBits has as runs of one value: 2 bytes for W equal pixels. */
static size_t packed_rows(unsigned char *to, unsigned rows, unsigned char value)
{
    for (size_t i = 0; i < rows; i++) {
        to[2 * i] = (unsigned char)(257 - W);
        to[2 * i + 1] = value;
    }
    return 2 * (size_t)rows;
}

static void gray_pixels(unsigned char *pixels, uint64_t seed)
{
    struct den_rng rng;
    den_rng_seed(&rng, 5, DEN_STREAM_SYNTH, seed);
    for (size_t i = 0; i < PIXELS; i++)
        pixels[i] = (unsigned char)den_rng_below(&rng, 256);
}

static void rewrite_made(uint32_t pages, const unsigned char *const *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    made_save(&made, scratch("made"));
    must(den_rewriter_open(scratch("made"), scratch("copy"), NULL, "denoised test",
                           &rewriter, &err));
    ck_assert_uint_eq(den_rewriter_info(rewriter)->pages, pages);
    for (uint32_t i = 0; i < pages; i++)
        if (pixels[i] != NULL)
            must(den_rewriter_page(rewriter, i, pixels[i], &err));
    must(den_rewriter_finish(rewriter, &err));
    made_load(&copied, scratch("copy"));
}

static void check_pages(const char *path, uint32_t pages,
                        const unsigned char *const *want)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    unsigned char got[PIXELS];
    must(den_reader_open(path, NULL, &reader, &err));
    ck_assert_uint_eq(den_reader_info(reader)->pages, pages);
    for (uint32_t i = 0; i < pages; i++) {
        must(den_reader_page(reader, i, got, &err));
        ck_assert_msg(memcmp(got, want[i], PIXELS) == 0, "page %u", i);
    }
    den_reader_close(reader);
}

static void check_refused(const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_info info;
    made_save(&made, scratch("made"));
    must(den_image_verify(scratch("made"), NULL, &info, &err));
    must_fail(
        den_rewriter_open(scratch("made"), scratch("copy"), NULL, "a", &rewriter, &err),
        DEN_E_UNPROCESSABLE, words);
    ck_assert(!den_fs_exists(scratch("copy")));
}

static struct den_verdict verdict_of(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_verdict verdict;
    must(den_verify(scratch("made"), scratch("copy"), NULL, &verdict, &err));
    ck_assert_msg(verdict.differences == 0, "%s: %s: %s", verdict.list[0].where,
                  verdict.list[0].what, verdict.list[0].how);
    return verdict;
}

/* ---- tables ----------------------------------------------------------------------- */

static const struct {
    bool big_endian, big_tiff;
    unsigned strips, offset_type, count_type;
    bool far;                           /* behind the 64 KiB that a SHORT can name */
    unsigned offset_after, count_after; /* types in the copy */
} tables[] = {
    {false, false, 1, T_LONG, T_LONG, false, T_LONG, T_LONG},
    {true, false, 2, T_LONG, T_LONG, false, T_LONG, T_LONG},
    {false, false, 1, T_SHORT, T_SHORT, false, T_SHORT, T_SHORT},
    {false, false, 1, T_SHORT, T_SHORT, true, T_LONG, T_SHORT},
    {true, false, 1, T_SHORT, T_SHORT, true, T_LONG, T_SHORT},
    {false, false, 2, T_SHORT, T_SHORT, true, T_LONG, T_SHORT}, /* inside, then not */
    {true, false, 2, T_SHORT, T_SHORT, true, T_LONG, T_SHORT},
    {false, false, 4, T_SHORT, T_SHORT, true, T_LONG, T_SHORT}, /* outside, then moved */
    {false, false, 4, T_LONG, T_SHORT, true, T_LONG, T_SHORT},
    {false, false, 2, T_LONG8, T_LONG8, true, T_LONG8, T_LONG8},
    {false, true, 1, T_LONG8, T_LONG8, true, T_LONG8, T_LONG8},
    {true, true, 2, T_LONG, T_LONG, true, T_LONG, T_LONG}, /* inside: 8 bytes */
    {true, true, 4, T_SHORT, T_SHORT, true, T_LONG8, T_SHORT},
    {false, true, 4, T_LONG8, T_LONG, true, T_LONG8, T_LONG},
};

/* Strips of runs, 2 bytes for each row; noise does not fit into them. */
static void make_packed(int i)
{
    unsigned char data[ROWS];
    unsigned strips = tables[i].strips, rows = H / strips;
    uint64_t offsets[4], counts[4];
    made_begin(&made, tables[i].big_endian, tables[i].big_tiff);
    for (unsigned s = 0; s < strips; s++) {
        counts[s] = packed_rows(data, rows, (unsigned char)(10 + s));
        offsets[s] = made_bytes(&made, data, counts[s]);
    }
    struct made_entry where = {273, tables[i].offset_type, strips, offsets[0]};
    struct made_entry many = {279, tables[i].count_type, strips, counts[0]};
    size_t word = made_word(&made);
    struct made_entry *entries[] = {&where, &many};
    const uint64_t *values[] = {offsets, counts};
    for (size_t k = 0; k < 2; k++) {
        size_t each = made_type_bytes(entries[k]->type);
        if (strips == 1)
            continue;
        entries[k]->value = made_array(&made, entries[k]->type, values[k], strips);
        if (strips * each <= word) /* as the field holds them */
            entries[k]->value = made_get(&made, entries[k]->value, word);
    }
    made_page(
        &made, W, H, PACKBITS, rows, where, many,
        (struct made_entry){270, T_ASCII, 4, made.big_endian ? 0x61620000 : 0x6261});
    if (tables[i].far)
        made_put(&made, 70000, 4, 0x12345678);
}

START_TEST(tables_of_every_type_and_place_are_changed)
{
    unsigned char pixels[PIXELS], before[PIXELS];
    const unsigned char *fresh[] = {pixels}, *old[] = {before};
    struct made_entry entry;
    gray_pixels(pixels, 1);
    make_packed(_i);
    size_t strip = PIXELS / tables[_i].strips;
    for (size_t s = 0; s < tables[_i].strips; s++)
        memset(before + s * strip, 10 + (int)s, strip);
    rewrite_made(1, fresh);
    check_pages(scratch("made"), 1, old);
    check_pages(scratch("copy"), 1, fresh);
    verdict_of();
    ck_assert(made_find(&copied, 0, 273, &entry, NULL));
    ck_assert_uint_eq(entry.type, tables[_i].offset_after);
    ck_assert(made_find(&copied, 0, 279, &entry, NULL));
    ck_assert_uint_eq(entry.type, tables[_i].count_after);
}
END_TEST

/* 300 rows of noise in one strip are more than 65,535 bytes. */
START_TEST(a_short_byte_count_becomes_a_long_one)
{
    enum { WIDE = 120, HIGH = 600 };
    static unsigned char pixels[WIDE * HIGH], packed[2 * HIGH];
    const unsigned char *fresh[] = {pixels};
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    struct den_rng rng;
    struct made_entry entry;
    den_rng_seed(&rng, 1, DEN_STREAM_SYNTH, 1);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (unsigned char)den_rng_below(&rng, 256);
    for (size_t i = 0; i < HIGH; i++) {
        packed[2 * i] = 257 - WIDE;
        packed[2 * i + 1] = 9;
    }
    made_begin(&made, true, false);
    uint64_t at = made_bytes(&made, packed, sizeof packed);
    made_page(&made, WIDE, HIGH, PACKBITS, HIGH, (struct made_entry){273, T_LONG, 1, at},
              (struct made_entry){279, T_SHORT, 1, sizeof packed}, no_entry);
    rewrite_made(1, fresh);
    verdict_of();
    ck_assert(made_find(&copied, 0, 279, &entry, NULL));
    ck_assert_uint_eq(entry.type, T_LONG);
    ck_assert_uint_gt(entry.value, 65535);
    static unsigned char got[WIDE * HIGH];
    must(den_reader_open(scratch("copy"), NULL, &reader, &err));
    must(den_reader_page(reader, 0, got, &err));
    ck_assert_mem_eq(got, pixels, sizeof pixels);
    den_reader_close(reader);
}
END_TEST

/* ---- noise left behind ------------------------------------------------------------ */

START_TEST(nothing_of_the_old_pixels_stays_in_the_copy)
{
    static const unsigned char flat[PIXELS] = {0};
    unsigned char literal[H * (W + 1)];
    const unsigned char *fresh[] = {flat};
    for (size_t y = 0; y < H; y++) {
        literal[y * (W + 1)] = W - 1;
        memset(literal + y * (W + 1) + 1, 0xA5, W);
    }
    made_begin(&made, false, false);
    uint64_t at = made_bytes(&made, literal, sizeof literal);
    made_page(&made, W, H, PACKBITS, H, (struct made_entry){273, T_LONG, 1, at},
              (struct made_entry){279, T_LONG, 1, sizeof literal}, no_entry);
    rewrite_made(1, fresh);
    check_pages(scratch("copy"), 1, fresh);
    struct made_entry count;
    ck_assert(made_find(&copied, 0, 279, &count, NULL));
    ck_assert_uint_lt(count.value, sizeof literal);
    ck_assert_ptr_null(memchr(copied.bytes, 0xA5, copied.length));
    verdict_of();
}
END_TEST

/* ---- uncompressed ----------------------------------------------------------------- */

START_TEST(old_files_without_byte_counts_are_rewritten_in_place)
{
    unsigned char old[PIXELS], new[PIXELS];
    const unsigned char *fresh[] = {new};
    gray_pixels(old, 1);
    gray_pixels(new, 2);
    made_begin(&made, false, false);
    uint64_t at = made_bytes(&made, old, PIXELS);
    made_page(&made, W, H, 1, H, (struct made_entry){273, T_LONG, 1, at}, no_entry,
              no_entry);
    rewrite_made(1, fresh);
    check_pages(scratch("copy"), 1, fresh);
    ck_assert_mem_eq(copied.bytes + at, new, PIXELS);
}
END_TEST

START_TEST(bytes_behind_the_pixels_of_a_strip_stay)
{
    unsigned char old[PIXELS + 9], new[PIXELS];
    const unsigned char *fresh[] = {new};
    gray_pixels(old, 1);
    gray_pixels(new, 2);
    memcpy(old + PIXELS, "leave me", 9);
    made_begin(&made, false, false);
    uint64_t at = made_bytes(&made, old, sizeof old);
    made_page(&made, W, H, 1, H, (struct made_entry){273, T_LONG, 1, at},
              (struct made_entry){279, T_LONG, 1, sizeof old}, no_entry);
    rewrite_made(1, fresh);
    check_pages(scratch("copy"), 1, fresh);
    ck_assert_str_eq((const char *)copied.bytes + at + PIXELS, "leave me");
}
END_TEST

/* ---- bytes in common -------------------------------------------------------------- */

/* Two pages show the same strip: each gets one of its own. */
START_TEST(pages_that_share_a_strip_part)
{
    unsigned char old[PIXELS], new[2][PIXELS];
    const unsigned char *only[] = {new[0], NULL}, *both[] = {new[0], new[1]};
    const unsigned char *want[] = {new[0], old};
    gray_pixels(old, 1);
    gray_pixels(new[0], 2);
    gray_pixels(new[1], 3);
    made_begin(&made, _i == 1, false);
    uint64_t at = made_bytes(&made, old, PIXELS);
    for (int page = 0; page < 2; page++)
        made_page(&made, W, H, 1, H, (struct made_entry){273, T_LONG, 1, at},
                  (struct made_entry){279, T_LONG, 1, PIXELS}, no_entry);
    rewrite_made(2, only);
    check_pages(scratch("copy"), 2, want);
    rewrite_made(2, both);
    check_pages(scratch("copy"), 2, both);
    verdict_of();
}
END_TEST

/* A text that lies in the middle of the pixels is still the same text in the copy. */
START_TEST(a_tag_inside_the_pixels_is_not_overwritten)
{
    unsigned char old[PIXELS], new[PIXELS];
    const unsigned char *fresh[] = {new};
    struct made_entry text;
    gray_pixels(old, 1);
    gray_pixels(new, 2);
    memcpy(old + 100, "a description", 14);
    made_begin(&made, false, true);
    uint64_t at = made_bytes(&made, old, PIXELS);
    made_page(&made, W, H, 1, H, (struct made_entry){273, T_LONG, 1, at},
              (struct made_entry){279, T_LONG, 1, PIXELS},
              (struct made_entry){270, T_ASCII, 14, at + 100});
    rewrite_made(1, fresh);
    check_pages(scratch("copy"), 1, fresh);
    ck_assert(made_find(&copied, 0, 270, &text, NULL));
    ck_assert_str_eq((const char *)copied.bytes + text.value, "a description");
    verdict_of();
}
END_TEST

static const struct {
    unsigned compression;
    bool sound; /* nothing in common: the same file is fine then */
} commons[] = {{1, true}, {PACKBITS, true}, {1, false}, {PACKBITS, false}};

START_TEST(pages_that_share_their_table_are_refused)
{
    unsigned char data[PIXELS];
    bool packed = commons[_i].compression == PACKBITS;
    uint64_t size = packed ? packed_rows(data, H / 2, 7) : STRIP;
    uint64_t table[4] = {8, 8 + size, 8, 8 + size}, counts[4] = {size, size, size, size};
    if (!packed)
        gray_pixels(data, 1);
    else
        packed_rows(data, H, 7);
    made_begin(&made, false, false);
    made_bytes(&made, data, 2 * size);
    if (commons[_i].sound) {
        table[2] = made_bytes(&made, data, 2 * size);
        table[3] = table[2] + size;
    }
    uint64_t where = made_array(&made, T_LONG, table, 4);
    uint64_t second = commons[_i].sound ? where + 8 : where;
    for (int page = 0; page < 2; page++) {
        uint64_t many = made_array(&made, T_LONG, counts, 2);
        made_page(&made, W, H, commons[_i].compression, H / 2,
                  (struct made_entry){273, T_LONG, 2, page == 0 ? where : second},
                  (struct made_entry){279, T_LONG, 2, many}, no_entry);
    }
    if (!commons[_i].sound) {
        check_refused("bytes in common");
        return;
    }
    unsigned char new[2][PIXELS];
    const unsigned char *fresh[] = {new[0], new[1]};
    gray_pixels(new[0], 2);
    gray_pixels(new[1], 3);
    rewrite_made(2, fresh);
    check_pages(scratch("copy"), 2, fresh);
    verdict_of();
}
END_TEST

START_TEST(a_table_that_cannot_be_changed_is_refused_by_page)
{
    static const struct {
        struct made_entry offsets, counts;
        const char *words;
    } cases[] = {
        {{273, T_LONG, 1, 8}, {.type = 0}, "how long its compressed strips"},
        {{273, T_LONG, 1, 8}, {279, T_LONG, 2, 300}, "behind the end"},
        {{273, T_LONG, 2, 300}, {279, T_LONG, 1, ROWS}, "behind the end"},
        {{273, T_LONG, 1, 600}, {279, T_LONG, 1, 0}, "is damaged"},
    };
    unsigned char data[ROWS];
    made_begin(&made, false, false);
    packed_rows(data, H, 3);
    made_bytes(&made, data, sizeof data);
    made_page(&made, W, H, PACKBITS, H, cases[_i].offsets, cases[_i].counts, no_entry);
    made_put(&made, 300, 4, cases[_i].offsets.count == 2 ? 8 : sizeof data);
    if (cases[_i].offsets.value == 600) { /* at the end: libtiff can tell its length */
        made.length = 600;
        made_bytes(&made, data, sizeof data);
    }
    check_refused(cases[_i].words);
}
END_TEST

/* ---- strips that are not there ---------------------------------------------------- */

/* Offset and count 0 are a strip of zeros for programs that write such files; libtiff
 * does not read them.  The copy has them, or leaves them out where they stay zero. */
START_TEST(a_missing_strip_is_added_when_it_gets_pixels)
{
    static const unsigned compressions[] = {1, PACKBITS};
    unsigned char data[PIXELS] = {0}, new[PIXELS];
    const unsigned char *fresh[] = {new};
    unsigned compression = compressions[_i];
    uint64_t size = compression == 1 ? STRIP : packed_rows(data, H / 2, 7);
    gray_pixels(new, 4);
    for (int zero = 0; zero < 2; zero++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_rewriter *rewriter = NULL;
        struct made_entry table;
        made_begin(&made, false, false);
        uint64_t at = made_bytes(&made, data, size);
        uint64_t offsets[] = {at, 0}, counts[] = {size, 0};
        uint64_t where = made_array(&made, T_LONG, offsets, 2);
        uint64_t many = made_array(&made, T_LONG, counts, 2);
        made_page(&made, W, H, compression, H / 2,
                  (struct made_entry){273, T_LONG, 2, where},
                  (struct made_entry){279, T_LONG, 2, many}, no_entry);
        made_save(&made, scratch("made"));
        if (zero)
            memset(new + STRIP, 0, STRIP);
        must(den_rewriter_open(scratch("made"), scratch("copy"), NULL, "a", &rewriter,
                               &err));
        must(den_rewriter_page(rewriter, 0, new, &err));
        must(den_rewriter_finish(rewriter, &err));
        made_load(&copied, scratch("copy"));
        ck_assert(made_find(&copied, 0, 273, &table, NULL));
        uint64_t second = made_get(&copied, table.value + 4, 4);
        if (zero)
            ck_assert_uint_eq(second, 0);
        else
            check_pages(scratch("copy"), 1, fresh);
    }
}
END_TEST

/* ---- stacks with one directory ---------------------------------------------------- */

static void make_stack(bool big_endian, uint64_t shift)
{
    static const char text[] = "ImageJ=1.53k\nimages=3\nslices=3\n";
    unsigned char pages[3][PIXELS];
    for (uint64_t i = 0; i < 3; i++)
        gray_pixels(pages[i], i);
    made_begin(&made, big_endian, false);
    made.length = 400; /* room for the directory before the pixels, as ImageJ has it */
    made_bytes(&made, pages, sizeof pages);
    size_t end = made.length;
    made.length = 100;
    uint64_t about = made_bytes(&made, text, sizeof text);
    made_page(&made, W, H, 1, H, (struct made_entry){273, T_LONG, 1, 400 - shift},
              (struct made_entry){279, T_LONG, 1, PIXELS},
              (struct made_entry){270, T_ASCII, sizeof text, about});
    ck_assert_uint_lt(made.length, 400);
    made.length = end;
}

START_TEST(a_stack_with_one_directory_is_rewritten_by_offset)
{
    unsigned char old[3][PIXELS], new[3][PIXELS];
    for (uint64_t i = 0; i < 3; i++) {
        gray_pixels(old[i], i);
        gray_pixels(new[i], 10 + i);
    }
    const unsigned char *fresh[] = {new[0], NULL, new[2]};
    const unsigned char *want[] = {new[0], old[1], new[2]};
    make_stack(_i == 1, 0);
    rewrite_made(3, fresh);
    check_pages(scratch("copy"), 3, want);
    struct den_verdict verdict = verdict_of();
    ck_assert_uint_eq(verdict.pages_changed, 2);
    ck_assert_mem_eq(copied.bytes + 400 + sizeof new[0] * 2, new[2], PIXELS);
}
END_TEST

START_TEST(a_stack_over_its_own_directory_is_refused)
{
    make_stack(false, 160);
    check_refused("page 0 of the TIFF can be read, but not rewritten: its image has "
                  "bytes in common");
}
END_TEST

/* ---- the record of origin --------------------------------------------------------- */

static void make_plain(struct made_entry text, struct made_entry extra)
{
    unsigned char old[PIXELS];
    gray_pixels(old, 1);
    made_begin(&made, false, false);
    uint64_t at = made_bytes(&made, old, PIXELS);
    const struct made_entry entries[] = {
        {256, T_LONG, 1, W},
        {257, T_LONG, 1, H},
        {258, T_SHORT, 1, 8},
        {259, T_SHORT, 1, 1},
        {262, T_SHORT, 1, 1},
        text,
        {273, T_LONG, 1, at},
        {278, T_LONG, 1, H},
        {279, T_LONG, 1, PIXELS},
        {64000, T_LONG, 1, 5},
        extra,
        {65500, T_SHORT, 1, 12},
    };
    made_directory(&made, entries, sizeof entries / sizeof *entries);
}

START_TEST(the_record_is_one_tag_in_its_place)
{
    unsigned char new[PIXELS];
    const unsigned char *fresh[] = {new};
    struct made_entry entry;
    size_t index = 0, after = 0;
    gray_pixels(new, 2);
    make_plain(no_entry, no_entry);
    rewrite_made(1, fresh);
    ck_assert(made_find(&copied, 0, DEN_PROVENANCE_TIFF_TAG, &entry, &index));
    ck_assert_str_eq((const char *)copied.bytes + entry.value, "denoised test");
    ck_assert_uint_eq(entry.count, sizeof "denoised test");
    ck_assert(made_find(&copied, 0, 65500, &entry, &after));
    ck_assert_uint_eq(after, index + 1);
    ck_assert_uint_eq(made_get(&copied, 4, 4) % 2, 0);
    check_pages(scratch("copy"), 1, fresh);
}
END_TEST

START_TEST(a_copy_of_a_copy_has_two_lines)
{
    unsigned char new[PIXELS];
    const unsigned char *fresh[] = {new};
    struct made_entry entry;
    gray_pixels(new, 2);
    make_plain(no_entry,
               (struct made_entry){DEN_PROVENANCE_TIFF_TAG, T_ASCII, 4, 0x636261});
    rewrite_made(1, fresh);
    ck_assert(made_find(&copied, 0, DEN_PROVENANCE_TIFF_TAG, &entry, NULL));
    ck_assert_str_eq((const char *)copied.bytes + entry.value, "abc\ndenoised test");
    verdict_of();
}
END_TEST

START_TEST(a_record_that_has_no_place_is_refused_at_once)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_rewriter *rewriter = NULL;
    struct den_image_limits few = {.tags = 11};
    make_plain(no_entry, (struct made_entry){DEN_PROVENANCE_TIFF_TAG, T_SHORT, 1, 3});
    check_refused("has a tag 65180 that is no text");
    make_plain((struct made_entry){270, T_ASCII, 2, 'a'}, no_entry);
    made_save(&made, scratch("made"));
    must_fail(
        den_rewriter_open(scratch("made"), scratch("copy"), &few, "a", &rewriter, &err),
        DEN_E_UNPROCESSABLE, "page 0 of the TIFF has 11 tags");
}
END_TEST

/* Nothing is written, and the descriptor -1 would tell if it were. */
START_TEST(offsets_of_a_classic_file_end_at_4_gib)
{
    struct den_err err = DEN_ERR_INIT;
    uint64_t at = 77;
    struct den_tiff_copy copy = {.fd = -1, .end = UINT32_MAX - 9};
    must_fail(den_tiff_copy_append(&copy, "0123456789", 10, &at, &err), DEN_E_TOO_LARGE,
              "at most 4294967295 are allowed without BigTIFF");
    ck_assert(!den_tiff_copy_append(&copy, "0123456789", 10, &at, &err));
    ck_assert_int_eq(err.limit, UINT32_MAX);
    ck_assert_int_eq(err.actual, (int64_t)UINT32_MAX + 1);
    ck_assert_uint_eq(at, 77);
    ck_assert_uint_eq(copy.end, UINT32_MAX - 9);
    err = DEN_ERR_INIT;
    copy.raw.big_tiff = true;
    must_fail(den_tiff_copy_append(&copy, "0123456789", 10, &at, &err), DEN_E_IO,
              "cannot be written");
}
END_TEST

/* ImageJ's classic files of more than 4 GiB: a new directory could not be pointed at. */
START_TEST(a_file_without_a_place_for_the_record_is_left_without)
{
    struct den_err err = DEN_ERR_INIT;
    make_plain(no_entry, no_entry);
    made_save(&made, scratch("made"));
    for (int room = 0; room < 2; room++) {
        struct den_tiff_copy copy = {.fd = open(scratch("made"), O_RDWR | O_CLOEXEC)};
        struct made_entry entry;
        must(den_tiff_raw_open(copy.fd, made.length, &copy.raw, &err));
        copy.end = room ? made.length : UINT32_MAX - 100;
        must(den_tiff_copy_sign(&copy, DEN_PROVENANCE_TIFF_TAG, "a record", &err));
        close(copy.fd);
        made_load(&copied, scratch("made"));
        ck_assert_int_eq(copied.length > made.length, room);
        ck_assert_int_eq(made_find(&copied, 0, DEN_PROVENANCE_TIFF_TAG, &entry, NULL),
                         room);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite made files");
    TCase *tcase = tcase_create("rewrite made files");
    tcase_add_checked_fixture(tcase, make_scratch, remove_scratch);
    tcase_add_loop_test(tcase, tables_of_every_type_and_place_are_changed, 0,
                        sizeof tables / sizeof *tables);
    tcase_add_test(tcase, a_short_byte_count_becomes_a_long_one);
    tcase_add_test(tcase, nothing_of_the_old_pixels_stays_in_the_copy);
    tcase_add_test(tcase, old_files_without_byte_counts_are_rewritten_in_place);
    tcase_add_test(tcase, bytes_behind_the_pixels_of_a_strip_stay);
    tcase_add_loop_test(tcase, pages_that_share_a_strip_part, 0, 2);
    tcase_add_test(tcase, a_tag_inside_the_pixels_is_not_overwritten);
    tcase_add_loop_test(tcase, pages_that_share_their_table_are_refused, 0,
                        sizeof commons / sizeof *commons);
    tcase_add_loop_test(tcase, a_table_that_cannot_be_changed_is_refused_by_page, 0, 4);
    tcase_add_loop_test(tcase, a_missing_strip_is_added_when_it_gets_pixels, 0, 2);
    tcase_add_loop_test(tcase, a_stack_with_one_directory_is_rewritten_by_offset, 0, 2);
    tcase_add_test(tcase, a_stack_over_its_own_directory_is_refused);
    tcase_add_test(tcase, the_record_is_one_tag_in_its_place);
    tcase_add_test(tcase, a_copy_of_a_copy_has_two_lines);
    tcase_add_test(tcase, a_record_that_has_no_place_is_refused_at_once);
    tcase_add_test(tcase, offsets_of_a_classic_file_end_at_4_gib);
    tcase_add_test(tcase, a_file_without_a_place_for_the_record_is_left_without);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
