#ifndef TEST_TIFF_SERIES_H
#define TEST_TIFF_SERIES_H

/* TIFF files that the project's own writer does not make: several samples a pixel, and
 * texts of other programs. */

#include <check.h>
#include <stdlib.h>
#include <tiffio.h>

struct series {
    uint32_t width, height, pages;
    uint16_t samples;
    uint16_t compression;    /* COMPRESSION_LZW, ... */
    uint32_t rows;           /* of a strip */
    const char *description; /* of the first page, or NULL */
};

/* uint16, contiguous samples; value (page, sample, x, y) = 1000 page + 300 sample + noise
 * of 0 to 255. */
static inline void series_write(const char *path, const struct series *s)
{
    uint32_t noise = 1;
    uint16_t *row = calloc((size_t)s->width * s->samples, sizeof *row);
    TIFF *tif = TIFFOpen(path, "w");
    ck_assert(tif != NULL && row != NULL);
    for (uint32_t page = 0; page < s->pages; page++) {
        TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, s->width);
        TIFFSetField(tif, TIFFTAG_IMAGELENGTH, s->height);
        TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 16);
        TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, s->samples);
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, s->rows);
        TIFFSetField(tif, TIFFTAG_COMPRESSION, s->compression);
        TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
        TIFFSetField(tif, TIFFTAG_PHOTOMETRIC,
                     s->samples > 2 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
        if (s->description != NULL && page == 0)
            TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, s->description);
        for (uint32_t y = 0; y < s->height; y++) {
            for (uint32_t i = 0; i < s->width * s->samples; i++) {
                noise = noise * 1664525u + 1013904223u;
                row[i] = (uint16_t)(1000 * (page % 50) + 300 * (i % s->samples) +
                                    (noise >> 24));
            }
            ck_assert_int_eq(TIFFWriteScanline(tif, row, y, 0), 1);
        }
        ck_assert_int_eq(TIFFWriteDirectory(tif), 1);
    }
    TIFFClose(tif);
    free(row);
}

#endif
