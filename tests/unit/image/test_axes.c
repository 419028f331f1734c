/* What the pages of a series are: the texts of OME-XML and ImageJ. */

#include <tiffio.h>
#include <time.h>

#include "axes.h"
#include "image_files.h"

static bool parse(const char *text, uint32_t pages, struct den_axes *axes, double *um)
{
    return den_axes_parse(text, strlen(text), pages, axes, um);
}

/* One Pixels of 2 channels, 3 depths and 1 time with `attributes` and `inside`. */
static const char *ome(const char *attributes, const char *inside)
{
    static char text[4096];
    ck_assert(den_str_format(
        text, sizeof text,
        "<?xml version=\"1.0\"?><!-- a comment --><OME xmlns=\"http://"
        "www.openmicroscopy.org/Schemas/OME/2016-06\" UUID=\"urn:uuid:this\">"
        "<Instrument ID=\"I\"/><Image ID=\"Image:0\"><Description>a &lt; b</Description>"
        "<Pixels SizeX=\"4\" SizeY=\"4\" Type=\"uint8\" %s>%s</Pixels></Image>"
        "<Image ID=\"Image:1\"><Pixels SizeC=\"9\" SizeZ=\"9\" SizeT=\"9\" "
        "PhysicalSizeX=\"7\" DimensionOrder=\"XYTZC\"/></Image></OME>",
        attributes, inside));
    return text;
}

#define SIZES "DimensionOrder=\"XYCZT\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\""
#define CHANNELS "<Channel ID=\"0\" SamplesPerPixel=\"1\"/><Channel ID=\"1\"/>"

START_TEST(an_ome_text_says_what_the_pages_are)
{
    const char *text = ome(SIZES " PhysicalSizeX=\"0.25\" PhysicalSizeY=\"0.25\" "
                                 "PhysicalSizeZ=\"900\" PhysicalSizeZUnit=\"nm\"",
                           "<Channel ID=\"0\" Name=\"DAPI\"/><Channel ID=\"1\" "
                           "Name=\" caf\xc3\xa9 &amp; &#181;\"/><TiffData/>");
    struct den_axes axes;
    double um = -1;
    ck_assert(parse(text, 6, &axes, &um));
    ck_assert_str_eq(axes.source, "ome");
    ck_assert_str_eq(axes.order, "CZT");
    ck_assert(axes.c == 2 && axes.z == 3 && axes.t == 1);
    ck_assert_str_eq(axes.channel_names[0], "DAPI");
    ck_assert_str_eq(axes.channel_names[1], "caf\xc3\xa9 & \xc2\xb5");
    ck_assert_str_eq(axes.channel_names[2], "");
    close_to(um, 0.25, 1e-12);
    close_to(axes.z_step_um, 0.9, 1e-12);

    struct den_image_info info = {.axes = axes, .pages = 6};
    uint32_t t, z, c;
    den_image_place(&info, 5, &t, &z, &c);
    ck_assert(t == 0 && z == 2 && c == 1);
}
END_TEST

