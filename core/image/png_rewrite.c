/* A copy of a PNG with other pixels: all bytes before the first IDAT chunk, new IDAT
 * chunks, all bytes behind the last one, with one text before IEND.  Chunks that are not
 * known, chunks with a wrong CRC that no reader minds, and what follows IEND are part of
 * the file and stay as they are. */
#include "png_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "rewrite.h"
#include "str.h"

static const char keyword[] = DEN_PROVENANCE_PNG_KEYWORD;

struct copy {
    struct den_png *in;
    struct den_png *out;
    uint64_t bytes; /* of the source */
    char provenance[DEN_PNG_TEXT + 1];
    bool replaced;
};

static bool put_range(struct copy *c, uint64_t from, uint64_t end, struct den_err *err)
{
    unsigned char block[4096];
    while (from < end) {
        size_t part = end - from < sizeof block ? (size_t)(end - from) : sizeof block;
        ssize_t got;
        do
            got = pread(c->in->fd, block, part, (off_t)from);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            return den_err_sys(err, errno, "the PNG cannot be read");
        if (got == 0)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "the PNG changed while it was read");
        if (!den_png_put(c->out, block, (size_t)got))
            return den_png_write_failed(c->out, err);
        from += (uint64_t)got;
    }
    return true;
}

void den_png_discard(void *state)
{
    struct copy *c = state;
    if (c == NULL)
        return;
    den_png_close(c->in);
    den_png_abandon(c->out);
    den_free(c);
}

/* The new file's signature, IHDR and palette are the source's own bytes: what libpng
 * makes of them is not written. */
static bool start_output(struct copy *c, struct den_err *err)
{
    c->out->head = c->in->head;
    c->out->muted = true;
    if (!den_png_guarded(c->out, den_png_step_encode_header))
        return den_png_write_failed(c->out, err);
    c->out->muted = false;
    return put_range(c, 0, c->in->layout.pixels, err);
}

bool den_png_rewrite(int source, uint64_t bytes, int fd,
                     const struct den_image_limits *limits, const char *provenance,
                     struct den_image_info *ret_info, void **ret_state,
                     struct den_err *err)
{
    struct den_image_info info;
    void *in = NULL;
    struct copy *c = den_new(1, sizeof *c, err);
    if (c == NULL)
        return false;
    c->bytes = bytes;
    if (!den_str_copy(c->provenance, sizeof c->provenance, provenance))
        den_utf8_trim(c->provenance);
    if (!den_png_open(source, bytes, limits, &info, &in, err))
        goto failed;
    c->in = in;
    c->out = den_png_new(fd, err);
    if (c->out == NULL || !start_output(c, err))
        goto failed;
    *ret_info = info;
    *ret_state = c;
    return true;
failed:
    den_png_discard(c);
    return false;
}

/* The entries of the source are needed to tell apart those of one color. */
static bool replace_colors(struct copy *c, const unsigned char *pixels,
                           struct den_err *err)
{
    const struct den_png_head *head = &c->in->head;
    size_t n = (size_t)head->width * head->height;
    unsigned char *indices = den_new(n, 1, err);
    bool done = indices != NULL && den_png_read_indices(c->in, indices, err);
    if (done) {
        den_png_recolor(head, pixels, n, indices);
        done = den_png_encode_rows(c->out, indices, err);
    }
    den_free(indices);
    return done;
}

bool den_png_replace(void *state, uint32_t page, const void *pixels, struct den_err *err)
{
    (void)page; /* there is only one, and it comes once */
    struct copy *c = state;
    c->replaced = true;
    if (c->in->head.colors > 0)
        return replace_colors(c, pixels, err);
    return den_png_encode_rows(c->out, pixels, err);
}

/* Latin-1 is what tEXt holds; iTXt holds UTF-8, and not all programs read it. */
static void step_text(struct den_png *f)
{
    unsigned char data[sizeof keyword + 4 + DEN_PNG_TEXT + 1];
    const char *text = (const char *)f->from;
    size_t length = strlen(text), at = sizeof keyword; /* with its NUL */
    bool ascii = true;
    for (size_t i = 0; i < length; i++)
        ascii = ascii && (signed char)text[i] > 0;
    memcpy(data, keyword, sizeof keyword);
    if (!ascii) { /* not compressed, of no language, no other keyword */
        memset(data + at, 0, 4);
        at += 4;
    }
    memcpy(data + at, text, length + 1); /* its NUL is not written */
    png_write_chunk(f->png, (png_const_bytep)(ascii ? "tEXt" : "iTXt"), data,
                    at + length);
}

bool den_png_complete(void *state, struct den_err *err)
{
    struct copy *c = state;
    const struct den_png_layout *l = &c->in->layout;
    c->out->from = (const unsigned char *)c->provenance;
    bool done = (c->replaced || put_range(c, l->pixels, l->pixels_end, err)) &&
                put_range(c, l->pixels_end, l->end, err) &&
                (den_png_guarded(c->out, step_text) || den_png_write_failed(c->out, err));
    done = done && put_range(c, l->end, c->bytes, err) &&
           (den_png_flush(c->out) || den_png_write_failed(c->out, err));
    den_png_discard(c);
    return done;
}
