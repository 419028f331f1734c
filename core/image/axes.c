/* The text of a TIFF file's first page: which program wrote it, and units of length. */

#include "axes.h"

#include <string.h>

#include "axes_text.h"
#include "str.h"

/* The part before the first NUL.  Tags are written with one at their end, and some
 * programs pad. */
static size_t text_length(const char *text, size_t length)
{
    const char *nul = length > 0 ? memchr(text, '\0', length) : NULL;
    return nul != NULL ? (size_t)(nul - text) : length;
}

bool den_axes_parse(const char *text, size_t length, uint32_t pages, struct den_axes *ret,
                    double *ret_pixel_um)
{
    length = text_length(text, length);
    if (length > DEN_AXES_TEXT_MAX || pages == 0)
        return false;
    if (den_axes_imagej(text, length, pages, ret)) {
        *ret_pixel_um = 0.0;
        return true;
    }
    return den_axes_ome(text, length, pages, ret, ret_pixel_um);
}

/* As OME-XML 2016-06 lists them (UnitsLength; its default is um) and as ImageJ's users
 * type them.  The micro sign is U+00B5 or the Greek letter U+03BC, in UTF-8, in Latin-1
 * or, as ImageJ writes it, as a Java escape. */
static const struct {
    const char *name;
    double um;
} units[] = {
    {"um", 1.0},          {"\xc2\xb5m", 1.0},   {"\xce\xbcm", 1.0},
    {"\xb5m", 1.0},       {"\\u00B5m", 1.0},    {"\\u00b5m", 1.0},
    {"\\u03BCm", 1.0},    {"micron", 1.0},      {"microns", 1.0},
    {"micrometer", 1.0},  {"micrometre", 1.0},  {"micrometers", 1.0},
    {"micrometres", 1.0}, {"nm", 1e-3},         {"nanometer", 1e-3},
    {"nanometre", 1e-3},  {"nanometers", 1e-3}, {"nanometres", 1e-3},
    {"pm", 1e-6},         {"\xc3\x85", 1e-4},   {"\xe2\x84\xab", 1e-4},
    {"mm", 1e3},          {"millimeter", 1e3},  {"millimetre", 1e3},
    {"cm", 1e4},          {"dm", 1e5},          {"m", 1e6},
    {"inch", 25400.0},    {"in", 25400.0},
};

double den_axes_unit_um(const char *unit)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].um;
    return 0.0;
}

double den_axes_length_um(const char *size, double unit_um)
{
    double value;
    if (!den_parse_double(size, 0.0, 1e30, &value, NULL))
        return 0.0;
    value *= unit_um;
    return value >= 1e-6 && value <= 1e9 ? value : 0.0;
}

bool den_axes_fill(const struct den_axes *axes, uint32_t pages)
{
    uint64_t planes = (uint64_t)axes->t * axes->z;
    return planes > 0 && planes <= pages && planes * axes->c == pages;
}