/* Planes in 6 pages; a mapping that is not the plain one leaves the axes open. */
static const struct {
    const char *what, *attributes, *inside, *order; /* order "" = not sure */
} mappings[] = {
    {"no TiffData", SIZES, CHANNELS, "CZT"},
    {"no Channel", SIZES, "<TiffData/>", "CZT"},
    {"one TiffData for all", SIZES, CHANNELS "<TiffData IFD=\"0\" PlaneCount=\"6\"/>",
     "CZT"},
    {"another order", "DimensionOrder=\"XYTZC\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\"",
     CHANNELS "<TiffData PlaneCount=\"6\"/>", "TZC"},
    {"planes one by one", SIZES,
     "<TiffData IFD=\"0\"/><TiffData IFD=\"1\" FirstC=\"1\"/>"
     "<TiffData IFD=\"2\" FirstZ=\"1\"/><TiffData IFD=\"3\" FirstZ=\"1\" FirstC=\"1\"/>"
     "<TiffData IFD=\"4\" FirstZ=\"2\" PlaneCount=\"2\"/>",
     "CZT"},
    {"planes one by one, backwards", SIZES,
     "<TiffData IFD=\"5\"/><TiffData IFD=\"4\" FirstC=\"1\"/>"
     "<TiffData IFD=\"3\" FirstZ=\"1\"/><TiffData IFD=\"2\" FirstZ=\"1\" FirstC=\"1\"/>"
     "<TiffData IFD=\"0\" FirstZ=\"2\" PlaneCount=\"2\"/>",
     ""},
    {"a plane is missing", SIZES, "<TiffData IFD=\"0\" PlaneCount=\"5\"/>", ""},
    {"more planes than pages", SIZES, "<TiffData IFD=\"0\" PlaneCount=\"7\"/>", ""},
    {"planes wrap around", SIZES, "<TiffData IFD=\"0\" PlaneCount=\"4294967295\"/>", ""},
    {"an index beyond its size", SIZES, "<TiffData FirstC=\"2\" PlaneCount=\"6\"/>", ""},
    {"planes in this file", SIZES,
     "<TiffData PlaneCount=\"6\"><UUID FileName=\"x\">urn:uuid:this</UUID></TiffData>",
     "CZT"},
    {"planes in another file", SIZES,
     "<TiffData PlaneCount=\"6\"><UUID FileName=\"x\">urn:uuid:that</UUID></TiffData>",
     ""},
    {"a UUID of any length", SIZES,
     "<TiffData PlaneCount=\"6\"><UUID>urn:uuid:this0123456789012345678901234567890123"
     "45678901234567890123456789012345678901234567890123456789</UUID></TiffData>",
     ""},
    {"metadata of files elsewhere", SIZES, CHANNELS "<MetadataOnly/>", ""},
    {"RGB in 6 pages", "DimensionOrder=\"XYCZT\" SizeC=\"3\" SizeZ=\"3\" SizeT=\"2\"",
     "<Channel ID=\"0\" SamplesPerPixel=\"3\"/><TiffData/>", "CZT"},
    {"RGB twice in 6 pages",
     "DimensionOrder=\"XYCZT\" SizeC=\"6\" SizeZ=\"3\" SizeT=\"1\"",
     "<Channel ID=\"0\" SamplesPerPixel=\"3\"/><Channel ID=\"1\" SamplesPerPixel=\"3\"/>"
     "<TiffData IFD=\"0\"/><TiffData IFD=\"1\" FirstC=\"3\" PlaneCount=\"5\"/>",
     "CZT"},
    {"RGB beside gray", "DimensionOrder=\"XYCZT\" SizeC=\"4\" SizeZ=\"3\" SizeT=\"1\"",
     "<Channel ID=\"0\" SamplesPerPixel=\"3\"/><Channel ID=\"1\" SamplesPerPixel=\"1\"/>",
     ""},
    {"3 channels, 2 described",
     "DimensionOrder=\"XYCZT\" SizeC=\"3\" SizeZ=\"2\" SizeT=\"1\"", CHANNELS, ""},
    {"another number of planes",
     "DimensionOrder=\"XYCZT\" SizeC=\"2\" SizeZ=\"2\" SizeT=\"1\"", CHANNELS, ""},
    {"a size of none", "DimensionOrder=\"XYCZT\" SizeC=\"6\" SizeZ=\"0\" SizeT=\"1\"", "",
     ""},
    {"sizes whose product wraps to 6",
     "DimensionOrder=\"XYCZT\" SizeC=\"3\" SizeZ=\"4294967295\" SizeT=\"4294967295\"", "",
     ""},
    {"huge sizes",
     "DimensionOrder=\"XYCZT\" SizeC=\"1000000000\" SizeZ=\"1000000000\" "
     "SizeT=\"1000000000\"",
     "<TiffData IFD=\"5\" FirstT=\"999999999\" FirstZ=\"999999999\"/>", ""},
    {"a size that is no number",
     "DimensionOrder=\"XYCZT\" SizeC=\"6\" SizeZ=\"1e0\" SizeT=\"1\"", "", ""},
    {"a size of too many digits",
     "DimensionOrder=\"XYCZT\" SizeC=\"6\" SizeT=\"1\" "
     "SizeZ=\"00000000000000000000000000000000000000000000001\"",
     "", ""},
    {"a missing size", "DimensionOrder=\"XYCZT\" SizeC=\"6\" SizeT=\"1\"", "", ""},
    {"an order with an axis twice",
     "DimensionOrder=\"XYCCT\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\"", "", ""},
    {"an order of six", "DimensionOrder=\"XYCZTS\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\"",
     "", ""},
    {"no order", "SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\"", "", ""},
    {"samples of none", SIZES, "<Channel SamplesPerPixel=\"0\"/><Channel/>", ""},
};

