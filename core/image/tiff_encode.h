#ifndef DEN_TIFF_ENCODE_H
#define DEN_TIFF_ENCODE_H

/* One strip or tile as the bytes that a file holds of it: by libtiff's encoders into
 * memory, or, uncompressed, in the file's order of bytes and bits. */

#include "tiff_io.h"

/* Uncompressed samples of the machine's order are those of the file. */
bool den_tiff_is_file_order(const struct den_tiff_layout *layout);
/* In place, for compression none. */
void den_tiff_to_file_order(const struct den_tiff_layout *layout, void *part,
                            size_t bytes);

struct den_tiff_encoder;

/* For parts of this layout, which is copied; `most` is the most bytes that an encoded
 * part may have. */
bool den_tiff_encoder_new(const struct den_tiff_layout *layout, size_t most,
                          struct den_tiff_encoder **ret, struct den_err *err) DEN_CHECKED;
void den_tiff_encoder_free(struct den_tiff_encoder *encoder); /* NULL is fine */
/* part: `bytes` of den_tiff_pack_part, which are used up.  *ret_data is the encoder's
 * until the next call. */
bool den_tiff_encode(struct den_tiff_encoder *encoder, void *part, size_t bytes,
                     const void **ret_data, size_t *ret_bytes,
                     struct den_err *err) DEN_CHECKED;

#endif
