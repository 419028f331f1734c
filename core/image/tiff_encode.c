/* A TIFF that nobody sees: its strips have the layout of one part each, whatever libtiff
 * writes of them is kept, and everything else - header, directory - is dropped.  Tiles
 * are encoded as strips of their width, which gives the same bytes, because libtiff
 * writes no tiles whose sides are not multiples of 16. */
#include "tiff_encode.h"

#include <inttypes.h>
#include <string.h>

#include "mem.h"

/* Strips of one hidden TIFF, which is then opened anew: opening costs 50 us, as much as a
 * strip of a few rows. */
enum { SLOTS = 256 };

struct den_tiff_encoder {
    struct den_tiff_layout layout;
    TIFF *tif;
    struct den_tiff_talk talk;
    uint32_t next; /* slot */
    bool keeping;  /* what is written now is a part */
    bool no_memory, too_large;
    uint64_t position, end; /* of the hidden file */
    unsigned char *data;
    size_t length, room, most;
};

/* ---- order of bytes and bits ------------------------------------------------------ */

static bool machine_is_big(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

bool den_tiff_is_file_order(const struct den_tiff_layout *layout)
{
    bool swapped = layout->big_endian != machine_is_big() && layout->bits > 8;
    return !swapped && layout->fill_order != FILLORDER_LSB2MSB;
}

void den_tiff_to_file_order(const struct den_tiff_layout *layout, void *part,
                            size_t bytes)
{
    if (layout->big_endian != machine_is_big()) {
        if (layout->bits == 16)
            TIFFSwabArrayOfShort(part, (tmsize_t)(bytes / 2));
        else if (layout->bits == 24)
            TIFFSwabArrayOfTriples(part, (tmsize_t)(bytes / 3));
        else if (layout->bits == 32)
            TIFFSwabArrayOfLong(part, (tmsize_t)(bytes / 4));
        else if (layout->bits == 64)
            TIFFSwabArrayOfLong8(part, (tmsize_t)(bytes / 8));
    }
    if (layout->fill_order == FILLORDER_LSB2MSB)
        TIFFReverseBits(part, (tmsize_t)bytes);
}

/* ---- the file in memory ----------------------------------------------------------- */

static tmsize_t hidden_read(thandle_t handle, void *to, tmsize_t bytes)
{
    (void)handle;
    (void)to;
    (void)bytes;
    return 0; /* nothing is kept that could be read again */
}

static bool keep(struct den_tiff_encoder *e, const void *from, size_t bytes)
{
    if (bytes > e->most - e->length) {
        e->too_large = true;
        return false;
    }
    if (bytes > e->room - e->length) {
        size_t more = e->room < e->most / 2 ? 2 * e->room : e->most;
        if (more < e->length + bytes)
            more = e->length + bytes;
        unsigned char *grown = den_realloc(e->data, more, 1);
        if (grown == NULL) {
            e->no_memory = true;
            return false;
        }
        e->data = grown;
        e->room = more;
    }
    memcpy(e->data + e->length, from, bytes);
    e->length += bytes;
    return true;
}

static tmsize_t hidden_write(thandle_t handle, void *from, tmsize_t bytes)
{
    struct den_tiff_encoder *e = handle;
    if (bytes < 0 || (e->keeping && !keep(e, from, (size_t)bytes)))
        return -1;
    e->position += (uint64_t)bytes;
    if (e->position > e->end)
        e->end = e->position;
    return bytes;
}

static toff_t hidden_seek(thandle_t handle, toff_t offset, int whence)
{
    struct den_tiff_encoder *e = handle;
    e->position = whence == SEEK_END   ? e->end + offset
                  : whence == SEEK_CUR ? e->position + offset
                                       : offset;
    return e->position;
}

static int hidden_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t hidden_size(thandle_t handle)
{
    const struct den_tiff_encoder *e = handle;
    return e->end;
}

/* ---- encoding --------------------------------------------------------------------- */

static bool encode_failed(const struct den_tiff_encoder *e, struct den_err *err)
{
    if (e->too_large)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)e->most, (int64_t)e->most + 1,
                             "a strip or tile of the TIFF has more than %zu bytes when "
                             "it is compressed again",
                             e->most);
    if (e->no_memory || !e->talk.failed)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "no memory is left to compress a strip or tile of the TIFF");
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "a strip or tile of the TIFF cannot be compressed again: %s",
                       e->talk.message);
}

