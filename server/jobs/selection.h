#ifndef DEN_SELECTION_H
#define DEN_SELECTION_H

/* Which planes of an image a job is about.  A plane is one channel of one page.  Pages
 * and channels are chosen as "0-9,12": numbers from 0 and ranges with both ends, in any
 * order; "" chooses all.  Channels are those of the microscope where the file has an axis
 * of them (a page is one channel then), else the samples of a pixel.  Opacity is never
 * part of a selection. */

#include "image.h"

/* With their NUL; both fit into the record of origin, which has 1000 bytes. */
#define DEN_PAGES_SIZE 480
#define DEN_CHANNELS_SIZE 200

enum { DEN_RANGES_MAX = DEN_PAGES_SIZE / 2 };

struct den_ranges {
    size_t count; /* 0 = all */
    struct {
        uint32_t from, to; /* both are part of it */
    } items[DEN_RANGES_MAX];
};

struct den_selection {
    struct den_ranges pages, channels;
};

/* Checked against the image; errors are DEN_E_INVALID at "/pages" or "/channels". */
bool den_selection_parse(const char *pages, const char *channels,
                         const struct den_image_info *info, struct den_selection *ret,
                         struct den_err *err) DEN_CHECKED;
/* Is this sample of this page part of it? */
bool den_selection_has(const struct den_selection *selection,
                       const struct den_image_info *info, uint32_t page, uint32_t sample);
/* How many planes of a page are, and of the whole image. */
uint32_t den_selection_of_page(const struct den_selection *selection,
                               const struct den_image_info *info, uint32_t page);
uint64_t den_selection_planes(const struct den_selection *selection,
                              const struct den_image_info *info);

#endif
