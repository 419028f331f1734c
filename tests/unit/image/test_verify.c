/* den_verify on files made here, with one thing changed each. */
#include "verify.h"

#include "image_files.h"
#include "made_files.h"
#include "rewrite.h"

static struct den_verdict verdict;
static struct made_file source, copy;

static void setup(void)
{
    make_scratch();
}

static void teardown(void)
{
    remove_scratch();
}

/* The source lies in the folder already: for loops over many copies. */
static void verify_copy(void)
{
    struct den_err err = DEN_ERR_INIT;
    write_bytes(scratch("copy"), copy.data, copy.length);
    must(den_verify(scratch("source"), scratch("copy"), NULL, &verdict, &err));
}

static void verify_files(void)
{
    write_bytes(scratch("source"), source.data, source.length);
    verify_copy();
}

static void must_be_same(const char *what)
{
    const struct den_difference *d = &verdict.list[0];
    ck_assert_msg(verdict.differences == 0, "%s: %s, %s: %s", what, d->where, d->what,
                  d->how);
}

/* One of the differences is this. */
static void must_differ(const char *change, const char *where, const char *what,
                        const char *how)
{
    ck_assert_msg(verdict.differences > 0, "%s: nothing was found", change);
    for (size_t i = 0; i < verdict.kept; i++) {
        const struct den_difference *d = &verdict.list[i];
        if (strcmp(d->where, where) == 0 && strcmp(d->what, what) == 0 &&
            strstr(d->how, how) != NULL)
            return;
    }
    const struct den_difference *d = &verdict.list[0];
    ck_abort_msg("%s: found only %s, %s: %s", change, d->where, d->what, d->how);
}

/* ---- TIFF ------------------------------------------------------------------------- */

static void add_provenance(struct made_tiff *m, const char *text)
{
    struct made_page *page = &m->pages[0];
    page->tags[page->count++] = (struct made_tag){.tag = DEN_PROVENANCE_TIFF_TAG,
                                                  .type = MADE_ASCII,
                                                  .count = (uint32_t)strlen(text) + 1,
                                                  .text = text};
}

static const char line[] = "denoised 1.0 job_1 gaussian";

/* Other pixels, and the record: what a rewriter may change. */
static struct made_tiff changed_tiff(const struct made_tiff *from)
{
    struct made_tiff m = *from;
    for (size_t p = 0; p < m.count; p++)
        for (size_t i = 0; i < sizeof m.pages[p].pixels; i++)
            m.pages[p].pixels[i] ^= (unsigned char)(p == 1 ? 0 : 3);
    add_provenance(&m, line);
    return m;
}

START_TEST(pixels_and_one_record_may_change)
{
    for (int kind = 0; kind < 4; kind++) {
        struct made_tiff m = made_tiff_default(), n;
        m.big_endian = (kind & 1) != 0;
        m.big_tiff = (kind & 2) != 0;
        n = changed_tiff(&m);
        made_tiff_write(&m, &source);
        made_tiff_write(&n, &copy);
        verify_files();
        must_be_same(m.big_tiff ? "BigTIFF" : "TIFF");
        ck_assert_str_eq(verdict.provenance, line);
        ck_assert_uint_eq(verdict.values, 96);
        ck_assert_uint_eq(verdict.values_changed, 64);
        ck_assert_uint_eq(verdict.pages_changed, 2);
        close_to(verdict.largest_change, 3, 0);
        copy = source;
        verify_files();
        must_be_same("itself");
        ck_assert_uint_eq(verdict.values_changed, 0);
        ck_assert_str_eq(verdict.provenance, "");
    }
}
END_TEST

START_TEST(a_second_denoising_adds_a_second_line)
{
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {"denoised 1.0 job_1 gaussian\nsecond", true},
        {"second", false},
        {"denoised 1.0 job_2 gaussian\nsecond", false},
        {"denoised 1.0 job_1 gaussian\n", false},
        {"denoised 1.0 job_1 gaussian second", false},
        {"denoised 1.0 job_1 gaussian\nsecond\x01", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_tiff m = made_tiff_default(), n = m;
        add_provenance(&m, line);
        add_provenance(&n, cases[i].text);
        made_tiff_write(&m, &source);
        made_tiff_write(&n, &copy);
        verify_files();
        ck_assert_msg((verdict.differences == 0) == cases[i].same, "%s", cases[i].text);
        if (cases[i].same)
            ck_assert_str_eq(verdict.provenance, "second");
    }
}
END_TEST