/* The pixel size is in every one of them, and stays. */
START_TEST(only_a_mapping_that_is_sure_is_told)
{
    char attributes[512];
    ck_assert(den_str_format(attributes, sizeof attributes,
                             "%s PhysicalSizeX=\"0.5\" PhysicalSizeY=\"0.5\"",
                             mappings[_i].attributes));
    struct den_axes axes;
    double um = 0;
    ck_assert_msg(parse(ome(attributes, mappings[_i].inside), 6, &axes, &um), "%s",
                  mappings[_i].what);
    close_to(um, 0.5, 1e-12);
    bool sure = mappings[_i].order[0] != '\0';
    ck_assert_msg(strcmp(axes.source, sure ? "ome" : "") == 0, "%s: source '%s'",
                  mappings[_i].what, axes.source);
    ck_assert_msg(strcmp(axes.order, mappings[_i].order) == 0, "%s: order '%s'",
                  mappings[_i].what, axes.order);
    ck_assert_msg(axes.t * axes.z * axes.c == (sure ? 6 : 1), "%s", mappings[_i].what);
}
END_TEST

static const struct {
    const char *x, *unit, *y;
    double um;
} sizes[] = {
    {"0.1", "", "0.1", 0.1},
    {"65", "PhysicalSizeXUnit=\"nm\" PhysicalSizeYUnit=\"nm\"", "65", 0.065},
    {"65", "PhysicalSizeXUnit=\"nm\"", "0.065", 0.065},
    {"2e-4", "PhysicalSizeXUnit=\"mm\"", "0.2", 0.2},
    {"1", "PhysicalSizeXUnit=\"\xc2\xb5m\"", "1", 1},
    {"1", "PhysicalSizeXUnit=\"\xce\xbcm\"", "1", 1},
    {"1", "PhysicalSizeXUnit=\"&#xB5;m\"", "1", 1},
    {" 0.1 ", "", "0.1\n", 0.1},
    {"1", "PhysicalSizeXUnit=\"m\"", "1000000", 1e6},
    {"5", "PhysicalSizeXUnit=\"\xc3\x85\"", "0.0005", 5e-4},
    {"1", "PhysicalSizeXUnit=\"pixel\"", "1", 0},
    {"1", "PhysicalSizeXUnit=\"reference frame, of which nobody knows\"", "1", 0},
    {"0.1", "", "0.2", 0},
    {"NaN", "", "NaN", 0},
    {"INF", "", "INF", 0},
    {"0", "", "0", 0},
    {"-1", "", "-1", 0},
    {"1e30", "", "1e30", 0},
    {"1e400", "", "1e400", 0},
    {"1e-30", "", "1e-30", 0},
    {"0x1p-3", "", "0.125", 0},
    {"", "", "", 0},
};

START_TEST(sizes_come_in_units)
{
    char attributes[512];
    ck_assert(den_str_format(attributes, sizeof attributes,
                             SIZES " PhysicalSizeX=\"%s\" %s PhysicalSizeY=\"%s\"",
                             sizes[_i].x, sizes[_i].unit, sizes[_i].y));
    struct den_axes axes;
    double um = -1;
    ck_assert(parse(ome(attributes, ""), 6, &axes, &um));
    ck_assert_msg(um >= sizes[_i].um * 0.999999 && um <= sizes[_i].um * 1.000001,
                  "'%s' %s is %g", sizes[_i].x, sizes[_i].unit, um);
}
END_TEST

