/* A decoder may have been taken over by the file it reads: what it says is looked at as
 * if the file had said it. */
#include "jail_private.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "format.h"
#include "mem.h"
#include "str.h"

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL && den_utf8_printable(text);
}

static bool is_format(const char *name, size_t size)
{
    if (!is_text(name, size))
        return false;
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (strcmp(den_formats[i]->name, name) == 0)
            return true;
    return false;
}

static bool is_length(double um)
{
    return isfinite(um) && um >= 0;
}

/* A bool that is neither 0 nor 1 must not be looked at as one. */
static bool is_bool(const bool *value)
{
    unsigned char raw;
    memcpy(&raw, value, sizeof raw);
    return raw <= 1;
}

static bool check_samples(const struct den_image_info *info)
{
    if (!is_bool(&info->alpha) || (unsigned)info->dtype >= DEN_DTYPES ||
        info->channels < 1 || info->channels > DEN_CHANNELS_MAX ||
        (info->alpha && info->channels < 2))
        return false;
    uint32_t most = (uint32_t)den_dtype_bytes(info->dtype) * CHAR_BIT;
    if (den_dtype_is_float(info->dtype))
        return info->bits == most;
    return info->bits >= 1 && info->bits <= most;
}

static bool check_amounts(const struct den_image_info *info, uint64_t file_bytes,
                          const struct den_image_limits *limits)
{
    /* A format may count packed samples, which are up to eight times smaller. */
    struct den_image_limits wide = *limits;
    wide.unpack_ratio =
        limits->unpack_ratio > UINT32_MAX / 8 ? UINT32_MAX : limits->unpack_ratio * 8;
    uint64_t page, all;
    if (info->pages == 0 || !den_format_admit_page(info, limits, NULL))
        return false;
    page = den_image_page_bytes(info); /* sides up to 2^32, 4 channels of 8 bytes: */
    return !__builtin_mul_overflow(page, (uint64_t)info->pages, &all) &&
           den_format_admit_file(info, all, file_bytes, &wide, NULL);
}

static bool check_axes(const struct den_axes *axes, uint32_t pages)
{
    static const char *const orders[] = {"TZC", "TCZ", "ZTC", "ZCT", "CTZ", "CZT"};
    if (!is_text(axes->source, sizeof axes->source) || !is_length(axes->z_step_um))
        return false;
    for (size_t i = 0; i < DEN_AXIS_NAMES; i++)
        if (!is_text(axes->channel_names[i], DEN_AXIS_NAME_SIZE))
            return false;
    if (axes->source[0] == '\0')
        return axes->t <= 1 && axes->z <= 1 && axes->c <= 1 &&
               is_text(axes->order, sizeof axes->order);
    uint64_t product;
    if (__builtin_mul_overflow((uint64_t)axes->t * axes->z, (uint64_t)axes->c,
                               &product) ||
        product != pages || !is_text(axes->order, sizeof axes->order))
        return false;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(axes->order, orders[i]) == 0)
            return true;
    return false;
}

bool den_jail_check_info(const struct den_image_info *info, uint64_t file_bytes,
                         const struct den_image_limits *limits)
{
    return is_format(info->format, sizeof info->format) && check_samples(info) &&
           check_amounts(info, file_bytes, limits) && is_length(info->pixel_size_um) &&
           check_axes(&info->axes, info->pages);
}

bool den_jail_check_err(const struct den_err *err)
{
    static const enum den_code codes[] = {
        DEN_E_MALFORMED,   DEN_E_INVALID,   DEN_E_UNPROCESSABLE,
        DEN_E_UNSUPPORTED, DEN_E_TOO_LARGE, DEN_E_DISK_FULL,
        DEN_E_NO_MEMORY,   DEN_E_IO,        DEN_E_INTERNAL,
    };
    if (!is_text(err->text, sizeof err->text) || err->text[0] == '\0' ||
        !is_text(err->field, sizeof err->field))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (err->code == codes[i])
            return true;
    return false;
}