enum change {
    VALUE,
    TYPE,
    COUNT,
    REMOVE,
    ADD,
    EXIF,
    SWAP,
    DROP,
    MORE,
    ORDER,
    BIG,
    HIDDEN,
    CUT,
    TWICE,
    ELSEWHERE,
    BAD_RECORD,
    NOT_A_TEXT
};

/* where, what and how: what must be told. */
static const struct tiff_case {
    enum change change;
    size_t page;
    unsigned tag;
    uint64_t value;
    const char *where, *what, *how;
} tiff_cases[] = {
    {VALUE, 0, 254, 2, "page 0", "tag 254 NewSubfileType", "0 became 2"},
    {VALUE, 0, 256, 7, "page 0", "tag 256 ImageWidth", "8 became 7"},
    {VALUE, 2, 257, 3, "page 2", "tag 257 ImageLength", "4 became 3"},
    {VALUE, 1, 258, 16, "page 1", "tag 258 BitsPerSample", "8 became 16"},
    {VALUE, 1, 259, 32773, "page 1", "tag 259 Compression", "1 became 32773"},
    {VALUE, 0, 262, 0, "page 0", "tag 262 PhotometricInterpretation", "1 became 0"},
    {VALUE, 0, 277, 2, "page 0", "tag 277 SamplesPerPixel", "1 became 2"},
    {VALUE, 0, 278, 4, "page 0", "tag 278 RowsPerStrip", "2 became 4"},
    {VALUE, 2, 282, 1, "page 2", "tag 282 XResolution", "of 8 bytes changed"},
    {VALUE, 2, 283, 99999, "page 2", "tag 283 YResolution", "of 8 bytes changed"},
    {VALUE, 1, 296, 2, "page 1", "tag 296 ResolutionUnit", "3 became 2"},
    {VALUE, 0, 270, 0, "page 0", "tag 270 ImageDescription", "1 of 34 bytes changed"},
    {VALUE, 1, 305, 0, "page 1", "tag 305 Software", "1 of 4 bytes changed"},
    {VALUE, 1, 65000, 4, "page 1", "tag 65000", "of 10 bytes changed"},
    {VALUE, 2, 65001, 4, "page 2", "tag 65001", "of 8 bytes changed"},
    {TYPE, 0, 258, MADE_LONG, "page 0", "tag 258 BitsPerSample", "was 3 and became 4"},
    {TYPE, 2, 296, MADE_LONG, "page 2", "tag 296 ResolutionUnit", "was 3 and became 4"},
    {COUNT, 0, 270, 0, "page 0", "tag 270 ImageDescription", "34 bytes became 33"},
    {COUNT, 0, 65000, 0, "page 0", "tag 65000", "5 values became 4"},
    {COUNT, 1, 273, 0, "page 1", "tag 273 StripOffsets", "2 values became 1"},
    {COUNT, 1, 279, 0, "page 1", "tag 279 StripByteCounts", "2 values became 1"},
    {REMOVE, 0, 270, 0, "page 0", "tag 270 ImageDescription", "removed"},
    {REMOVE, 1, 282, 0, "page 1", "tag 282 XResolution", "removed"},
    {REMOVE, 2, 305, 0, "page 2", "tag 305 Software", "removed"},
    {REMOVE, 2, 65001, 0, "page 2", "tag 65001", "removed"},
    {ADD, 0, 65100, 0, "page 0", "tag 65100", "added"},
    {ADD, 1, 65100, 0, "page 1", "tag 65100", "added"},
    {EXIF, 1, 33434, 251, "page 1, ExifIFD 0", "tag 33434 ExposureTime", "of 8 bytes"},
    {SWAP, 0, 0, 0, "page 0", "tag 270 ImageDescription", "changed"},
    {DROP, 0, 0, 0, "file", "pages", "missing in the copy"},
    {MORE, 0, 0, 0, "file", "pages", "more directories"},
    {ORDER, 0, 0, 0, "file", "header", "changed"},
    {BIG, 0, 0, 0, "file", "header", "changed"},
    {HIDDEN, 0, 0, 0, "file", "bytes 8 to 29", "1 of 22 bytes changed"},
    {CUT, 0, 0, 0, "page 2", "directory", "outside the copy"},
    {TWICE, 0, 0, 0, "page 0", "tag 65180", "added"},
    {ELSEWHERE, 1, 0, 0, "page 1", "tag 65180", "added"},
    {BAD_RECORD, 0, 0, 0, "page 0", "provenance", "printable"},
    {NOT_A_TEXT, 0, 0, 0, "page 0", "provenance", "not a text"},
};

