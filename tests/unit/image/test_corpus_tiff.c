/* The corpora of real and of reference TIFF files: every file is in one of two tables, is
 * read value for value, or is refused by the page and tag at fault. */

#include <dirent.h>

#include "image_files.h"

/* What is read.  Hashes are FNV-1a of the planes as they are in memory (little endian);
 * they were compared with the arrays of tifffile 2023.2.3, value by value.  The same
 * picture in several encodings (shapes, hopper, flower, gradient) has one hash. */
static const struct {
    const char *file;
    uint32_t width, height, pages, channels;
    enum den_dtype dtype;
    uint32_t bits;
    uint64_t hash;
} files[] = {
    {"neubias_tiff/xy_12bit__saturated_plant.tif", 512, 512, 1, 1, DEN_U16, 16,
     0x008847ee3f51da30},
    {"neubias_tiff/xy_16bit__h2b.tif", 60, 42, 1, 1, DEN_U16, 16, 0xd6741f55c7bcafea},
    {"neubias_tiff/xy_16bit__nuclei_high_dynamic_range.tif", 149, 147, 1, 1, DEN_U16, 16,
     0xfb226b4c0e045408},
    {"neubias_tiff/xy_16bit__nuclei_high_dynamic_range_with_offset.tif", 149, 147, 1, 1,
     DEN_U16, 16, 0x2a11f529185fe557},
    {"neubias_tiff/xy_16bit__rat_hippocampal_neuron.tif", 512, 512, 1, 1, DEN_U16, 16,
     0x02bdfe0180d4fb56},
    {"neubias_tiff/xy_8bit__nuclei_noisy_large.tif", 200, 179, 1, 1, DEN_U8, 8,
     0x79efaad106b4920d},
    {"neubias_tiff/xy_8bit__nuclei_noisy_small.tif", 202, 220, 1, 1, DEN_U8, 8,
     0x7081c8e5d9d004e2},
    {"neubias_tiff/xy_8bit__nuclei_very_noisy.tif", 147, 135, 1, 1, DEN_U8, 8,
     0x246f3f76fe088a02},
    {"neubias_tiff/xy_8bit_binary__one_foreground_pixel.tif", 19, 18, 1, 1, DEN_U8, 8,
     0x2ccc964ddbb38072},
    {"neubias_tiff/xy_calibrated_16bit__cells_eres_noisy.tif", 512, 512, 1, 1, DEN_U16,
     16, 0xed232462d37574f8},
    {"neubias_tiff/xy_float__h2b_bg_corr.tif", 60, 42, 1, 1, DEN_F32, 32,
     0x916c62c410a5b8f0},
    {"neubias_tiff/xy_rgb__cells.tif", 280, 257, 1, 3, DEN_U8, 8, 0x27a5906f0e46a2ee},
    {"neubias_tiff/xyc_16bit__membranes_nuclei_hot_pixel.tif", 475, 354, 2, 1, DEN_U16,
     16, 0x03f530ccf9d6301c},
    {"neubias_tiff/xyc_16bit__nuclei_golgi.tif", 204, 220, 2, 1, DEN_U16, 16,
     0x1371944085058c5f},
    {"neubias_tiff/xyt_8bit__em_fly_eye.tif", 400, 322, 2, 1, DEN_U8, 8,
     0x7ccce568008db3fb},
    {"neubias_tiff/xyz_8bit__mitotic_plate_calibrated.tif", 263, 263, 6, 1, DEN_U8, 8,
     0xf12a806678a7954d},
    {"neubias_tiff/xyzc_16bit__spots.tif", 89, 88, 34, 1, DEN_U16, 16,
     0xcb88b43f0c44d53b},
    {"ome_tiff/multi-channel.ome.tif", 439, 167, 3, 1, DEN_I8, 8, 0x92aba6e0a6fa0bd8},
    {"ome_tiff/single-channel.ome.tif", 439, 167, 1, 1, DEN_I8, 8, 0x1f697087cc2847f8},
    {"ome_tiff/time-series.ome.tif", 439, 167, 7, 1, DEN_I8, 8, 0x76a5808b8c23354a},
    {"ome_tiff/z-series.ome.tif", 439, 167, 5, 1, DEN_I8, 8, 0xf151ec25418a76d7},
    {"ome_tiff/master/multifile-Z1.ome.tiff", 18, 24, 1, 1, DEN_U8, 8,
     0x10530fe651c03912},
    {"ome_tiff/master/multifile-Z2.ome.tiff", 18, 24, 1, 1, DEN_U8, 8,
     0xa3c7b820141a95f8},
    {"ome_tiff/master/multifile-Z3.ome.tiff", 18, 24, 1, 1, DEN_U8, 8,
     0xc48af9e00af530ad},
    {"ome_tiff/master/multifile-Z4.ome.tiff", 18, 24, 1, 1, DEN_U8, 8,
     0xf9972839f5d2321b},
    {"ome_tiff/master/multifile-Z5.ome.tiff", 18, 24, 1, 1, DEN_U8, 8,
     0x70b63c2eb6b37491},
    {"tiff_formats/imagetiff__12bit.cropped.tiff", 64, 64, 1, 1, DEN_U16, 12,
     0xe291d75915b482c6},
    {"tiff_formats/imagetiff__BigTIFFLong.tif", 64, 64, 1, 3, DEN_U8, 8,
     0x77481fde94106407},
    {"tiff_formats/imagetiff__BigTIFFMotorola.tif", 64, 64, 1, 3, DEN_U8, 8,
     0x77481fde94106407},
    {"tiff_formats/imagetiff__extra_bits_gray_8b.tiff", 8, 8, 1, 2, DEN_U8, 8,
     0x6132197866e311c3},
    {"tiff_formats/imagetiff__extra_bits_rgb_8b.tiff", 8, 8, 1, 4, DEN_U8, 8,
     0x0dab021b2f4597c3},
    {"tiff_formats/imagetiff__gradient-1c-32b-float.tiff", 256, 1, 1, 1, DEN_F32, 32,
     0xe6d352952f6b95d0},
    {"tiff_formats/imagetiff__gradient-1c-32b.tiff", 256, 1, 1, 1, DEN_U32, 32,
     0xfd6da91c4bf34f44},
    {"tiff_formats/imagetiff__gradient-1c-64b-float.tiff", 256, 1, 1, 1, DEN_F64, 64,
     0x45897e4af1fb8f2b},
    {"tiff_formats/imagetiff__gradient-3c-32b-float.tiff", 256, 1, 1, 3, DEN_F32, 32,
     0x6a7c5f08d2037aa5},
    {"tiff_formats/imagetiff__gradient-3c-32b.tiff", 256, 1, 1, 3, DEN_U32, 32,
     0xc1e1bcc7b0b146df},
    {"tiff_formats/imagetiff__int16.tif", 64, 64, 1, 1, DEN_I16, 16, 0x4d2bea0af91f61e4},
    {"tiff_formats/imagetiff__int16_rgb.tif", 64, 64, 1, 3, DEN_I16, 16,
     0xcb0c019a11ff0be0},
    {"tiff_formats/imagetiff__int16_zstd.tif", 64, 64, 1, 1, DEN_I16, 16,
     0x4d2bea0af91f61e4},
    {"tiff_formats/imagetiff__int8_rgb.tif", 64, 64, 1, 3, DEN_I8, 8, 0x99cac5bb87902f0d},
    {"tiff_formats/imagetiff__issue_69_lzw.tiff", 45, 45, 1, 1, DEN_U16, 16,
     0x0dfd1144acf8c992},
    {"tiff_formats/imagetiff__minisblack-1c-3b.tiff", 8, 2, 1, 1, DEN_U8, 3,
     0x019f4690eface07b},
    {"tiff_formats/imagetiff__minisblack-1c-5b.tiff", 8, 2, 1, 1, DEN_U8, 5,
     0x077cc183bb2913eb},
    {"tiff_formats/imagetiff__minisblack-1c-7b.tiff", 8, 2, 1, 1, DEN_U8, 7,
     0xba88833fe10c6750},
    {"tiff_formats/imagetiff__minisblack-1c-i16b.tiff", 157, 151, 1, 1, DEN_I16, 16,
     0x0089ad11dda82e85},
    {"tiff_formats/imagetiff__minisblack-1c-i8b.tiff", 157, 151, 1, 1, DEN_I8, 8,
     0x6b8d9b71e03c32aa},
    {"tiff_formats/imagetiff__miniswhite-1c-12b.tiff", 4, 2, 1, 1, DEN_U16, 12,
     0x1eaae543a9f439a8},
    {"tiff_formats/imagetiff__miniswhite-1c-6b.tiff", 8, 2, 1, 1, DEN_U8, 6,
     0xd8de9a2e4ba027a3},
    {"tiff_formats/imagetiff__predictor-3-rgb-f32.tif", 200, 200, 1, 3, DEN_F32, 32,
     0x8abcb211c17f9013},
    {"tiff_formats/imagetiff__random-fp16.tiff", 16, 16, 1, 1, DEN_F16, 16,
     0xe9373ef0e0a0104f},
    {"tiff_formats/imagetiff__single-black-fp16.tiff", 256, 256, 1, 1, DEN_F16, 16,
     0x268808947b0594f4},
    {"tiff_formats/imagetiff__tiled-gray-i1.tif", 37, 51, 1, 1, DEN_U8, 1,
     0xa547f44fe2ceffa3},
    {"tiff_formats/imagetiff__white-fp16-pred2.tiff", 256, 256, 1, 1, DEN_F16, 16,
     0x5e512d7597ed7567},
    {"tiff_formats/imagetiff__white-fp16-pred3.tiff", 256, 256, 1, 1, DEN_F16, 16,
     0x5e512d7597ed7567},
    {"tiff_formats/libtiff__32bpp-None.tiff", 162, 20, 1, 4, DEN_U8, 8,
     0x782e61f006972ace},
    {"tiff_formats/libtiff__custom_dir_EXIF_GPS.tiff", 1, 1, 1, 3, DEN_U8, 8,
     0xaa494e4f3b6f8d77},
    {"tiff_formats/libtiff__deflate-last-strip-extra-data.tiff", 500, 500, 1, 1, DEN_U8,
     8, 0x60be442bd014241b},
    {"tiff_formats/libtiff__lzw-single-strip.tiff", 7795, 3122, 1, 1, DEN_U8, 1,
     0x4b96974efaf44128},
    {"tiff_formats/libtiff__minisblack-1c-8b.tiff", 157, 151, 1, 1, DEN_U8, 8,
     0xe14f4c0278b90d9a},
    {"tiff_formats/libtiff__minisblack-2c-8b-alpha.tiff", 64, 64, 1, 2, DEN_U8, 8,
     0xcd45c7a0695dd012},
    {"tiff_formats/libtiff__miniswhite-1c-1b.tiff", 157, 151, 1, 1, DEN_U8, 1,
     0x52e1487b3abdd4b4},
    {"tiff_formats/libtiff__palette-1c-4b.tiff", 157, 151, 1, 1, DEN_U8, 4,
     0x184cbcf255c916be},
    {"tiff_formats/libtiff__rgb-3c-16b.tiff", 157, 151, 1, 3, DEN_U16, 16,
     0x7c11429802a81ccf},
    {"tiff_formats/libtiff__rgb-3c-8b.tiff", 157, 151, 1, 3, DEN_U8, 8,
     0x48bed5ef813dade9},
    {"tiff_formats/libtiff__test_float64_predictor2_be_lzw.tif", 20, 20, 1, 1, DEN_F64,
     64, 0x8bf3fbc653fe55c6},
    {"tiff_formats/libtiff__test_float64_predictor2_le_lzw.tif", 20, 20, 1, 1, DEN_F64,
     64, 0x8bf3fbc653fe55c6},
    {"tiff_formats/libtiff__test_two_ifds.tif", 1, 1, 2, 1, DEN_U8, 8,
     0x9bc06c00c66c8609},
    {"tiff_formats/libtiff__tiff_with_subifd_chain.tif", 1024, 512, 2, 1, DEN_U8, 8,
     0x95603d187afd0383},
    {"tiff_formats/libtiffpic__jim___ah.tif", 664, 813, 1, 1, DEN_U8, 1,
     0xcb26ca98dc01823a},
    {"tiff_formats/libtiffpic__ladoga.tif", 158, 118, 1, 1, DEN_U16, 16,
     0xbfceff6d830921fa},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-02.tif", 73, 43, 1, 1, DEN_U8, 2,
     0x0eeae5f43b838d46},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-04.tif", 73, 43, 1, 1, DEN_U8, 4,
     0x1dc834356c5a3d7f},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-08.tif", 73, 43, 1, 1, DEN_U8, 8,
     0x0ef9bf142d140a73},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-10.tif", 73, 43, 1, 1, DEN_U16, 10,
     0x1661f8e232709279},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-12.tif", 73, 43, 1, 1, DEN_U16, 12,
     0xed112565f92de7d3},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-14.tif", 73, 43, 1, 1, DEN_U16, 14,
     0x8fdd513846df9f99},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-24.tif", 73, 43, 1, 1, DEN_U32, 24,
     0xa2db469d58d2378f},
    {"tiff_formats/libtiffpic_depth__flower-minisblack-32.tif", 73, 43, 1, 1, DEN_U32, 32,
     0x455a12c710d65999},
    {"tiff_formats/libtiffpic_depth__flower-palette-04.tif", 73, 43, 1, 1, DEN_U8, 4,
     0x37bb25f2b8a483c5},
    {"tiff_formats/libtiffpic_depth__flower-palette-08.tif", 73, 43, 1, 1, DEN_U8, 8,
     0xfcacdc2976ac2b6d},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-04.tif", 73, 43, 1, 3, DEN_U8, 4,
     0xd605625d2d8c258a},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-10.tif", 73, 43, 1, 3, DEN_U16, 10,
     0xb7e900c6f69cd143},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-12.tif", 73, 43, 1, 3, DEN_U16, 12,
     0x677425b03a794414},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-14.tif", 73, 43, 1, 3, DEN_U16, 14,
     0x259971fca7ddb585},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-16.tif", 73, 43, 1, 3, DEN_U16, 16,
     0x1fcf7ad426b9c580},
    {"tiff_formats/libtiffpic_depth__flower-rgb-contig-24.tif", 73, 43, 1, 3, DEN_U32, 24,
     0x534fa0001a69c859},
    {"tiff_formats/libtiffpic_depth__flower-rgb-planar-02.tif", 73, 43, 1, 3, DEN_U8, 2,
     0x7a687322c5cd14ce},
    {"tiff_formats/libtiffpic_depth__flower-rgb-planar-08.tif", 73, 43, 1, 3, DEN_U8, 8,
     0x7704b166673b9c5b},
    {"tiff_formats/libtiffpic_depth__flower-rgb-planar-14.tif", 73, 43, 1, 3, DEN_U16, 14,
     0x259971fca7ddb585},
    {"tiff_formats/libtiffpic_depth__flower-rgb-planar-16.tif", 73, 43, 1, 3, DEN_U16, 16,
     0x1fcf7ad426b9c580},
    {"tiff_formats/libtiffpic_depth__flower-rgb-planar-32.tif", 73, 43, 1, 3, DEN_U32, 32,
     0xb58775f1aae7ca2d},
    {"tiff_formats/pillow__hopper2I.tif", 128, 128, 1, 1, DEN_U8, 2, 0xa4d105f0ed1cf7a4},
    {"tiff_formats/pillow__hopper2IR.tif", 128, 128, 1, 1, DEN_U8, 2, 0xa4d105f0ed1cf7a4},
    {"tiff_formats/pillow__hopper4.tif", 128, 128, 1, 1, DEN_U8, 4, 0x3dbadbaadeb1c160},
    {"tiff_formats/pillow__hopper4I.tif", 128, 128, 1, 1, DEN_U8, 4, 0x3dbadbaadeb1c160},
    {"tiff_formats/pillow__hopper4R.tif", 128, 128, 1, 1, DEN_U8, 4, 0x3dbadbaadeb1c160},
    {"tiff_formats/tlnagy__shapes_deflate.tif", 128, 72, 1, 3, DEN_U8, 8,
     0x5a144093eb5b6c0d},
    {"tiff_formats/tlnagy__shapes_lzw_12bps.tif", 128, 72, 1, 3, DEN_U16, 12,
     0xd30687b3427c60c1},
    {"tiff_formats/tlnagy__shapes_lzw_14bps.tif", 128, 72, 1, 3, DEN_U16, 14,
     0xc2f6a293c77c1812},
    {"tiff_formats/tlnagy__shapes_lzw_palette.tif", 128, 72, 1, 1, DEN_U8, 8,
     0xfa5bc2c428c38b58},
    {"tiff_formats/tlnagy__shapes_lzw_planar_10bps.tif", 128, 72, 1, 3, DEN_U16, 10,
     0x1c87110efd828207},
    {"tiff_formats/tlnagy__shapes_lzw_predictor3.tif", 128, 72, 1, 3, DEN_F32, 32,
     0xc58d19afe1f5c85d},
    {"tiff_formats/tlnagy__shapes_lzw_tiled.tif", 128, 72, 1, 3, DEN_U8, 8,
     0x5a144093eb5b6c0d},
    {"tiff_formats/tlnagy__shapes_lzw_tiled_planar.tif", 128, 72, 1, 3, DEN_U8, 8,
     0x5a144093eb5b6c0d},
    {"tiff_formats/tlnagy__shapes_tiled_multi.tif", 128, 72, 3, 3, DEN_U8, 8,
     0xd5f62ca0d390bb59},
    {"tiff_formats/tlnagy__shapes_uncompressed.tif", 128, 72, 1, 3, DEN_U8, 8,
     0x5a144093eb5b6c0d},
    {"tiff_formats/tlnagy__shapes_uncompressed_half.tif", 64, 36, 1, 3, DEN_U8, 8,
     0xcb7f2e1b2db1fd58},
    {"tiff_formats/tlnagy__shapes_uncompressed_tiled_planar.tif", 128, 72, 1, 3, DEN_U8,
     8, 0x5a144093eb5b6c0d},
};

