/* OME-XML [The OME Data Model, openmicroscopy.org, schema 2016-06 and its forerunners]:
 * the Pixels of the first Image.
 *
 * The text comes from anywhere, so libxml2 only calls back for elements: no tree is
 * built, no entity is declared, a document type stops the parser, nothing is loaded, and
 * the parser stops at the end of the first Pixels. */

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "axes_text.h"
#include "str.h"

/* libxml2 2.9 compares every attribute of an element with every other, and looks for a
 * name space among all that are declared: both take hours on a text of 16 MiB made for
 * it. Elements of OME-XML have up to about 40 attributes. */
enum { ATTRIBUTES_MAX = 256, NAMESPACES_MAX = 256 };

/* The elements from the root to the Pixels. */
static const char *const path[] = {"OME", "Image", "Pixels"};
enum { PATH = sizeof path / sizeof *path };

enum { UUID_SIZE = 80 };

struct ome {
    xmlParserCtxtPtr parser;
    uint32_t pages;
    size_t depth;   /* of the open element; 1 = the root */
    size_t matched; /* so many of the open elements, from the root, are those of path */
    size_t namespaces;
    bool done;  /* Pixels was read to its end */
    bool plain; /* so far every plane is where DimensionOrder puts it, in this file */
    struct den_axes axes;
    uint32_t size_c;
    double x_um, y_um;
    uint32_t channels; /* Channel elements, and their samples: */
    uint64_t samples;  /* the sum */
    uint32_t samples_each;
    uint64_t said; /* planes in TiffData elements */
    uint32_t parts;
    bool in_uuid;
    char root_uuid[UUID_SIZE], uuid[UUID_SIZE], file_uuid[UUID_SIZE];
};

/* ---- attributes ---- */

/* As SAX2 gives them: five pointers each, name, prefix, URI, value and its end. */
struct attributes {
    const xmlChar **at;
    size_t count;
};

static bool is(const xmlChar *name, const char *want)
{
    return strcmp((const char *)name, want) == 0;
}

/* The value without the white space around it, "" for one longer than any of use; false
 * where there is no such attribute. */
static bool attribute(struct attributes from, const char *name, char *ret, size_t size)
{
    for (size_t i = 0; i < from.count; i++) {
        const xmlChar **a = from.at + 5 * i;
        if (a[1] != NULL || !is(a[0], name))
            continue;
        const xmlChar *start = a[3], *end = a[4];
        while (start < end && *start <= ' ')
            start++;
        while (start < end && end[-1] <= ' ')
            end--;
        size_t length = (size_t)(end - start);
        if (length >= size)
            length = 0;
        memcpy(ret, start, length);
        ret[length] = '\0';
        return true;
    }
    return false;
}

/* A whole number, or `absent` where there is no such attribute; false for what is none.
 */