static void set_value(struct made_page *page, unsigned tag, uint64_t value)
{
    static char text[64];
    struct made_tag *t = made_find(page, tag);
    t->values[t->type == MADE_SHORT && t->count > 1 ? 2 : 0] = value;
    if (t->text == NULL)
        return;
    memcpy(text, t->text, t->count);
    text[t->count / 2] = '~';
    t->text = text;
}

static void remove_tag(struct made_page *page, unsigned tag)
{
    struct made_tag *t = made_find(page, tag), *end = page->tags + page->count--;
    memmove(t, t + 1, (size_t)(end - t - 1) * sizeof *t);
}

static void add_tag(struct made_page *page, unsigned tag)
{
    page->tags[page->count++] = (struct made_tag){tag, MADE_LONG, 1, {7}, NULL};
}

static void change_tiff(struct made_tiff *m, const struct tiff_case *c)
{
    struct made_page *page = &m->pages[c->page], swap;
    switch (c->change) {
    case VALUE:
        set_value(page, c->tag, c->value);
        break;
    case TYPE:
        made_find(page, c->tag)->type = (unsigned)c->value;
        break;
    case COUNT:
        made_find(page, c->tag)->count--;
        break;
    case REMOVE:
        remove_tag(page, c->tag);
        break;
    case ADD:
        add_tag(page, c->tag);
        break;
    case EXIF:
        page->exif[0].values[1] = c->value;
        break;
    case SWAP:
        swap = m->pages[0];
        m->pages[0] = m->pages[1];
        m->pages[1] = swap;
        break;
    case DROP:
        m->count--;
        break;
    case MORE:
        m->count++;
        break;
    case ORDER:
        m->big_endian = true;
        break;
    case BIG:
        m->big_tiff = true;
        break;
    case HIDDEN:
        m->hidden = "index of a Microscope";
        break;
    case TWICE:
        add_provenance(m, line);
        break;
    case ELSEWHERE:
        page->tags[page->count++] = m->pages[0].tags[m->pages[0].count - 1];
        break;
    case BAD_RECORD:
        made_find(page, DEN_PROVENANCE_TIFF_TAG)->text = "two\nlines, and one too many";
        break;
    case NOT_A_TEXT:
        *made_find(page, DEN_PROVENANCE_TIFF_TAG) =
            (struct made_tag){DEN_PROVENANCE_TIFF_TAG, MADE_LONG, 1, {7}, NULL};
        break;
    case CUT:
        break;
    }
}

START_TEST(whatever_else_changes_in_a_tiff_is_found)
{
    for (int kind = 0; kind < 3; kind++) {
        struct made_tiff m = made_tiff_default(), n;
        m.big_endian = kind == 1;
        m.big_tiff = kind == 2;
        /* Only the first page has a text of its own, so that pages can be told apart. */
        made_find(&m.pages[0], 270)->text = "<ome> <Image ID=\"Image:0\"/></ome>";
        made_tiff_write(&m, &source);
        const struct tiff_case *c = &tiff_cases[_i];
        bool turns = (c->change == ORDER && kind == 1) || (c->change == BIG && kind == 2);
        bool other = c->change == HIDDEN && kind == 2; /* its header is longer */
        if (turns || other)
            continue;
        n = changed_tiff(&m);
        change_tiff(&n, c);
        made_tiff_write(&n, &copy);
        if (c->change == CUT)
            copy.length -= 40;
        verify_files();
        must_differ(c->what, c->where, c->what, c->how);
    }
}
END_TEST