static const struct {
    const char *file, *words;
} refused[] = {
    {"tiff_formats/imagetiff__cmyk-3c-32b-float.tiff",
     "page 0 of the TIFF has CMYK pixels (photometric interpretation 5)"},
    {"tiff_formats/imagetiff__fax4.tiff", "page 0 of the TIFF has compression 4"},
    {"tiff_formats/imagetiff__gradient-1c-64b.tiff",
     "page 0 of the TIFF has 64-bit unsigned pixels (sample format 1)"},
    {"tiff_formats/imagetiff__gradient-3c-64b.tiff",
     "page 0 of the TIFF has 64-bit unsigned pixels (sample format 1)"},
    {"tiff_formats/imagetiff__tiled-jpeg-ycbcr.tif",
     "page 0 of the TIFF has compression 7"},
    {"tiff_formats/libtiff__logluv-3c-16b.tiff",
     "page 0 of the TIFF has compression 34676"},
    {"tiff_formats/libtiff__ojpeg_chewey_subsamp21_multi_strip.tiff",
     "page 0 of the TIFF has compression 6"},
    {"tiff_formats/libtiff__quad-tile.jpg.tiff", "page 0 of the TIFF has compression 7"},
    {"tiff_formats/libtiff__test_ifd_loop_to_first.tif",
     "the TIFF is damaged: its pages repeat in a loop"},
    {"tiff_formats/libtiff__test_ifd_loop_to_self.tif",
     "the TIFF is damaged: its pages repeat in a loop"},
    {"tiff_formats/libtiff__testfax3_bug54_1dnoEOL.tif",
     "page 0 of the TIFF has compression 3"},
    {"tiff_formats/libtiff__testfax3_bug_513.tiff",
     "page 0 of the TIFF has compression 3"},
    {"tiff_formats/libtiff__webp_lossless_rgba_alpha_fully_opaque.tif",
     "page 0 of the TIFF has compression 50001"},
    {"tiff_formats/libtiffpic__quad-jpeg.tif", "page 0 of the TIFF has compression 7"},
    {"tiff_formats/libtiffpic__smallliz.tif", "page 0 of the TIFF has compression 6"},
    {"tiff_formats/libtiffpic__ycbcr-cat.tif",
     "page 0 of the TIFF has YCbCr pixels (photometric interpretation 6)"},
    {"tiff_formats/libtiffpic_depth__flower-separated-contig-16.tif",
     "page 0 of the TIFF has CMYK pixels (photometric interpretation 5)"},
    {"tiff_formats/pillow__tiff_strip_cmyk_jpeg.tif",
     "page 0 of the TIFF has compression 7"},
    {"tiff_formats/pillow__tiff_strip_ycbcr_jpeg_2x2_sampling.tif",
     "page 0 of the TIFF has compression 7"},
    {"tiff_formats/pillow__tiff_tiled_cmyk_jpeg.tif",
     "page 0 of the TIFF has compression 7"},
    {"tiff_formats/tlnagy__shapes_jpg.tif", "page 0 of the TIFF has compression 7"},
    {"tiff_formats/tlnagy__shapes_multi_color.tif",
     "page 1 of the TIFF is 128 x 72 uint8"},
};
enum { FILES = sizeof files / sizeof *files, REFUSED = sizeof refused / sizeof *refused };