/* Texts that say nothing, and leave the outputs as they were. */
static const char *const silent[] = {
    "",
    " ",
    "<",
    "hello",
    "<html><Image><Pixels SizeC=\"1\"/></Image></html>",
    "<OME></OME>",
    "<OME><Image/></OME>",
    "<OME><Pixels " SIZES "/></OME>",
    "<OME><Folder><Image><Pixels " SIZES "/></Image></Folder></OME>",
    "<OME><Image><Pixels " SIZES,
    "<OME><Image><Pixels " SIZES "></Image></OME>",
    "<OME><Image><Pixels " SIZES " SizeC=\"2\"/></Image></OME>",
    "<OME><Image><Pixels " SIZES " Note=\"&undeclared;\"/></Image></OME>",
    "<OME><Image><Pixels " SIZES " Note=\"bad UTF-8 \xff\xfe\"/></Image></OME>",
    "<OME><Image><Pixels " SIZES " Note=\"\x01\"/></Image></OME>",
    "\x4c\x6f\xa7\x94 EBCDIC",
    /* billion laughs, in the one place where OME-XML has an attribute for it */
    "<!DOCTYPE OME [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
    "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;\">"
    "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f "
    "\"&e;&e;&e;&e;&e;&e;&e;\">]>"
    "<OME><Image><Pixels " SIZES " ID=\"&f;&f;&f;&f;&f;&f;&f;&f;\"/></Image></OME>",
    "<!DOCTYPE OME [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
    "<OME><Image><Pixels " SIZES "><Channel Name=\"n\"/>&x;</Pixels></Image></OME>",
    "<!DOCTYPE OME SYSTEM \"http://127.0.0.1:1/ome.dtd\">"
    "<OME><Image><Pixels " SIZES "/></Image></OME>",
    "<!DOCTYPE OME><OME><Image><Pixels " SIZES "/></Image></OME>",
    "ImageJ",
    "NotImageJ=1.5\nimages=6\nslices=6\n",
    " ImageJ=1.5\nimages=6\nslices=6\n",
};

START_TEST(other_texts_say_nothing)
{
    struct den_axes axes, untouched;
    memset(&axes, 0x55, sizeof axes);
    memset(&untouched, 0x55, sizeof untouched);
    double um = 77;
    ck_assert_msg(!parse(silent[_i], 6, &axes, &um), "%s", silent[_i]);
    ck_assert_mem_eq(&axes, &untouched, sizeof axes);
    ck_assert(um == 77);
}
END_TEST

/* ---- ImageJ ---- */

static const struct {
    const char *text;
    uint32_t pages;
    const char *source;
    uint32_t c, z, t;
    double step;
} imagej[] = {
    {"ImageJ=1.53f\n", 1, "imagej", 1, 1, 1, 0},
    {"ImageJ=1.53f\nimages=34\nchannels=2\nslices=17\nhyperstack=true\nunit=\\u00B5m\n"
     "spacing=0.4\n",
     34, "imagej", 2, 17, 1, 0.4},
    {"ImageJ=1.53f\r\nimages=6\r\nframes=6\r\n", 6, "imagej", 1, 1, 6, 0},
    {"ImageJ=1.53f\nimages=6", 6, "imagej", 1, 6, 1, 0},
    {"ImageJ=1.53f\nimages=6\nslices=6\nunit=nm\nspacing=-300\n", 6, "imagej", 1, 6, 1,
     0.3},
    {"ImageJ=1.53f\nslices=6\nunit=nm\nzunit=micrometer\nspacing=3", 6, "imagej", 1, 6, 1,
     3},
    {"ImageJ=1.53f\nslices=6\nunit=pixel\nspacing=3\n", 6, "imagej", 1, 6, 1, 0},
    {"ImageJ=1.53f\nslices=6\nspacing=NaN\nunit=um\n", 6, "imagej", 1, 6, 1, 0},
    {"ImageJ=1.53f\nslices=6\nspacing=--1\nunit=um\n", 6, "imagej", 1, 6, 1, 0},
    {"ImageJ=1.53f\nimages=6\nslices=6\n", 5, "", 1, 1, 1, 0},
    {"ImageJ=1.53f\nslices=2147483647\nframes=2147483647\nchannels=2147483647\n", 6, "",
     1, 1, 1, 0},
    {"ImageJ=1.53f\nslices=0\n", 6, "", 1, 1, 1, 0},
    {"ImageJ=1.53f\nslices=-6\nframes=-1\n", 6, "", 1, 1, 1, 0},
    {"ImageJ=1.53f\nslices=1e9\n", 6, "", 1, 1, 1, 0},
    {"ImageJ=1.53f\nmyslices=6\nimages\n", 6, "", 1, 1, 1, 0},
};