/* Flips bits of every byte of the copy; only where `allowed` says so nothing may be
 * found. */
static void flip_every_byte(const bool *allowed)
{
    write_bytes(scratch("source"), source.data, source.length);
    for (size_t i = 0; i < copy.length; i++) {
        unsigned char was = copy.data[i];
        static const unsigned char flips[] = {0x01, 0x80, 0xff};
        for (size_t k = 0; k < sizeof flips; k++) {
            copy.data[i] = was ^ flips[k];
            verify_copy();
            bool found = verdict.differences > 0 || verdict.values_changed > 0;
            ck_assert_msg(found || allowed[i], "byte %zu of %zu: %u as %u", i,
                          copy.length, was, was ^ flips[k]);
        }
        copy.data[i] = was;
    }
}

static void mark(bool *allowed, size_t from, size_t length)
{
    memset(allowed + from, true, length);
}

/* A value of 2 bytes fills half of its entry. */
START_TEST(a_flip_of_any_bit_of_a_tiff_is_found)
{
    static bool allowed[MADE_BYTES];
    struct made_tiff m = made_tiff_default();
    m.count = 1;
    made_tiff_write(&m, &source);
    copy = source;
    size_t directory = source.data[4] | (size_t)source.data[5] << 8;
    memset(allowed, 0, sizeof allowed);
    for (size_t i = 0; i < m.pages[0].count; i++) {
        const struct made_tag *tag = &m.pages[0].tags[i];
        if (tag->type == MADE_SHORT && tag->count == 1)
            mark(allowed, directory + 2 + 12 * i + 10, 2);
    }
    flip_every_byte(allowed);
}
END_TEST

START_TEST(a_tiff_that_is_cut_anywhere_is_found)
{
    struct made_tiff m = made_tiff_default();
    made_tiff_write(&m, &source);
    copy = source;
    write_bytes(scratch("source"), source.data, source.length);
    for (size_t length = 0; length < source.length; length += 5) {
        copy.length = length;
        verify_copy();
        ck_assert_msg(verdict.differences > 0, "cut to %zu bytes", length);
    }
}
END_TEST

START_TEST(directories_in_a_circle_end_with_a_sentence_or_a_verdict)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_tiff m = made_tiff_default();
    m.count = 1;
    made_tiff_write(&m, &source);
    size_t directory = source.data[4] | (size_t)source.data[5] << 8;
    /* The Exif directory is the page itself, which has an Exif directory, which ... */
    for (size_t i = 0; i < m.pages[0].count; i++)
        if (m.pages[0].tags[i].tag == 34665)
            memcpy(source.data + directory + 2 + 12 * i + 8, source.data + 4, 4);
    copy = source;
    verify_files();
    must_be_same("an Exif directory that is its own page");
    /* The Exif directory goes on with itself for ever. */
    made_tiff_write(&m, &source);
    struct made_file f = {.length = 0};
    size_t unused, size = 2 + 12 * 2;
    size_t exif = made_directory(&f, &m, m.pages[0].exif, 2, &unused);
    ck_assert_uint_eq(unused, exif + size);
    for (size_t at = 8; at + size < source.length; at += 2)
        if (memcmp(source.data + at, f.data + exif, 8) == 0)
            made_patch(&source, &m, at + size, at);
    write_bytes(scratch("source"), source.data, source.length);
    must_fail(den_verify(scratch("source"), scratch("source"), NULL, &verdict, &err),
              DEN_E_TOO_LARGE, "circles");
}
END_TEST

/* ---- PNG -------------------------------------------------------------------------- */

static const char record[] = DEN_PROVENANCE_PNG_KEYWORD "\0"
                                                        "denoised 1.0";

static struct made_png changed_png(void)
{
    struct made_png m = made_png_default(90);
    made_chunk_add(&m, 7, "tEXt", record, sizeof record - 1);
    return m;
}

