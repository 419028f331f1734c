#include "result_name.h"

#include <string.h>
#include <strings.h>

#include "str.h"

/* Longer endings first. */
static const struct {
    const char *format, *ending;
} endings[] = {
    {"tiff", ".ome.tiff"}, {"tiff", ".ome.tif"}, {"tiff", ".ome.btf"},
    {"tiff", ".ome.tf2"},  {"tiff", ".ome.tf8"}, {"tiff", ".tiff"},
    {"tiff", ".tif"},      {"tiff", ".btf"},     {"tiff", ".tf2"},
    {"tiff", ".tf8"},      {"tiff", ".stk"},     {"tiff", ".lsm"},
    {"png", ".png"},
};

/* Bytes of the ending of name that files of the format have; 0 = none, and a name that is
 * nothing but an ending has none. */
static size_t ending_of(const char *name, const char *format)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(endings[i].ending);
        if (strcmp(endings[i].format, format) == 0 && length > size &&
            strcasecmp(name + length - size, endings[i].ending) == 0)
            return size;
    }
    return 0;
}

void den_result_name(const char *name, const struct den_image_info *info, char *ret_name,
                     char *ret_media)
{
    enum { ADDED = 32 }; /* room for what is appended */
    const char *usual = "", *media = "application/octet-stream";
    char stem[DEN_NAME_SIZE - ADDED];
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (strcmp(den_formats[i]->name, info->format) == 0) {
            usual = den_formats[i]->suffix;
            media = den_formats[i]->media_type;
        }
    size_t own = ending_of(name, info->format), length = strlen(name) - own;
    den_str_format(stem, sizeof stem, "%.*s", (int)length, name);
    den_utf8_trim(stem);
    den_str_format(ret_name, DEN_NAME_SIZE, "%s_denoised%s", stem,
                   own > 0 ? name + length : usual);
    den_str_copy(ret_media, 32, media);
}
