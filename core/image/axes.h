#ifndef DEN_AXES_H
#define DEN_AXES_H

/* What the pages of a TIFF file are - time points, depths, channels - and how large a
 * pixel is, from the text in the ImageDescription of its first page.
 *
 * Two programs' texts are understood: OME-XML ("The OME Data Model", openmicroscopy.org,
 * 2016-06 schema) and ImageJ's key=value lines.  The text comes from anywhere: it need
 * not end with a NUL (it ends at the first one, if there is one before `length`), and
 * nothing in it makes this program open a file or a connection. */

#include <stddef.h>
#include <stdint.h>

#include "image.h"

/* Longer texts say nothing. */
#define DEN_AXES_TEXT_MAX ((size_t)16 << 20)

/* True when the text says something that can be used; else the outputs are untouched.
 * ret: source is "ome" or "imagej" when the pages are surely t * z * c planes in `order`
 * (`pages` of them, directories or planes behind each other); "" with 1 x 1 x 1 when the
 * text has another number of planes, spreads them over several files or lists them in
 * another order.  Samples of an RGB pixel are no channels here: its c is 1.
 * *ret_pixel_um: OME's PhysicalSizeX where Y is the same, micrometres; 0 = not said.
 * ImageJ says it in XResolution, see den_imagej_unit. */
bool den_axes_parse(const char *text, size_t length, uint32_t pages, struct den_axes *ret,
                    double *ret_pixel_um);

/* How many planes an ImageJ text says there are ("images=", at least 1).  A file of more
 * than 4 GiB has one directory for the first plane, and all others behind its pixels. */
bool den_imagej_images(const char *text, size_t length, uint32_t *ret_images);

/* Micrometres of the unit of length of an ImageJ text ("unit=nm" is 0.001): the tag
 * XResolution holds pixels per unit, and ResolutionUnit says "none".  False without a
 * known unit. */
bool den_imagej_unit(const char *text, size_t length, double *ret_unit_um);

#endif
