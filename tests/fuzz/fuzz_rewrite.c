/* Copies of PNG and TIFF files with other pixels: what was written is what is read, and
 * the pages that were left out are as before. */

#include "fuzz_png.h"
#include "rewrite.h"
#include "verify.h"

static const char provenance[] = "a test, 1.0";

struct pages {
    uint32_t size;
    void *pixels[16]; /* NULL: cannot be read */
    size_t bytes;     /* of each */
};

static void release(struct pages *pages)
{
    for (uint32_t i = 0; i < pages->size; i++)
        den_free(pages->pixels[i]);
    pages->size = 0;
}

static struct pages read_pages(struct den_reader *reader)
{
    const struct den_image_info *info = den_reader_info(reader);
    struct pages pages = {.size = info->pages, .bytes = den_image_page_bytes(info)};
    for (uint32_t i = 0; i < pages.size; i++)
        pages.pixels[i] = fuzz_read(reader, i);
    return pages;
}

static void set_sample(enum den_dtype dtype, uint32_t bits, void *to, uint32_t value)
{
    static const uint16_t half = 0x3400; /* 0.25 */
    uint32_t room =
        dtype == DEN_I8 || dtype == DEN_I16 || dtype == DEN_I32 ? bits - 1 : bits;
    if (room < 8)
        value &= (1u << room) - 1;
    if (dtype == DEN_F16)
        memcpy(to, &half, sizeof half);
    else if (dtype == DEN_F32)
        memcpy(to, &(float){(float)value}, sizeof(float));
    else if (dtype == DEN_F64)
        memcpy(to, &(double){(double)value}, sizeof(double));
    else if (den_dtype_bytes(dtype) == 1)
        *(uint8_t *)to = (uint8_t)value;
    else if (den_dtype_bytes(dtype) == 2)
        memcpy(to, &(uint16_t){(uint16_t)value}, sizeof(uint16_t));
    else
        memcpy(to, &value, sizeof value);
}

/* One value per channel, and opacity as it is. */
static void paint(const struct den_image_info *info, void *pixels)
{
    size_t plane = (size_t)info->width * info->height;
    size_t width = den_dtype_bytes(info->dtype);
    for (uint32_t c = 0; c < info->channels - (info->alpha ? 1 : 0); c++)
        for (size_t i = 0; i < plane; i++)
            set_sample(info->dtype, info->bits, (char *)pixels + (c * plane + i) * width,
                       37 * (c + 1));
}

static bool rewrite(const char *from, const char *to, struct pages *pages)
{
    struct den_rewriter *rewriter = NULL;
    struct den_err err = DEN_ERR_INIT;
    bool done = den_rewriter_open(from, to, &fuzz_limits, provenance, &rewriter, &err);
    for (uint32_t i = 0; done && i < pages->size; i++) {
        if (pages->pixels[i] == NULL || i % 3 == 2)
            continue;
        paint(den_rewriter_info(rewriter), pages->pixels[i]);
        done = den_rewriter_page(rewriter, i, pages->pixels[i], &err);
    }
    if (done)
        done = den_rewriter_finish(rewriter, &err);
    else
        den_rewriter_abandon(rewriter);
    promise(done || (err.code != DEN_OK && err.text[0] != '\0'));
    return done;
}

/* A copy of one colour is much smaller than its source, and has a tag more. */
static struct den_image_limits copy_limits(void)
{
    struct den_image_limits limits = fuzz_limits;
    limits.unpack_ratio = UINT32_MAX;
    limits.tags++;
    return limits;
}

/* The other program that knows what may differ agrees. */
static void verify(const char *from, const char *to, const struct pages *pages)
{
    static struct den_verdict verdict;
    struct den_image_limits limits = copy_limits();
    struct den_err err = DEN_ERR_INIT;
    for (uint32_t i = 0; i < pages->size; i++)
        if (pages->pixels[i] == NULL)
            return; /* a source that cannot be decoded cannot be compared */
    promise(den_verify(from, to, &limits, &verdict, &err));
    if (verdict.differences > 0)
        fprintf(stderr, "%s: %s: %s\n", verdict.list[0].where, verdict.list[0].what,
                verdict.list[0].how);
    promise(verdict.differences == 0);
    promise(strcmp(verdict.provenance, provenance) == 0);
}

static void compare(const char *path, const struct den_image_info *was,
                    const struct pages *want, bool exact)
{
    struct den_image_limits limits = copy_limits();
    struct den_reader *reader = NULL;
    struct den_err err = DEN_ERR_INIT;
    promise(den_reader_open(path, &limits, &reader, &err));
    const struct den_image_info *info = den_reader_info(reader);
    promise(info->width == was->width && info->height == was->height);
    promise(info->pages == was->pages && info->channels == was->channels);
    promise(info->dtype == was->dtype && info->bits == was->bits);
    for (uint32_t i = 0; i < want->size; i++) {
        void *got = fuzz_read(reader, i);
        promise(got != NULL || want->pixels[i] == NULL);
        if (exact && got != NULL && want->pixels[i] != NULL)
            promise(memcmp(got, want->pixels[i], want->bytes) == 0);
        den_free(got);
    }
    den_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct den_reader *reader = NULL;
    struct den_err err = DEN_ERR_INIT;
    den_mem_set_limit(FUZZ_MEMORY);
    if (size < 8)
        return 0;
    const char *from = fuzz_file(0, data, size), *to = fuzz_file(1, data, 0);
    if (den_reader_open(from, &fuzz_limits, &reader, &err)) {
        struct den_image_info info = *den_reader_info(reader);
        struct pages pages = read_pages(reader);
        /* A palette has the nearest colour only. */
        bool palette = strcmp(info.format, "png") == 0 && size > 25 && data[25] == 3;
        if (rewrite(from, to, &pages)) {
            compare(to, &info, &pages, !palette);
            verify(from, to, &pages);
        }
        release(&pages);
    }
    den_reader_close(reader);
    promise(den_mem_live() == 0);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, most);
    if (size > 8 && data[0] == 0x89)
        fuzz_png_repair(data, size);
    return size;
}
