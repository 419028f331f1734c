#include "crop.h"

#include <math.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "image.h"
#include "mem.h"
#include "str.h"

struct window {
    size_t x, y, w, h;
};

static double variance(const struct den_metric_case *c, const struct window *at)
{
    double sum = 0, squares = 0, n = (double)(at->w * at->h);
    for (size_t y = at->y; y < at->y + at->h; y++)
        for (size_t x = at->x; x < at->x + at->w; x++) {
            double v = (double)c->reference[y * c->width + x];
            sum += v;
            squares += v * v;
        }
    return squares / n - sum / n * (sum / n);
}

/* Half a window apart is close enough for a picture. */
static struct window choose(const struct den_metric_case *c)
{
    size_t w = c->width < DEN_CROP_SIDE ? c->width : DEN_CROP_SIDE;
    size_t h = c->height < DEN_CROP_SIDE ? c->height : DEN_CROP_SIDE;
    struct window best = {.w = w, .h = h}, at = best;
    double most = -1;
    for (at.y = 0; at.y + h <= c->height; at.y += DEN_CROP_SIDE / 2)
        for (at.x = 0; at.x + w <= c->width; at.x += DEN_CROP_SIDE / 2) {
            double v = variance(c, &at);
            if (v > most) {
                most = v;
                best = at;
            }
        }
    return best;
}

/* Into a picture whose rows are `stride` pixels apart. */
static void cut(const struct den_metric_case *c, const float *image,
                const struct window *at, size_t stride, float *to)
{
    for (size_t y = 0; y < at->h; y++)
        for (size_t x = 0; x < at->w; x++) {
            size_t i = (at->y + y) * c->width + at->x + x;
            to[y * stride + x] =
                image != NULL ? image[i] : (float)(c->a * (double)c->reference[i] + c->b);
        }
}

static int ascending(const void *a, const void *b)
{
    const float *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

/* n pixels become 0 to 255; scratch, of the size of the part, is overwritten. */
static void stretch(const struct den_metric_case *c, const struct window *at,
                    float *scratch, float *pixels, size_t count)
{
    const double low = 0.005, high = 0.995;
    size_t n = at->w * at->h;
    cut(c, NULL, at, at->w, scratch);
    qsort(scratch, n, sizeof *scratch, ascending);
    float lo = scratch[(size_t)(low * (double)(n - 1))];
    float hi = scratch[(size_t)(high * (double)(n - 1))];
    float scale = hi > lo ? 255.0F / (hi - lo) : 0.0F;
    for (size_t i = 0; i < count; i++)
        pixels[i] = fminf(fmaxf((pixels[i] - lo) * scale, 0.0F), 255.0F);
}

static bool encode(const char *path, char **ret, struct den_err *err)
{
    enum { MOST = 1 << 20 };
    char *data = NULL, *text = NULL;
    size_t length = 0;
    if (!den_fs_read(path, MOST, &data, &length, err))
        return false;
    text = den_new(BASE64_ENCODE_RAW_LENGTH(length) + 1, 1, err);
    if (text != NULL)
        base64_encode_raw(text, length, (const uint8_t *)data);
    den_free(data);
    *ret = text;
    return text != NULL;
}

bool den_crop_save(const struct den_metric_case *c, const float *const *images,
                   size_t count, const char *path, struct den_err *err)
{
    bool done = false;
    struct window at = choose(c);
    size_t stride = at.w * count;
    struct den_image picture = {.info = {.width = (uint32_t)stride,
                                         .height = (uint32_t)at.h,
                                         .pages = 1,
                                         .channels = 1,
                                         .dtype = DEN_U8}};
    float *scratch = den_new(at.w * at.h, sizeof *scratch, err);
    picture.pixels = den_new(stride * at.h, sizeof *picture.pixels, err);
    if (scratch == NULL || picture.pixels == NULL)
        goto out;
    den_str_copy(picture.info.format, sizeof picture.info.format, "png");
    for (size_t i = 0; i < count; i++)
        cut(c, images[i], &at, stride, picture.pixels + i * at.w);
    stretch(c, &at, scratch, picture.pixels, stride * at.h);
    done = den_image_save(path, &picture, err);
out:
    den_free(scratch);
    den_free(picture.pixels);
    return done;
}

bool den_crop_png(const struct den_judge *judge, const float *image,
                  const char *temporary, char **ret, struct den_err *err)
{
    return den_crop_save(&judge->c, &image, 1, temporary, err) &&
           encode(temporary, ret, err) && den_fs_remove(temporary, err);
}
