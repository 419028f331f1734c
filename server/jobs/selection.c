#include "selection.h"

#include <inttypes.h>
#include <string.h>

#include "str.h"

struct list { /* what a text is a list of */
    const char *field, *one, *many;
    uint32_t size; /* how many there are */
};

/* Digits only: den_parse_int would take a sign. */
static bool read_number(const char **at, uint32_t *ret)
{
    char word[12];
    size_t length = strspn(*at, "0123456789");
    int64_t value = 0;
    if (!den_str_format(word, sizeof word, "%.*s", (int)length, *at) ||
        !den_parse_int(word, 0, UINT32_MAX, &value, NULL))
        return false;
    *at += length;
    *ret = (uint32_t)value;
    return true;
}

static bool refuse(const struct list *list, const char *text, struct den_err *err)
{
    return den_err_field(err, DEN_E_INVALID, list->field,
                         "%s '%.60s' is no list of numbers and ranges as in 0-9,12",
                         list->many, text);
}

static bool read_range(const char **at, const char *text, const struct list *list,
                       struct den_ranges *ranges, struct den_err *err)
{
    uint32_t from = 0;
    if (ranges->count == DEN_RANGES_MAX || !read_number(at, &from))
        return refuse(list, text, err);
    uint32_t to = from;
    if (**at == '-') {
        (*at)++;
        if (!read_number(at, &to) || to < from)
            return refuse(list, text, err);
    }
    if (to >= list->size)
        return den_err_field(err, DEN_E_INVALID, list->field,
                             "%s %" PRIu32
                             " does not exist; the image has %s 0 to %" PRIu32,
                             list->one, to, list->many, list->size - 1);
    ranges->items[ranges->count].from = from;
    ranges->items[ranges->count++].to = to;
    return true;
}

static bool read_list(const char *text, const struct list *list, struct den_ranges *ret,
                      struct den_err *err)
{
    const char *at = text;
    if (text[0] == '\0')
        return true;
    for (;;) {
        if (!read_range(&at, text, list, ret, err))
            return false;
        if (*at == '\0')
            return true;
        if (*at++ != ',')
            return refuse(list, text, err);
    }
}

static bool has(const struct den_ranges *ranges, uint32_t number)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (number >= ranges->items[i].from && number <= ranges->items[i].to)
            return true;
    return ranges->count == 0;
}

/* Does every page belong to one channel of the microscope? */
static bool has_axis(const struct den_image_info *info)
{
    return info->axes.source[0] != '\0' && info->axes.c > 1;
}

bool den_selection_has(const struct den_selection *selection,
                       const struct den_image_info *info, uint32_t page, uint32_t sample)
{
    uint32_t t, z, c;
    if (info->alpha && sample == info->channels - 1)
        return false;
    den_image_place(info, page, &t, &z, &c);
    return has(&selection->pages, page) &&
           has(&selection->channels, has_axis(info) ? c : sample);
}

uint32_t den_selection_of_page(const struct den_selection *selection,
                               const struct den_image_info *info, uint32_t page)
{
    uint32_t count = 0;
    for (uint32_t sample = 0; sample < info->channels; sample++)
        count += den_selection_has(selection, info, page, sample);
    return count;
}

uint64_t den_selection_planes(const struct den_selection *selection,
                              const struct den_image_info *info)
{
    uint64_t count = 0;
    for (uint32_t page = 0; page < info->pages; page++)
        count += den_selection_of_page(selection, info, page);
    return count;
}

bool den_selection_parse(const char *pages, const char *channels,
                         const struct den_image_info *info, struct den_selection *ret,
                         struct den_err *err)
{
    struct den_selection selection = {.pages = {.count = 0}};
    const struct list of_pages = {"/pages", "page", "pages", info->pages};
    const struct list of_channels = {"/channels", "channel", "channels",
                                     has_axis(info) ? info->axes.c
                                                    : info->channels - info->alpha};
    if (!read_list(pages, &of_pages, &selection.pages, err) ||
        !read_list(channels, &of_channels, &selection.channels, err))
        return false;
    if (den_selection_planes(&selection, info) == 0)
        return den_err_field(err, DEN_E_INVALID, "/channels",
                             "none of the chosen pages is of channel %.60s", channels);
    *ret = selection;
    return true;
}
