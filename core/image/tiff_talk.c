/* libtiff's messages, and opening by descriptor. */
#include "tiff_io.h"

#include <errno.h>

#include "format.h"

__attribute__((format(printf, 4, 0))) static int
on_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif;
    (void)module;
    struct den_tiff_talk *talk = user;
    char text[160];
    if (talk->failed)
        return 1;
    talk->sys = errno;
    talk->failed = true;
    (void)vsnprintf(text, sizeof text, format, args);
    den_format_message(talk->message, sizeof talk->message, text);
    return 1; /* handled: not to stderr */
}

__attribute__((format(printf, 4, 0))) static int
on_warning(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

void den_tiff_talk_clear(struct den_tiff_talk *talk)
{
    *talk = (struct den_tiff_talk){.failed = false};
    errno = 0;
}

TIFFOpenOptions *den_tiff_options(int64_t single_bytes, struct den_tiff_talk *talk)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)single_bytes);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, talk);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, talk);
    return options;
}

TIFF *den_tiff_open_fd(int fd, const char *mode, int64_t single_bytes,
                       struct den_tiff_talk *talk)
{
    TIFFOpenOptions *options = den_tiff_options(single_bytes, talk);
    if (options == NULL)
        return NULL;
    den_tiff_talk_clear(talk);
    TIFF *tif = TIFFFdOpenExt(fd, "image", mode, options);
    TIFFOpenOptionsFree(options);
    return tif;
}
