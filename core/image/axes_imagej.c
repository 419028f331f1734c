/* ImageJ's description: lines of key=value [ImageJ 1.54, ij/io/FileSaver.java,
 * getDescriptionString]. */

#include <string.h>

#include "axes_text.h"
#include "str.h"

static bool is_imagej(const char *text, size_t length)
{
    static const char magic[] = "ImageJ=";
    return length >= sizeof magic - 1 && memcmp(text, magic, sizeof magic - 1) == 0;
}

/* Copies the value of the first line "key=value"; false without one, and for one that is
 * longer than any value of use. */
static bool find(const char *text, size_t length, const char *key, char *ret, size_t size)
{
    size_t key_length = strlen(key);
    const char *end = text + length;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((stop != NULL ? stop : end) - text);
        if (line > key_length && text[key_length] == '=' &&
            memcmp(text, key, key_length) == 0) {
            const char *value = text + key_length + 1;
            size_t value_length = line - key_length - 1;
            if (value_length > 0 && value[value_length - 1] == '\r')
                value_length--;
            if (value_length >= size)
                return false;
            memcpy(ret, value, value_length);
            ret[value_length] = '\0';
            return true;
        }
        text += line + 1;
    }
    return false;
}

/* A count; 1 where there is no such line, as in ImageJ, and 0 for what is no count. */
static uint32_t count(const char *text, size_t length, const char *key)
{
    char value[32];
    int64_t number;
    if (!find(text, length, key, value, sizeof value))
        return 1;
    return den_parse_int(value, 1, INT32_MAX, &number, NULL) ? (uint32_t)number : 0;
}

bool den_imagej_images(const char *text, size_t length, uint32_t *ret_images)
{
    length = strnlen(text, length);
    if (length > DEN_AXES_TEXT_MAX || !is_imagej(text, length))
        return false;
    uint32_t images = count(text, length, "images");
    if (images == 0)
        return false;
    *ret_images = images;
    return true;
}

static double unit_um(const char *text, size_t length, const char *key)
{
    char unit[32];
    return find(text, length, key, unit, sizeof unit) ? den_axes_unit_um(unit) : 0.0;
}

bool den_imagej_unit(const char *text, size_t length, double *ret_unit_um)
{
    length = strnlen(text, length);
    if (length > DEN_AXES_TEXT_MAX || !is_imagej(text, length))
        return false;
    double um = unit_um(text, length, "unit");
    if (um <= 0.0)
        return false;
    *ret_unit_um = um;
    return true;
}

/* "spacing" is negative where a stack was taken downwards; "zunit" is written where it
 * differs from "unit". */
static double z_step(const char *text, size_t length)
{
    char spacing[48], zunit[32];
    if (!find(text, length, "spacing", spacing, sizeof spacing))
        return 0.0;
    bool own = find(text, length, "zunit", zunit, sizeof zunit);
    double um = unit_um(text, length, own ? "zunit" : "unit");
    return den_axes_length_um(spacing + (spacing[0] == '-'), um);
}

bool den_axes_imagej(const char *text, size_t length, uint32_t pages,
                     struct den_axes *ret)
{
    if (!is_imagej(text, length))
        return false;
    struct den_axes axes = {.source = "imagej",
                            .order = "CZT",
                            .c = count(text, length, "channels"),
                            .z = count(text, length, "slices"),
                            .t = count(text, length, "frames"),
                            .z_step_um = z_step(text, length)};
    /* A stack without dimensions is one of slices, as ImageJ opens it. */
    if (axes.c == 1 && axes.z == 1 && axes.t == 1)
        axes.z = count(text, length, "images");
    if (!den_axes_fill(&axes, pages))
        axes = (struct den_axes){.t = 1, .z = 1, .c = 1, .z_step_um = axes.z_step_um};
    *ret = axes;
    return true;
}
