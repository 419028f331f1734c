/* Makes the seeds of the harnesses: small valid files of every kind.
 *   seeds DIR      (tests/fuzz/corpus)
 * Findings are kept beside them; this program only writes its own names again. */

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>

#include "fuzz.h"
#include "model.h"
#include "str.h"
#include "weights.h"

enum { WIDTH = 21, HEIGHT = 18, PATH_SIZE = 512, PIXELS_SIZE = 32 * 32 * 4 * 8 };

static const char *root;

static const char *path_of(const char *folder, const char *name)
{
    static char path[PATH_SIZE];
    promise(den_str_format(path, sizeof path, "%s/%s", root, folder));
    mkdir(path, 0777);
    promise(den_str_format(path, sizeof path, "%s/%s/%s", root, folder, name));
    return path;
}

static void save(const char *folder, const char *name, const void *data, size_t size)
{
    FILE *file = fopen(path_of(folder, name), "wb");
    promise(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

/* Any bytes that are no two the same in a row, and finite as float. */
static void fill(unsigned char *pixels, size_t size)
{
    for (size_t i = 0; i < size; i++)
        pixels[i] = (unsigned char)((i * 7 + i / 64) & 0x3f);
}

/* ---- TIFF ---- */

static const struct tiff {
    const char *name, *mode;
    uint16_t bits, format, samples, planar, compression, predictor;
    uint32_t tile, rows; /* tile side, or 0 and rows of a strip */
    uint16_t photometric, pages;
    const char *text;
} tiffs[] = {
    {"u8.tif", "wl", 8, 1, 1, 1, 1, 1, 0, 7, 1, 1, NULL},
    {"u16_be.tif", "wb", 16, 1, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"u16_lzw_pred.tif", "wl", 16, 1, 1, 1, COMPRESSION_LZW, 2, 0, 5, 1, 1, NULL},
    {"u16_zip_tiles_be.tif", "wb", 16, 1, 1, 1, COMPRESSION_ADOBE_DEFLATE, 2, 16, 0, 1, 1,
     NULL},
    {"u8_packbits.tif", "wl", 8, 1, 1, 1, COMPRESSION_PACKBITS, 1, 0, 4, 0, 1, NULL},
    {"f32_pred3.tif", "wl", 32, 3, 1, 1, COMPRESSION_ADOBE_DEFLATE, 3, 0, 6, 1, 1, NULL},
    {"f64.tif", "wl", 64, 3, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"f16.tif", "wl", 16, 3, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"i16.tif", "wl", 16, 2, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"i8_big.tif", "w8l", 8, 2, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"u32_big_be.tif", "w8b", 32, 1, 1, 1, COMPRESSION_LZW, 1, 16, 0, 1, 2, NULL},
    {"u12.tif", "wl", 12, 1, 1, 1, 1, 1, 0, 18, 1, 1, NULL},
    {"u12_lzw.tif", "wl", 12, 1, 1, 1, COMPRESSION_LZW, 1, 0, 3, 0, 1, NULL},
    {"rgb.tif", "wl", 8, 1, 3, 1, COMPRESSION_LZW, 2, 0, 6, 2, 1, NULL},
    {"rgb_planar.tif", "wl", 8, 1, 3, 2, COMPRESSION_ADOBE_DEFLATE, 1, 0, 6, 2, 1, NULL},
    {"rgba_tiles_planar.tif", "wl", 16, 1, 4, 2, 1, 1, 16, 0, 2, 1, NULL},
    {"zstd.tif", "wl", 16, 1, 1, 1, COMPRESSION_ZSTD, 2, 0, 6, 1, 1, NULL},
    {"bits1.tif", "wl", 1, 1, 1, 1, 1, 1, 0, 18, 0, 1, NULL},
    {"bits4.tif", "wl", 4, 1, 1, 1, COMPRESSION_LZW, 1, 0, 18, 1, 1, NULL},
    {"pages.tif", "wl", 16, 1, 1, 1, COMPRESSION_LZW, 1, 0, 6, 1, 4, NULL},
    {"imagej.tif", "wb", 8, 1, 1, 1, 1, 1, 0, 18, 1, 6,
     "ImageJ=1.53f\nimages=6\nchannels=2\nslices=3\nunit=micron\nspacing=0.5\n"},
    {"imagej_one.tif", "wb", 8, 1, 1, 1, 1, 1, 0, 18, 1, 1,
     "ImageJ=1.53f\nimages=1\nunit=nm\n"},
    {"ome.tif", "wl", 16, 1, 1, 1, 1, 1, 0, 18, 1, 4,
     "<OME UUID=\"u\"><Image><Pixels DimensionOrder=\"XYCZT\" SizeC=\"2\" SizeZ=\"1\" "
     "SizeT=\"2\" PhysicalSizeX=\"0.1\" PhysicalSizeY=\"0.1\"><Channel Name=\"a\"/>"
     "<Channel/><TiffData/></Pixels></Image></OME>"},
};

static void write_parts(TIFF *tif, const struct tiff *t, unsigned char *pixels)
{
    if (t->tile > 0) {
        for (uint32_t i = 0; i < TIFFNumberOfTiles(tif); i++) {
            fill(pixels, PIXELS_SIZE);
            promise(TIFFWriteEncodedTile(tif, i, pixels, TIFFTileSize(tif)) >= 0);
        }
        return;
    }
    uint32_t per_plane = (HEIGHT + t->rows - 1) / t->rows;
    for (uint32_t i = 0; i < TIFFNumberOfStrips(tif); i++) {
        uint32_t left = HEIGHT - i % per_plane * t->rows;
        tmsize_t size = TIFFVStripSize(tif, left < t->rows ? left : t->rows);
        fill(pixels, PIXELS_SIZE);
        promise(TIFFWriteEncodedStrip(tif, i, pixels, size) >= 0);
    }
}

static void make_tiff(const char *folder, const struct tiff *t)
{
    static unsigned char pixels[PIXELS_SIZE];
    TIFF *tif = TIFFOpen(path_of(folder, t->name), t->mode);
    promise(tif != NULL);
    for (uint16_t page = 0; page < t->pages; page++) {
        TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, WIDTH);
        TIFFSetField(tif, TIFFTAG_IMAGELENGTH, HEIGHT);
        TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, t->bits);
        TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, t->format);
        TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, t->samples);
        TIFFSetField(tif, TIFFTAG_PLANARCONFIG, t->planar);
        TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, t->photometric);
        TIFFSetField(tif, TIFFTAG_COMPRESSION, t->compression);
        if (t->samples == 4)
            TIFFSetField(tif, TIFFTAG_EXTRASAMPLES, 1,
                         (uint16_t[]){EXTRASAMPLE_UNASSALPHA});
        if (t->predictor > 1)
            TIFFSetField(tif, TIFFTAG_PREDICTOR, t->predictor);
        if (t->tile > 0) {
            TIFFSetField(tif, TIFFTAG_TILEWIDTH, t->tile);
            TIFFSetField(tif, TIFFTAG_TILELENGTH, t->tile);
        } else {
            TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, t->rows);
        }
        if (page == 0 && t->text != NULL)
            TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, t->text);
        if (page == 0)
            TIFFSetField(tif, TIFFTAG_XRESOLUTION, 4.0);
        write_parts(tif, t, pixels);
        promise(TIFFWriteDirectory(tif) == 1);
    }
    TIFFClose(tif);
}