static const char *corpus_path(const char *root, const char *file)
{
    static char path[1024];
    ck_assert(den_str_format(path, sizeof path, "%s/%s", root, file));
    return path;
}

static uint64_t fnv(uint64_t hash, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t hash_of_pages(struct den_reader *reader, const char *file)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_image_info *info = den_reader_info(reader);
    size_t bytes = den_image_page_bytes(info);
    uint64_t hash = UINT64_C(1469598103934665603);
    unsigned char *pixels = den_calloc(bytes, 1);
    for (uint32_t page = 0; page < info->pages; page++) {
        ck_assert_msg(den_reader_page(reader, page, pixels, &err), "%s: %s", file,
                      err.text);
        hash = fnv(hash, pixels, bytes);
    }
    den_free(pixels);
    return hash;
}

START_TEST(a_readable_file_gives_its_values)
{
    need_test_data(root);
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    const char *file = files[_i].file;
    ck_assert_msg(den_reader_open(corpus_path(root, file), NULL, &reader, &err), "%s: %s",
                  file, err.text);
    const struct den_image_info *info = den_reader_info(reader);
    ck_assert_msg(info->width == files[_i].width && info->height == files[_i].height &&
                      info->pages == files[_i].pages &&
                      info->channels == files[_i].channels &&
                      info->dtype == files[_i].dtype && info->bits == files[_i].bits,
                  "%s is %u x %u, %u pages of %u channels, %s of %u bits", file,
                  info->width, info->height, info->pages, info->channels,
                  den_dtype_name(info->dtype), info->bits);
    uint64_t hash = hash_of_pages(reader, file);
    ck_assert_msg(hash == files[_i].hash, "%s has values of hash %llx", file,
                  (unsigned long long)hash);
    den_reader_close(reader);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(any_other_file_is_refused_by_page_and_tag)
{
    need_test_data(root);
    struct den_image_info info;
    for (size_t i = 0; i < REFUSED; i++) {
        struct den_err err = DEN_ERR_INIT;
        ck_assert_msg(
            !den_image_verify(corpus_path(root, refused[i].file), NULL, &info, &err),
            "%s is read", refused[i].file);
        ck_assert_int_eq((int)err.code, DEN_E_UNPROCESSABLE);
        ck_assert_msg(strstr(err.text, refused[i].words) == err.text, "%s: %s",
                      refused[i].file, err.text);
        ck_assert_uint_eq(den_mem_live(), 0);
    }
}
END_TEST

static bool is_listed(const char *file)
{
    for (size_t i = 0; i < FILES; i++)
        if (strcmp(files[i].file, file) == 0)
            return true;
    for (size_t i = 0; i < REFUSED; i++)
        if (strcmp(refused[i].file, file) == 0)
            return true;
    return false;
}

START_TEST(no_file_of_the_folders_is_without_a_verdict)
{
    static const char *const folders[] = {"neubias_tiff", "ome_tiff", "ome_tiff/master",
                                          "tiff_formats"};
    need_test_data(root);
    size_t found = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        DIR *dir = opendir(corpus_path(root, folders[i]));
        struct dirent *entry;
        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir)) != NULL) {
            char file[512];
            ck_assert(
                den_str_format(file, sizeof file, "%s/%s", folders[i], entry->d_name));
            if (strstr(entry->d_name, ".tif") == NULL)
                continue;
            ck_assert_msg(is_listed(file), "%s is not listed", file);
            found++;
        }
        closedir(dir);
    }
    printf("corpora: %zu TIFF files, %d of them read\n", found, (int)FILES);
    ck_assert_uint_eq(found, FILES + REFUSED);
}
END_TEST

