/* The chunks of a PNG: length (4 bytes, big-endian), name (4), data, CRC (4).  libpng
 * reads what is in them; here it is only seen where they lie, and that nothing is in the
 * file which a reader of still images would pass over. */
#include "png_io.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 8, SIGNATURE = 8, AROUND = 12 /* length, name and CRC */ };

/* A window on the file: millions of chunks of no bytes shall not be millions of calls. */
struct walk {
    int fd;
    uint64_t bytes; /* of the file */
    uint64_t at;    /* the chunk's offset */
    uint64_t size;  /* of the chunk, with all around its data */
    char name[5];
    uint64_t from; /* offset of the window */
    size_t filled;
    unsigned char window[4096];
};

static bool damaged(struct den_err *err, const char *how)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE, "the PNG is damaged: %s", how);
}

static bool look_at(struct walk *w, struct den_err *err)
{
    if (w->at >= w->from && w->at + HEAD <= w->from + w->filled)
        return true;
    ssize_t got;
    do
        got = pread(w->fd, w->window, sizeof w->window, (off_t)w->at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return den_err_sys(err, errno, "the PNG cannot be read");
    w->from = w->at;
    w->filled = (size_t)got;
    return got >= HEAD || damaged(err, "the file ends too early");
}

/* Length and name of the chunk at w->at. */
static bool chunk_head(struct walk *w, struct den_err *err)
{
    if (!look_at(w, err))
        return false;
    const unsigned char *head = w->window + (w->at - w->from);
    uint32_t length = png_get_uint_32(head);
    memcpy(w->name, head + 4, 4);
    w->size = (uint64_t)length + AROUND;
    if (length > PNG_UINT_31_MAX)
        return damaged(err, "a chunk has an impossible length");
    if (w->size > w->bytes - w->at)
        return damaged(err, "the file ends too early");
    return true;
}

static bool is(const struct walk *w, const char *name)
{
    return memcmp(w->name, name, 4) == 0;
}

static bool check_first(const struct walk *w, struct den_err *err)
{
    if (is(w, "CgBI"))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the PNG is in Apple's own variant (chunk CgBI), which is "
                           "not read");
    return is(w, "IHDR") || damaged(err, "its first chunk is not IHDR");
}

/* Other frames would keep their pixels, and nobody would see it. */
static bool check_still(const struct walk *w, struct den_err *err)
{
    if (is(w, "acTL") || is(w, "fcTL") || is(w, "fdAT"))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the PNG is an animation (chunk %s); only still images are "
                           "read",
                           w->name);
    return true;
}

static bool take_pixels(const struct walk *w, struct den_png_layout *layout,
                        struct den_err *err)
{
    if (layout->pixels == 0)
        layout->pixels = w->at;
    else if (layout->pixels_end != w->at)
        return damaged(err, "its IDAT chunks do not follow each other");
    layout->pixels_end = w->at + w->size;
    return true;
}

bool den_png_walk(int fd, uint64_t bytes, const struct den_image_limits *limits,
                  struct den_png_layout *ret, struct den_err *err)
{
    struct den_png_layout layout = {.pixels = 0};
    struct walk w = {.fd = fd, .bytes = bytes, .at = SIGNATURE};
    for (uint32_t others = 0; layout.end == 0; w.at += w.size) {
        if (!chunk_head(&w, err) || (w.at == SIGNATURE && !check_first(&w, err)) ||
            !check_still(&w, err))
            return false;
        if (is(&w, "IDAT")) {
            if (!take_pixels(&w, &layout, err))
                return false;
        } else if (++others > limits->tags) {
            return den_err_limit(err, DEN_E_TOO_LARGE, limits->tags, others,
                                 "the PNG has more than %" PRIu32
                                 " chunks beside those of its pixels",
                                 limits->tags);
        }
        if (is(&w, "IEND"))
            layout.end = w.at;
    }
    if (layout.pixels == 0)
        return damaged(err, "it has no pixels (no chunk IDAT)");
    *ret = layout;
    return true;
}