static bool number(struct attributes from, const char *name, uint32_t min,
                   uint32_t absent, uint32_t *ret)
{
    char text[32];
    int64_t value = absent;
    bool there = attribute(from, name, text, sizeof text);
    if (there && !den_parse_int(text, min, UINT32_MAX, &value, NULL))
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* PhysicalSizeX and its PhysicalSizeXUnit, in micrometres; 0 = not said. */
static double physical_size(struct attributes from, char axis)
{
    char name[24], text[48], unit[24];
    bool fits = den_str_format(name, sizeof name, "PhysicalSize%c", axis);
    if (!fits || !attribute(from, name, text, sizeof text))
        return 0.0;
    fits = den_str_format(name, sizeof name, "PhysicalSize%cUnit", axis);
    bool has_unit = fits && attribute(from, name, unit, sizeof unit);
    return den_axes_length_um(text, has_unit ? den_axes_unit_um(unit) : 1.0);
}

/* ---- elements ---- */

/* "XYZCT" is "ZCT" for whole planes. */
static bool read_order(const char *text, char order[4])
{
    if (strlen(text) != 5 || !den_str_starts(text, "XY"))
        return false;
    for (const char *axis = "ZCT"; *axis != '\0'; axis++)
        if (strchr(text, *axis) == NULL)
            return false;
    memcpy(order, text + 2, 4);
    return true;
}

static void on_pixels(struct ome *ome, struct attributes from)
{
    struct den_axes *axes = &ome->axes;
    char order[8];
    ome->plain = attribute(from, "DimensionOrder", order, sizeof order) &&
                 read_order(order, axes->order) &&
                 number(from, "SizeT", 1, 0, &axes->t) &&
                 number(from, "SizeZ", 1, 0, &axes->z) &&
                 number(from, "SizeC", 1, 0, &ome->size_c);
    ome->x_um = physical_size(from, 'X');
    ome->y_um = physical_size(from, 'Y');
    axes->z_step_um = physical_size(from, 'Z');
}

static void on_channel(struct ome *ome, struct attributes from)
{
    uint32_t samples, i = ome->channels++;
    if (!number(from, "SamplesPerPixel", 1, 1, &samples))
        samples = 0;
    if (i == 0)
        ome->samples_each = samples;
    if (samples == 0 || samples != ome->samples_each)
        ome->plain = false; /* planes of different kinds */
    ome->samples += samples;
    if (i >= DEN_AXIS_NAMES)
        return;
    char name[256];
    if (!attribute(from, "Name", name, sizeof name) || !den_utf8_printable(name))
        return;
    den_str_copy(ome->axes.channel_names[i], DEN_AXIS_NAME_SIZE, name);
}

/* A run of planes: it is where DimensionOrder puts it if its first plane is the one that
 * the number of its directory stands for.  Channels count samples. */
static void on_tiff_data(struct ome *ome, struct attributes from)
{
    const struct den_axes *axes = &ome->axes;
    char text[32];
    bool has_ifd = attribute(from, "IFD", text, sizeof text);
    uint32_t ifd, count, t, z, c;
    ome->parts++;
    ome->uuid[0] = '\0';
    if (!ome->plain || !number(from, "IFD", 0, 0, &ifd) ||
        !number(from, "PlaneCount", 0, has_ifd ? 1 : ome->pages, &count) ||
        !number(from, "FirstT", 0, 0, &t) || !number(from, "FirstZ", 0, 0, &z) ||
        !number(from, "FirstC", 0, 0, &c)) {
        ome->plain = false;
        return;
    }
    uint32_t samples = ome->samples_each > 0 ? ome->samples_each : 1;
    uint64_t plane = 0, step = 1;
    for (size_t i = 0; i < 3; i++) {
        char axis = axes->order[i];
        uint32_t at = axis == 'T' ? t : axis == 'Z' ? z : c / samples;
        uint32_t size = axis == 'T'   ? axes->t
                        : axis == 'Z' ? axes->z
                                      : ome->size_c / samples;
        if (at >= size)
            ome->plain = false;
        plane += step * at;
        step = step * size > ome->pages ? (uint64_t)ome->pages + 1 : step * size;
    }
    if (c % samples != 0 || plane != ifd || ifd + (uint64_t)count > ome->pages)
        ome->plain = false;
    ome->said += count;
}

static void on_path(struct ome *ome, const xmlChar *name, struct attributes from)
{
    if (!is(name, path[ome->depth - 1])) {
        if (ome->depth == 1) /* another root: this is no OME-XML */
            xmlStopParser(ome->parser);
        return;
    }
    ome->matched++;
    if (ome->depth == 1 && !attribute(from, "UUID", ome->root_uuid, UUID_SIZE))
        ome->root_uuid[0] = '\0';
    if (ome->depth == PATH)
        on_pixels(ome, from);
}

static void on_pixels_child(struct ome *ome, const xmlChar *name, struct attributes from)
{
    if (is(name, "Channel"))
        on_channel(ome, from);
    else if (is(name, "TiffData"))
        on_tiff_data(ome, from);
    else if (is(name, "MetadataOnly"))
        ome->plain = false;
}

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix,
                     const xmlChar *uri, int namespaces, const xmlChar **ns, int count,
                     int defaulted, const xmlChar **values)
{
    (void)prefix, (void)uri, (void)ns, (void)defaulted;
    struct ome *ome = user;
    struct attributes from = {.at = values, .count = (size_t)count};
    ome->namespaces += (size_t)namespaces;
    if (ome->namespaces > NAMESPACES_MAX) {
        xmlStopParser(ome->parser);
        return;
    }
    bool in_path = ome->matched == ome->depth;
    ome->depth++;
    if (in_path && ome->depth <= PATH)
        on_path(ome, name, from);
    else if (ome->matched == PATH && ome->depth == PATH + 1)
        on_pixels_child(ome, name, from);
    else if (ome->matched == PATH && ome->depth == PATH + 2)
        ome->in_uuid = is(name, "UUID");
}

/* The text of a UUID element, in pieces as libxml2 finds them. */
static void on_text(void *user, const xmlChar *text, int length)
{
    struct ome *ome = user;
    size_t have = strlen(ome->uuid);
    if (!ome->in_uuid)
        return;
    if ((size_t)length >= UUID_SIZE - have) { /* no UUID is that long */
        ome->plain = false;
        return;
    }
    memcpy(ome->uuid + have, text, (size_t)length);
    ome->uuid[have + (size_t)length] = '\0';
}

/* Sets of files say for every plane which file it is in, by the UUID that its root has.
 * All planes must be in one file, and in this one where the root says which that is. */