/* Opacity, sizes and axes as the programs wrote them. */
START_TEST(what_a_file_says_of_its_pixels_is_kept)
{
    static const struct {
        const char *file, *source;
        uint32_t t, z, c;
        double um;
        bool alpha;
    } cases[] = {
        {"neubias_tiff/xy_12bit__saturated_plant.tif", "imagej", 1, 1, 1, 2.48592, false},
        {"neubias_tiff/xyc_16bit__nuclei_golgi.tif", "imagej", 1, 1, 2, 0.515752, false},
        {"neubias_tiff/xyt_8bit__em_fly_eye.tif", "imagej", 2, 1, 1, 0, false},
        {"neubias_tiff/xyzc_16bit__spots.tif", "imagej", 1, 17, 2, 0.0941344, false},
        {"ome_tiff/multi-channel.ome.tif", "ome", 1, 1, 3, 0, false},
        {"ome_tiff/time-series.ome.tif", "ome", 7, 1, 1, 0, false},
        {"ome_tiff/z-series.ome.tif", "ome", 1, 5, 1, 0, false},
        {"ome_tiff/master/multifile-Z1.ome.tiff", "", 1, 1, 1, 1, false},
        {"format_variants/u16_imagej_stack5.tif", "imagej", 1, 1, 5, 0, false},
        {"tiff_formats/libtiff__lzw-single-strip.tiff", "", 1, 1, 1, 63.5, false},
        {"tiff_formats/libtiff__32bpp-None.tiff", "", 1, 1, 1, 0, true},
        {"tiff_formats/libtiff__minisblack-2c-8b-alpha.tiff", "", 1, 1, 1, 0, true},
        {"tiff_formats/imagetiff__extra_bits_rgb_8b.tiff", "", 1, 1, 1, 0, false},
    };
    need_test_data(root);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_reader *reader = NULL;
        must(den_reader_open(corpus_path(root, cases[i].file), NULL, &reader, &err));
        const struct den_image_info *info = den_reader_info(reader);
        ck_assert_str_eq(info->axes.source, cases[i].source);
        ck_assert_msg(info->axes.t == cases[i].t && info->axes.z == cases[i].z &&
                          info->axes.c == cases[i].c && info->alpha == cases[i].alpha,
                      "%s: t %u, z %u, c %u", cases[i].file, info->axes.t, info->axes.z,
                      info->axes.c);
        close_to(info->pixel_size_um, cases[i].um, 1e-5);
        den_reader_close(reader);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("TIFF corpora");
    TCase *real = tcase_create("real");
    tcase_set_timeout(real, 60);
    tcase_add_loop_test(real, a_readable_file_gives_its_values, 0, FILES);
    tcase_add_test(real, any_other_file_is_refused_by_page_and_tag);
    tcase_add_test(real, no_file_of_the_folders_is_without_a_verdict);
    tcase_add_test(real, what_a_file_says_of_its_pixels_is_kept);
    suite_add_tcase(suite, real);
    return den_check_main(suite);
}