/* ---- PNG ---- */

static void make_png(const char *folder, const char *name, int bits, int colour,
                     int interlace)
{
    static unsigned char pixels[PIXELS_SIZE];
    static png_color palette[4] = {{0, 0, 0}, {80, 80, 90}, {160, 0, 7}, {255, 255, 255}};
    FILE *file = fopen(path_of(folder, name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    promise(file != NULL && info != NULL);
    if (setjmp(png_jmpbuf(png)) != 0)
        abort();
    png_init_io(png, file);
    png_set_IHDR(png, info, WIDTH, HEIGHT, bits, colour, interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 4);
    if (bits == 8 && colour == PNG_COLOR_TYPE_GRAY) {
        png_set_text(png, info,
                     &(png_text){.compression = PNG_TEXT_COMPRESSION_NONE,
                                 .key = (char[]){"Title"},
                                 .text = (char[]){"a seed"},
                                 .text_length = 6},
                     1);
        png_set_pHYs(png, info, 4000000, 4000000, PNG_RESOLUTION_METER);
    }
    png_write_info(png, info);
    fill(pixels, sizeof pixels);
    for (size_t i = 0; colour == PNG_COLOR_TYPE_PALETTE && i < sizeof pixels; i++)
        pixels[i] &= bits == 8 ? 3 : 0x1b;
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (size_t y = 0; y < HEIGHT; y++)
            png_write_row(png, pixels + y * 64);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    promise(fclose(file) == 0);
}

static void make_pngs(const char *folder)
{
    static const struct {
        const char *name;
        int bits, colour;
    } kinds[] = {
        {"gray1", 1, PNG_COLOR_TYPE_GRAY},       {"gray4", 4, PNG_COLOR_TYPE_GRAY},
        {"gray8", 8, PNG_COLOR_TYPE_GRAY},       {"gray16", 16, PNG_COLOR_TYPE_GRAY},
        {"rgb8", 8, PNG_COLOR_TYPE_RGB},         {"rgb16", 16, PNG_COLOR_TYPE_RGB},
        {"palette2", 2, PNG_COLOR_TYPE_PALETTE}, {"palette8", 8, PNG_COLOR_TYPE_PALETTE},
        {"ga8", 8, PNG_COLOR_TYPE_GRAY_ALPHA},   {"rgba16", 16, PNG_COLOR_TYPE_RGB_ALPHA},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int interlace = 0; interlace < 2; interlace++) {
            char name[64];
            promise(den_str_format(name, sizeof name, "%s%s.png", kinds[i].name,
                                   interlace ? "_adam7" : ""));
            make_png(folder, name, kinds[i].bits, kinds[i].colour, interlace);
        }
}

/* ---- texts and weights ---- */

static void make_texts(void)
{
    static const struct {
        const char *name;
        unsigned char pages;
        const char *text;
    } texts[] = {
        {"imagej_stack", 6,
         "ImageJ=1.53f\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n"
         "unit=\\u00B5m\nspacing=-0.4\nzunit=nm\n"},
        {"imagej_plain", 4, "ImageJ=1.53c\nimages=4\nunit=inch\r\n"},
        {"ome_plain", 6,
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- x --><OME UUID=\"urn:a\" "
         "xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\"><Image ID=\"I\">"
         "<Pixels DimensionOrder=\"XYCZT\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"1\" "
         "PhysicalSizeX=\"65\" PhysicalSizeXUnit=\"nm\" PhysicalSizeY=\"0.065\" "
         "PhysicalSizeZ=\"1e-3\" PhysicalSizeZUnit=\"mm\">"
         "<Channel Name=\"DAPI &amp; &#181;\" SamplesPerPixel=\"1\"/><Channel/>"
         "<TiffData IFD=\"0\"/><TiffData IFD=\"1\" FirstC=\"1\" PlaneCount=\"5\">"
         "<UUID FileName=\"a\">urn:a</UUID></TiffData></Pixels></Image></OME>"},
        {"ome_rgb", 2,
         "<ome:OME xmlns:ome='x'><ome:Image><ome:Pixels DimensionOrder='XYTZC' "
         "SizeC='3' SizeZ='1' SizeT='2'><ome:Channel SamplesPerPixel='3'/>"
         "</ome:Pixels></ome:Image></ome:OME>"},
        {"ome_doctype", 1,
         "<!DOCTYPE OME [<!ENTITY a \"b\"><!ENTITY c SYSTEM \"file:///dev/null\">]>"
         "<OME>&a;&c;<![CDATA[x]]><?p q?></OME>"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char data[2048] = {(char)texts[i].pages, 0};
        size_t length = strlen(texts[i].text);
        memcpy(data + 2, texts[i].text, length);
        save("axes", texts[i].name, data, length + 2);
    }
}

static void make_weights(void)
{
    struct den_tensor_writer *writer = NULL;
    struct den_err err = DEN_ERR_INIT;
    const float floats[6] = {0.5f, -1.0f, 3e-40f, 7.0f, -0.0f, 1e38f};
    const int64_t ints[2] = {INT64_MIN, 42};
    promise(
        den_tensor_writer_new(&writer, &err) &&
        den_tensor_writer_meta(writer, "net", "unet \"\\\n\xc2\xb5", &err) &&
        den_tensor_writer_add(writer, "conv.weight", DEN_TENSOR_F32, (size_t[]){1, 2, 3},
                              3, floats, &err) &&
        den_tensor_writer_add(writer, "step", DEN_TENSOR_I64, (size_t[]){2}, 1, ints,
                              &err) &&
        den_tensor_writer_add(writer, "scalar", DEN_TENSOR_F32, NULL, 0, floats, &err) &&
        den_tensor_writer_save(writer, path_of("weights", "three.safetensors"), &err));
    den_tensor_writer_free(writer);
    static const char empty[] = "\2\0\0\0\0\0\0\0{}";
    save("weights", "empty.safetensors", empty, sizeof empty - 1);
    static const char escapes[] =
        "\x58\0\0\0\0\0\0\0{\"__metadata__\":{\"a\\u00e9\\ud83d\\ude00\":\"\\n\\/"
        "\"},\"t\":"
        "{\"shape\":[0,3],\"data_offsets\":[0,0],\"dtype\":\"F32\"}}  ";
    save("weights", "escapes.safetensors", escapes, sizeof escapes - 1);
}

/* Untrained; a net of more levels would be too large for a seed. */
static void make_models(void)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_norm norm = {.kind = "mean_std", .shift = 100.0, .scale = 20.0};
    for (size_t i = 0; den_nets[i] != NULL; i++) {
        const struct den_net_options options = {
            .channels_in = 1, .channels_out = 1, .width = 1, .depth = 1, .kernel = 3};
        struct den_model *model = NULL;
        char name[64];
        if (den_nets[i]->depth_min > 1)
            continue;
        promise(den_str_format(name, sizeof name, "%s.safetensors", den_nets[i]->name));
        promise(den_model_new(den_backend_default(), den_nets[i], &options, &norm, &model,
                              &err) &&
                den_model_save(model, NULL, 0, path_of("model", name), &err));
        den_model_free(model);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: seeds DIR\n", stderr);
        return 2;
    }
    root = argv[1];
    for (size_t i = 0; i < sizeof tiffs / sizeof *tiffs; i++) {
        make_tiff("tiff", &tiffs[i]);
        make_tiff("rewrite", &tiffs[i]);
        make_tiff("verify", &tiffs[i]);
    }
    make_pngs("png");
    make_pngs("rewrite");
    make_pngs("verify");
    make_texts();
    make_weights();
    make_models();
    return 0;
}