static void end_uuid(struct ome *ome)
{
    ome->in_uuid = false;
    if (ome->file_uuid[0] == '\0')
        memcpy(ome->file_uuid, ome->uuid, UUID_SIZE);
    if (strcmp(ome->uuid, ome->file_uuid) != 0 ||
        (ome->root_uuid[0] != '\0' && strcmp(ome->uuid, ome->root_uuid) != 0))
        ome->plain = false;
}

static void on_end(void *user, const xmlChar *name, const xmlChar *prefix,
                   const xmlChar *uri)
{
    (void)name, (void)prefix, (void)uri;
    struct ome *ome = user;
    if (ome->in_uuid && ome->depth == PATH + 2)
        end_uuid(ome);
    if (ome->matched == PATH && ome->depth == PATH) {
        ome->done = true;
        xmlStopParser(ome->parser);
    }
    if (ome->matched == ome->depth)
        ome->matched--;
    ome->depth--;
}

/* ---- the parser ---- */

static void on_document_type(void *user, const xmlChar *name, const xmlChar *external,
                             const xmlChar *system_id)
{
    (void)name, (void)external, (void)system_id;
    struct ome *ome = user;
    xmlStopParser(ome->parser); /* entities come from here; OME-XML has none */
}

#if LIBXML_VERSION >= 21200
static void on_error(void *user, const xmlError *error)
#else
static void on_error(void *user, xmlErrorPtr error)
#endif
{
    (void)user, (void)error; /* a text that cannot be read says nothing */
}

/* No start tag has more attributes than libxml2 can compare in reasonable time.  '<' is
 * not allowed inside a start tag, so each one lies between a '<' and the next. */
static bool few_attributes(const char *text, size_t length)
{
    size_t count = 0;
    char quote = '\0';
    bool in_tag = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '<') {
            in_tag = true;
            quote = '\0';
            count = 0;
        } else if (!in_tag) {
            continue;
        } else if (quote != '\0') {
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            in_tag = false;
        } else if (c == '=' && ++count > ATTRIBUTES_MAX) {
            return false;
        }
    }
    return true;
}

static bool parse(const char *text, size_t length, struct ome *ome)
{
    xmlParserCtxtPtr parser = xmlCreateMemoryParserCtxt(text, (int)length);
    if (parser == NULL)
        return false;
    ome->parser = parser;
    memset(parser->sax, 0, sizeof *parser->sax);
    parser->sax->initialized = XML_SAX2_MAGIC;
    parser->sax->startElementNs = on_start;
    parser->sax->endElementNs = on_end;
    parser->sax->characters = on_text;
    parser->sax->internalSubset = on_document_type;
    parser->sax->serror = on_error;
    parser->sax2 = 1;
    parser->userData = ome;
    /* UTF-8, whatever the text declares: other encodings are modules of the C library,
     * which it would have to open.  NOENT makes "&amp;" an "&"; only the five entities of
     * XML itself are known here. */
    xmlCtxtUseOptions(parser, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC | XML_PARSE_NOENT);
    xmlSwitchEncoding(parser, XML_CHAR_ENCODING_UTF8);
    xmlParseDocument(parser);
    xmlFreeDoc(parser->myDoc);
    xmlFreeParserCtxt(parser);
    xmlResetLastError();
    return ome->done;
}

/* Where all planes surely are: as many pages as DimensionOrder and the sizes say, and as
 * TiffData, if there is any, lists. */
static bool settle(struct ome *ome)
{
    if (!ome->plain || (ome->parts > 0 && ome->said != ome->pages))
        return false;
    if (ome->channels > 0 && ome->samples != ome->size_c)
        return false;
    ome->axes.c = ome->channels > 0 ? ome->channels : ome->size_c;
    return den_axes_fill(&ome->axes, ome->pages);
}

bool den_axes_ome(const char *text, size_t length, uint32_t pages, struct den_axes *ret,
                  double *ret_pixel_um)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (length >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        length -= 3;
    }
    while (length > 0 && strchr(" \t\r\n", text[0]) != NULL) {
        text++;
        length--;
    }
    struct ome ome = {.pages = pages};
    if (length < 4 || text[0] != '<' || length > DEN_AXES_TEXT_MAX ||
        !few_attributes(text, length) || !parse(text, length, &ome))
        return false;
    bool square =
        ome.x_um > 0.0 && ome.y_um > 0.99 * ome.x_um && ome.y_um < 1.01 * ome.x_um;
    bool sure = settle(&ome);
    if (!sure && !square && ome.axes.z_step_um <= 0.0)
        return false;
    struct den_axes unsure = {.t = 1, .z = 1, .c = 1, .z_step_um = ome.axes.z_step_um};
    *ret = sure ? ome.axes : unsure;
    if (sure)
        den_str_copy(ret->source, sizeof ret->source, "ome");
    *ret_pixel_um = square ? ome.x_um : 0.0;
    return true;
}