START_TEST(an_imagej_text_says_what_the_pages_are)
{
    struct den_axes axes;
    double um = -1;
    ck_assert(parse(imagej[_i].text, imagej[_i].pages, &axes, &um));
    ck_assert_msg(strcmp(axes.source, imagej[_i].source) == 0, "%s", imagej[_i].text);
    ck_assert_msg(axes.c == imagej[_i].c && axes.z == imagej[_i].z &&
                      axes.t == imagej[_i].t,
                  "%s: %u x %u x %u", imagej[_i].text, axes.c, axes.z, axes.t);
    close_to(axes.z_step_um, imagej[_i].step, 1e-12);
    ck_assert(um == 0);
}
END_TEST

START_TEST(imagej_says_how_many_planes_and_which_unit)
{
    static const struct {
        const char *text;
        uint32_t images; /* 0 = none said */
        double um;
    } cases[] = {
        {"ImageJ=1.53f\nimages=1400\nunit=micron\n", 1400, 1},
        {"ImageJ=1.53f\nunit=\xb5m\n", 1, 1},
        {"ImageJ=1.53f\nunit=nm\n", 1, 1e-3},
        {"ImageJ=1.53f\nunit=cm\n", 1, 1e4},
        {"ImageJ=1.53f\nunit=inch\n", 1, 25400},
        {"ImageJ=1.53f\nunit=\\u00B5m\n", 1, 1},
        {"ImageJ=1.53f\nunit=pixel\n", 1, 0},
        {"ImageJ=1.53f\nunit=furlongs of a length that nobody has use for\n", 1, 0},
        {"ImageJ=1.53f\nimages=0\n", 0, 0},
        {"ImageJ=1.53f\nimages=99999999999999999999\n", 0, 0},
        {"images=5\nunit=nm\n", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        uint32_t images = 0;
        double um = 0;
        ck_assert_msg(den_imagej_images(text, strlen(text), &images) ==
                          (cases[i].images > 0),
                      "%s", text);
        ck_assert_uint_eq(images, cases[i].images);
        ck_assert_msg(den_imagej_unit(text, strlen(text), &um) == (cases[i].um > 0), "%s",
                      text);
        close_to(um, cases[i].um, 1e-12);
    }
}
END_TEST

/* ---- bytes from anywhere ---- */

/* Copies without a NUL behind them, so that a sanitizer sees a byte read too far. */
static bool parse_exact(const char *text, size_t length, uint32_t pages)
{
    char *copy = den_calloc(length, 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    struct den_axes axes;
    double um;
    uint32_t images;
    bool said = den_axes_parse(copy, length, pages, &axes, &um);
    (void)den_imagej_images(copy, length, &images);
    (void)den_imagej_unit(copy, length, &um);
    den_free(copy);
    return said;
}

START_TEST(every_beginning_of_a_text_is_read_or_left)
{
    const char *texts[] = {
        ome(SIZES " PhysicalSizeX=\"0.25\"",
            CHANNELS "<TiffData IFD=\"0\" PlaneCount=\"6\"><UUID>urn:uuid:this</UUID>"
                     "</TiffData>"),
        imagej[1].text,
    };
    for (size_t i = 0; i < 2; i++)
        for (size_t length = 0; length <= strlen(texts[i]); length++)
            parse_exact(texts[i], length, 6);
    ck_assert(parse_exact(texts[0], strlen(texts[0]), 6));
    ck_assert(parse_exact(texts[1], strlen(texts[1]), 34));
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(a_text_ends_at_its_first_nul)
{
    char text[256] = "ImageJ=1.5\nimages=6\n\0slices=5\n";
    ck_assert(parse_exact(text, sizeof text, 6));
    static const char cut[] = "<OME>\0<Image>";
    ck_assert(!parse_exact(cut, sizeof cut, 6));
}
END_TEST

static size_t put(char *to, const char *from)
{
    size_t n = 0;
    for (; from[n] != '\0'; n++)
        to[n] = from[n];
    return n;
}

/* head, then body so often that about `size` bytes are full, then tail. */
static char *repeat(const char *head, const char *body, const char *tail, size_t size,
                    size_t *ret_length)
{
    size_t step = strlen(body), times = size / step;
    char *text = den_calloc(strlen(head) + strlen(tail) + times * step + 1, 1);
    ck_assert_ptr_nonnull(text);
    size_t at = put(text, head);
    for (size_t i = 0; i < times; i++)
        at += put(text + at, body);
    *ret_length = at + put(text + at, tail);
    return text;
}

/* Each would take a parser that goes about it the plain way minutes, gigabytes or the
 * stack. */
START_TEST(texts_made_to_hurt_are_over_soon)
{
    static const struct {
        const char *what, *head, *body, *tail;
        size_t size;
        bool said;
    } cases[] = {
        {"deep nesting", "<OME><Image>", "<a>", "", 15 << 20, false},
        {"deep nesting inside Pixels", "<OME><Image><Pixels " SIZES ">", "<a>", "",
         15 << 20, false},
        {"name spaces", "<OME>", "<a xmlns:a='u'><a:b/></a>", "", 15 << 20, false},
        {"name spaces in depth", "<OME xmlns:z='u'>", "<a xmlns:b='u' xmlns:c='u'>", "",
         15 << 20, false},
        {"a value", "<OME><Image Name='", "x", "'/></OME>", 15 << 20, false},
        {"a name", "<OME><", "x", "/></OME>", 15 << 20, false},
        {"a comment", "<!--", "x ", "--><OME/>", 15 << 20, false},
        {"an open comment", "<!--", "x -", "", 15 << 20, false},
        {"open tags", "", "<", "", 15 << 20, false},
        {"ampersands", "<OME>", "&#x20;", "</OME>", 15 << 20, false},
        {"many channels", "<OME><Image><Pixels " SIZES ">", "<Channel Name='a'/>",
         "</Pixels></Image></OME>", 15 << 20, false},
        {"many lines", "ImageJ=1\n", "a=1\n", "slices=6\n", 15 << 20, true},
        {"much text behind the Pixels",
         "<OME><Image><Pixels " SIZES " PhysicalSizeZ='1'/></Image><X>", "1 = 1; ",
         "</X></OME>", 15 << 20, true},
        {"too long", "ImageJ=1\nslices=6\n", "a=1\n", "", 17 << 20, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length;
        char *text =
            repeat(cases[i].head, cases[i].body, cases[i].tail, cases[i].size, &length);
        clock_t start = clock();
        struct den_axes axes;
        double um;
        ck_assert_msg(den_axes_parse(text, length, 6, &axes, &um) == cases[i].said, "%s",
                      cases[i].what);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        ck_assert_msg(seconds < 2.0, "%s: %.1f s", cases[i].what, seconds);
        den_free(text);
    }
}
END_TEST

START_TEST(an_element_of_very_many_attributes_is_refused)
{
    size_t size = (size_t)8 << 20;
    char *text = den_calloc(size + 64, 1);
    ck_assert_ptr_nonnull(text);
    size_t at = 0;
    at += (size_t)snprintf(text, size, "<OME><Image");
    for (unsigned i = 0; at < size; i++)
        at += (size_t)snprintf(text + at, 32, " a%u='>'", i);
    at += (size_t)snprintf(text + at, 32, "/></OME>");
    clock_t start = clock();
    ck_assert(!parse_exact(text, at, 6));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    ck_assert_msg(seconds < 2.0, "%.1f s", seconds);
    den_free(text);
}
END_TEST

/* ---- files ---- */

static const struct {
    const char *file, *source, *order;
    uint32_t pages, c, z, t;
    double unit, step;
} files[] = {
    {"ome_tiff/multi-channel.ome.tif", "ome", "ZCT", 3, 3, 1, 1, 0, 0},
    {"ome_tiff/single-channel.ome.tif", "ome", "ZCT", 1, 1, 1, 1, 0, 0},
    {"ome_tiff/time-series.ome.tif", "ome", "ZCT", 7, 1, 1, 7, 0, 0},
    {"ome_tiff/z-series.ome.tif", "ome", "ZCT", 5, 1, 5, 1, 0, 0},
    {"ome_tiff/master/multifile-Z1.ome.tiff", NULL, "", 1, 1, 1, 1, 0, 0},
    {"ome_tiff/master/multifile-Z3.ome.tiff", NULL, "", 1, 1, 1, 1, 0, 0},
    {"format_variants/u16_ome_stack3.ome.tif", "ome", "CZT", 3, 3, 1, 1, 0, 0},
    {"format_variants/u16_imagej_stack5.tif", "imagej", "CZT", 5, 5, 1, 1, 0, 0},
    {"neubias_tiff/xy_12bit__saturated_plant.tif", "imagej", "CZT", 1, 1, 1, 1, 1, 0},
    {"neubias_tiff/xy_16bit__rat_hippocampal_neuron.tif", "imagej", "CZT", 1, 1, 1, 1, 1,
     0},
    {"neubias_tiff/xyc_16bit__nuclei_golgi.tif", "imagej", "CZT", 2, 2, 1, 1, 1, 0},
    {"neubias_tiff/xyt_8bit__em_fly_eye.tif", "imagej", "CZT", 2, 1, 1, 2, 0, 0},
    {"neubias_tiff/xyz_8bit__mitotic_plate_calibrated.tif", "imagej", "CZT", 6, 1, 6, 1,
     1, 3},
    {"neubias_tiff/xyzc_16bit__spots.tif", "imagej", "CZT", 34, 2, 17, 1, 1, 0.4},
};

START_TEST(files_of_microscopes_say_what_their_pages_are)
{
    need_test_data(root);
    char path[512], *text = NULL;
    TIFFSetWarningHandler(NULL);
    ck_assert(den_str_format(path, sizeof path, "%s/%s", root, files[_i].file));
    TIFF *tif = TIFFOpen(path, "r");
    ck_assert_ptr_nonnull(tif);
    ck_assert_int_eq(TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &text), 1);
    uint32_t pages = 1;
    while (TIFFReadDirectory(tif))
        pages++;
    ck_assert_uint_eq(pages, files[_i].pages);
    ck_assert_int_eq(TIFFSetDirectory(tif, 0), 1);
    ck_assert_int_eq(TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &text), 1);

    struct den_axes axes = {.t = 0};
    double um = 0, unit = 0;
    bool said = parse(text, pages, &axes, &um);
    ck_assert_int_eq(said, files[_i].source != NULL);
    if (said) {
        ck_assert_str_eq(axes.source, files[_i].source);
        ck_assert_str_eq(axes.order, files[_i].order);
        ck_assert(axes.c == files[_i].c && axes.z == files[_i].z &&
                  axes.t == files[_i].t);
        close_to(axes.z_step_um, files[_i].step, 1e-9);
    }
    ck_assert_int_eq(den_imagej_unit(text, strlen(text), &unit), files[_i].unit > 0);
    close_to(unit, files[_i].unit, 1e-9);
    TIFFClose(tif);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("axes");
    TCase *tests = tcase_create("axes");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, an_ome_text_says_what_the_pages_are);
    tcase_add_loop_test(tests, only_a_mapping_that_is_sure_is_told, 0, COUNT(mappings));
    tcase_add_loop_test(tests, sizes_come_in_units, 0, COUNT(sizes));
    tcase_add_loop_test(tests, other_texts_say_nothing, 0, COUNT(silent));
    tcase_add_loop_test(tests, an_imagej_text_says_what_the_pages_are, 0, COUNT(imagej));
    tcase_add_test(tests, imagej_says_how_many_planes_and_which_unit);
    tcase_add_test(tests, every_beginning_of_a_text_is_read_or_left);
    tcase_add_test(tests, a_text_ends_at_its_first_nul);
    tcase_add_test(tests, texts_made_to_hurt_are_over_soon);
    tcase_add_test(tests, an_element_of_very_many_attributes_is_refused);
    tcase_add_loop_test(tests, files_of_microscopes_say_what_their_pages_are, 0,
                        COUNT(files));
    suite_add_tcase(suite, tests);
    return den_check_main(suite);
}