static bool has_predictor(const struct den_tiff_layout *layout)
{
    return layout->predictor > PREDICTOR_NONE &&
           layout->compression != COMPRESSION_PACKBITS; /* has no such tag */
}

/* The same everything that changes how a part is encoded, and nothing else. */
static bool set_tags(const struct den_tiff_encoder *e)
{
    const struct den_tiff_layout *l = &e->layout;
    uint32_t slots = UINT32_MAX / l->part_rows;
    if (slots > SLOTS)
        slots = SLOTS;
    return TIFFSetField(e->tif, TIFFTAG_IMAGEWIDTH, l->part_width) &&
           TIFFSetField(e->tif, TIFFTAG_IMAGELENGTH, l->part_rows * slots) &&
           TIFFSetField(e->tif, TIFFTAG_ROWSPERSTRIP, l->part_rows) &&
           TIFFSetField(e->tif, TIFFTAG_BITSPERSAMPLE, (int)l->bits) &&
           TIFFSetField(e->tif, TIFFTAG_SAMPLESPERPIXEL,
                        l->planar ? 1 : (int)l->samples) &&
           TIFFSetField(e->tif, TIFFTAG_SAMPLEFORMAT, (int)l->sample_format) &&
           TIFFSetField(e->tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
           TIFFSetField(e->tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK) &&
           TIFFSetField(e->tif, TIFFTAG_FILLORDER, (int)l->fill_order) &&
           TIFFSetField(e->tif, TIFFTAG_COMPRESSION, (int)l->compression) &&
           (!has_predictor(l) ||
            TIFFSetField(e->tif, TIFFTAG_PREDICTOR, (int)l->predictor));
}

static void hidden_free(struct den_tiff_encoder *e)
{
    e->keeping = false;
    if (e->tif != NULL)
        TIFFCleanup(e->tif);
    e->tif = NULL;
}

/* BigTIFF, so that no number of strips is too many. */
static bool hidden_open(struct den_tiff_encoder *e, struct den_err *err)
{
    hidden_free(e);
    e->position = e->end = 0;
    e->next = 0;
    TIFFOpenOptions *options = den_tiff_options(0, &e->talk);
    if (options == NULL)
        return encode_failed(e, err);
    den_tiff_talk_clear(&e->talk);
    /* libtiff 4.5 swaps bytes before it splits floats into planes of bytes (predictor 3),
     * for which the order of the file means nothing: they are encoded in the machine's.
     */
    bool big = e->layout.predictor == PREDICTOR_FLOATINGPOINT ? machine_is_big()
                                                              : e->layout.big_endian;
    e->tif =
        TIFFClientOpenExt("image", big ? "w8b" : "w8l", e, hidden_read, hidden_write,
                          hidden_seek, hidden_close, hidden_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (e->tif == NULL || !set_tags(e) || e->talk.failed)
        return encode_failed(e, err);
    return true;
}

bool den_tiff_encoder_new(const struct den_tiff_layout *layout, size_t most,
                          struct den_tiff_encoder **ret, struct den_err *err)
{
    struct den_tiff_encoder *e = den_new(1, sizeof *e, err);
    if (e == NULL)
        return false;
    e->layout = *layout;
    e->most = most;
    if (!hidden_open(e, err)) {
        den_tiff_encoder_free(e);
        return false;
    }
    *ret = e;
    return true;
}

void den_tiff_encoder_free(struct den_tiff_encoder *e)
{
    if (e == NULL)
        return;
    hidden_free(e);
    den_free(e->data);
    den_free(e);
}

bool den_tiff_encode(struct den_tiff_encoder *e, void *part, size_t bytes,
                     const void **ret_data, size_t *ret_bytes, struct den_err *err)
{
    if (e->next == TIFFNumberOfStrips(e->tif) && !hidden_open(e, err))
        return false;
    den_tiff_talk_clear(&e->talk);
    e->length = 0;
    e->keeping = true;
    tmsize_t done = TIFFWriteEncodedStrip(e->tif, e->next, part, (tmsize_t)bytes);
    e->keeping = false;
    /* The second count would differ if libtiff had begun to write anything else here. */
    if (done != (tmsize_t)bytes || e->talk.failed ||
        TIFFGetStrileByteCount(e->tif, e->next) != e->length)
        return encode_failed(e, err);
    e->next++;
    *ret_data = e->data;
    *ret_bytes = e->length;
    return true;
}