START_TEST(pixels_and_one_text_of_a_png_may_change)
{
    static const char utf8[] = DEN_PROVENANCE_PNG_KEYWORD "\0\0\0\0\0denois\xc3\xa9";
    struct made_png m = made_png_default(10), n = changed_png();
    made_png_write(&m, &source);
    made_png_write(&n, &copy);
    verify_files();
    must_be_same("tEXt");
    ck_assert_str_eq(verdict.provenance, "denoised 1.0");
    ck_assert_uint_eq(verdict.values_changed, 32);
    close_to(verdict.largest_change, 80, 0);
    n = made_png_default(90);
    made_chunk_add(&n, 3, "iTXt", utf8, sizeof utf8 - 1);
    made_png_write(&n, &copy);
    verify_files();
    must_be_same("iTXt");
    ck_assert_str_eq(verdict.provenance, "denois\xc3\xa9");
    /* A source that was denoised keeps its record and gets another. */
    m = changed_png();
    n = m;
    made_chunk_add(&n, 8, "tEXt", record, sizeof record - 1);
    made_png_write(&m, &source);
    made_png_write(&n, &copy);
    verify_files();
    must_be_same("twice");
}
END_TEST

START_TEST(pixels_of_a_png_may_be_cut_into_other_chunks)
{
    struct made_png m = made_png_default(10), n = m;
    made_chunk_add(&n, 6, "IDAT", n.chunks[5].data + 20, n.chunks[5].length - 20);
    n.chunks[5].length = 20;
    made_chunk_add(&n, 6, "IDAT", "", 0);
    made_png_write(&m, &source);
    made_png_write(&n, &copy);
    verify_files();
    must_be_same("three IDAT");
}
END_TEST

enum { P_DATA, P_NAME, P_REMOVE, P_ADD, P_SWAP, P_TAIL, P_SHORTER, P_RECORD, P_TEXT };

static const struct png_case {
    int change;
    size_t chunk, byte;
    const char *where, *what, *how;
} png_cases[] = {
    {P_DATA, 0, 3, "chunk 0", "IHDR", "changed"},
    {P_DATA, 0, 12, "chunk 0", "IHDR", "changed"},
    {P_DATA, 1, 2, "chunk 1", "gAMA", "changed"},
    {P_DATA, 2, 8, "chunk 2", "pHYs", "changed"},
    {P_DATA, 3, 9, "chunk 3", "tEXt", "changed"},
    {P_DATA, 4, 0, "chunk 4", "prVt", "changed"},
    {P_DATA, 6, 1, "chunk 6", "tIME", "changed"},
    {P_NAME, 4, 3, "chunk 4", "prVt", "became prVu"},
    {P_REMOVE, 2, 0, "chunk 2", "pHYs", "removed"},
    {P_REMOVE, 3, 0, "chunk 3", "tEXt", "removed"},
    {P_REMOVE, 6, 0, "chunk 6", "tIME", "removed"},
    {P_ADD, 5, 0, "chunk 5", "tEXt", "added"},
    {P_RECORD, 7, 0, "chunk 8", "tEXt", "added"},
    {P_SWAP, 3, 0, "chunk 3", "prVt", "added"},
    {P_SHORTER, 4, 0, "chunk 4", "prVt", "8 bytes became 7"},
    {P_TAIL, 0, 0, "file", "end", "0 bytes behind the last chunk became 4"},
    {P_TEXT, 7, 9, "chunk 7", "provenance", "printable"},
};

static void change_png(struct made_png *m, const struct png_case *c)
{
    struct made_chunk *chunk = &m->chunks[c->chunk], swap = *chunk;
    switch (c->change) {
    case P_DATA:
        chunk->data[c->byte] ^= 1;
        break;
    case P_NAME:
        chunk->name[c->byte]++;
        break;
    case P_REMOVE:
        memmove(chunk, chunk + 1, (--m->count - c->chunk) * sizeof *chunk);
        break;
    case P_ADD:
        made_chunk_add(m, c->chunk, "tEXt", "Title\0cells", 11);
        break;
    case P_RECORD:
        made_chunk_add(m, c->chunk, "tEXt", record, sizeof record - 1);
        break;
    case P_SWAP:
        chunk[0] = chunk[1];
        chunk[1] = swap;
        break;
    case P_SHORTER:
        chunk->length--;
        break;
    case P_TAIL:
        m->tail = "tail";
        break;
    default:
        chunk->data[c->byte] = '\x07';
        break;
    }
}

