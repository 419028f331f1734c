/* PNG by libpng: the row of den_formats[]. */
#include "format.h"
#include "png_io.h"

static bool is_png(const unsigned char *head, size_t length)
{
    return length >= 8 && png_sig_cmp(head, 0, 8) == 0;
}

const struct den_format den_format_png = {
    .name = "png",
    .media_type = "image/png",
    .suffix = ".png",
    .sniff = is_png,
    .open = den_png_open,
    .read = den_png_read,
    .close = den_png_close,
    .create = den_png_create,
    .write = den_png_write,
    .finish = den_png_finish,
    .abandon = den_png_abandon,
    .rewrite = den_png_rewrite,
    .replace = den_png_replace,
    .complete = den_png_complete,
    .discard = den_png_discard,
};
