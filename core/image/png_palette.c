/* New pixels of a palette image: entries of the palette it has, for that one is kept. */
#include "png_io.h"

#include <limits.h>

enum { CACHE_BITS = 12, CACHE = 1 << CACHE_BITS };

/* Entries found before, by color and opacity; an image has few of these nearby. */
struct cache {
    uint32_t key[CACHE];
    short entry[CACHE]; /* -1: none yet */
};

/* The distance is Euclid's in RGB.  The first of several, and there is one: the pixel's
 * own has its opacity. */
static short nearest(const struct den_png_head *head, const int color[3],
                     unsigned char alpha)
{
    int least = INT_MAX;
    short best = -1;
    for (uint32_t i = 0; i < head->colors; i++) {
        const png_color *c = &head->palette[i];
        int red = c->red - color[0], green = c->green - color[1],
            blue = c->blue - color[2];
        int gap = red * red + green * green + blue * blue;
        if (head->alpha[i] == alpha && gap < least) {
            least = gap;
            best = (short)i;
        }
    }
    return best;
}

static unsigned char entry_of(const struct den_png_head *head, struct cache *cache,
                              const int color[3], unsigned char alpha)
{
    uint32_t key = (uint32_t)color[0] << 24 | (uint32_t)color[1] << 16 |
                   (uint32_t)color[2] << 8 | alpha;
    uint32_t slot = key * 2654435761u >> (32 - CACHE_BITS); /* Knuth, golden ratio */
    if (cache->entry[slot] < 0 || cache->key[slot] != key) {
        cache->key[slot] = key;
        cache->entry[slot] = nearest(head, color, alpha);
    }
    return (unsigned char)cache->entry[slot];
}

void den_png_recolor(const struct den_png_head *head, const unsigned char *pixels,
                     size_t n, unsigned char *indices)
{
    struct cache cache;
    size_t green = head->gray ? 0 : n, blue = 2 * green;
    for (size_t i = 0; i < CACHE; i++)
        cache.entry[i] = -1;
    for (size_t i = 0; i < n; i++) {
        const int color[3] = {pixels[i], pixels[green + i], pixels[blue + i]};
        const png_color *old = &head->palette[indices[i]];
        if (old->red != color[0] || old->green != color[1] || old->blue != color[2])
            indices[i] = entry_of(head, &cache, color, head->alpha[indices[i]]);
    }
}