START_TEST(whatever_else_changes_in_a_png_is_found)
{
    struct made_png m = made_png_default(10), n = changed_png();
    const struct png_case *c = &png_cases[_i];
    change_png(&n, c);
    made_png_write(&m, &source);
    made_png_write(&n, &copy);
    verify_files();
    must_differ(c->what, c->where, c->what, c->how);
}
END_TEST

START_TEST(a_flip_of_any_bit_of_a_png_is_found)
{
    static bool allowed[MADE_BYTES];
    struct made_png m = made_png_default(10);
    made_png_write(&m, &source);
    m = made_png_default(10);
    made_chunk_add(&m, 7, "tEXt", record, sizeof record - 1);
    made_png_write(&m, &copy);
    flip_every_byte(allowed);
    copy = source;
    for (size_t length = 0; length < source.length; length++) {
        copy.length = length;
        verify_copy();
        ck_assert_msg(verdict.differences > 0, "cut to %zu bytes", length);
    }
}
END_TEST

/* ---- other ends ------------------------------------------------------------------- */

START_TEST(another_format_is_a_difference)
{
    struct made_tiff m = made_tiff_default();
    struct made_png n = made_png_default(10);
    made_tiff_write(&m, &source);
    made_png_write(&n, &copy);
    verify_files();
    must_differ("PNG", "file", "header", "changed");
    must_differ("PNG", "file", "format", "tiff became png");
}
END_TEST

START_TEST(a_source_that_cannot_be_read_is_an_error)
{
    struct den_err err = DEN_ERR_INIT;
    struct made_tiff m = made_tiff_default();
    made_tiff_write(&m, &source);
    write_bytes(scratch("good"), source.data, source.length);
    write_bytes(scratch("bad"), source.data, 100);
    must_fail(den_verify(scratch("bad"), scratch("good"), NULL, &verdict, &err),
              DEN_E_UNPROCESSABLE, "cut short");
    must_fail(den_verify(scratch("no"), scratch("good"), NULL, &verdict, &err),
              DEN_E_NOT_FOUND, "");
    must_fail(den_verify(scratch("good"), scratch("no"), NULL, &verdict, &err),
              DEN_E_NOT_FOUND, "");
}
END_TEST

START_TEST(a_failing_allocation_is_told)
{
    struct made_tiff m = made_tiff_default();
    size_t failed = 0;
    made_tiff_write(&m, &source);
    write_bytes(scratch("source"), source.data, source.length);
    for (size_t n = 1;; n++) {
        struct den_err err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        bool done =
            den_verify(scratch("source"), scratch("source"), NULL, &verdict, &err);
        den_mem_fail_at(0);
        if (done && verdict.differences == 0)
            break;
        ck_assert_msg(done || err.code == DEN_E_NO_MEMORY, "%s", err.text);
        ck_assert_msg(!done, "allocation %zu: a verdict without memory", n);
        failed++;
        ck_assert_uint_lt(n, 1000);
    }
    ck_assert_uint_ge(failed, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tc = tcase_create("verify");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, pixels_and_one_record_may_change);
    tcase_add_test(tc, a_second_denoising_adds_a_second_line);
    tcase_add_loop_test(tc, whatever_else_changes_in_a_tiff_is_found, 0,
                        (int)(sizeof tiff_cases / sizeof *tiff_cases));
    tcase_add_test(tc, a_flip_of_any_bit_of_a_tiff_is_found);
    tcase_add_test(tc, a_tiff_that_is_cut_anywhere_is_found);
    tcase_add_test(tc, directories_in_a_circle_end_with_a_sentence_or_a_verdict);
    tcase_add_test(tc, pixels_and_one_text_of_a_png_may_change);
    tcase_add_test(tc, pixels_of_a_png_may_be_cut_into_other_chunks);
    tcase_add_loop_test(tc, whatever_else_changes_in_a_png_is_found, 0,
                        (int)(sizeof png_cases / sizeof *png_cases));
    tcase_add_test(tc, a_flip_of_any_bit_of_a_png_is_found);
    tcase_add_test(tc, another_format_is_a_difference);
    tcase_add_test(tc, a_source_that_cannot_be_read_is_an_error);
    tcase_add_test(tc, a_failing_allocation_is_told);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
