/* Names of TIFF tags: TIFF 6.0, its technical notes, Exif 2.32, and what microscopes
 * write. */
#include <stddef.h>

#include "str.h"
#include "verify_walk.h"

static const struct {
    unsigned tag;
    const char *name;
} names[] = {
    {254, "NewSubfileType"},
    {255, "SubfileType"},
    {256, "ImageWidth"},
    {257, "ImageLength"},
    {258, "BitsPerSample"},
    {259, "Compression"},
    {262, "PhotometricInterpretation"},
    {263, "Threshholding"},
    {266, "FillOrder"},
    {269, "DocumentName"},
    {270, "ImageDescription"},
    {271, "Make"},
    {272, "Model"},
    {273, "StripOffsets"},
    {274, "Orientation"},
    {277, "SamplesPerPixel"},
    {278, "RowsPerStrip"},
    {279, "StripByteCounts"},
    {280, "MinSampleValue"},
    {281, "MaxSampleValue"},
    {282, "XResolution"},
    {283, "YResolution"},
    {284, "PlanarConfiguration"},
    {285, "PageName"},
    {286, "XPosition"},
    {287, "YPosition"},
    {288, "FreeOffsets"},
    {289, "FreeByteCounts"},
    {290, "GrayResponseUnit"},
    {291, "GrayResponseCurve"},
    {296, "ResolutionUnit"},
    {297, "PageNumber"},
    {301, "TransferFunction"},
    {305, "Software"},
    {306, "DateTime"},
    {315, "Artist"},
    {316, "HostComputer"},
    {317, "Predictor"},
    {318, "WhitePoint"},
    {319, "PrimaryChromaticities"},
    {320, "ColorMap"},
    {322, "TileWidth"},
    {323, "TileLength"},
    {324, "TileOffsets"},
    {325, "TileByteCounts"},
    {330, "SubIFDs"},
    {332, "InkSet"},
    {333, "InkNames"},
    {338, "ExtraSamples"},
    {339, "SampleFormat"},
    {340, "SMinSampleValue"},
    {341, "SMaxSampleValue"},
    {347, "JPEGTables"},
    {530, "YCbCrSubSampling"},
    {532, "ReferenceBlackWhite"},
    {700, "XMP"},
    {32995, "Matteing"},
    {32996, "DataType"},
    {32997, "ImageDepth"},
    {32998, "TileDepth"},
    {33432, "Copyright"},
    {33434, "ExposureTime"},
    {33437, "FNumber"},
    {33550, "ModelPixelScale"},
    {33628, "MetaMorph UIC1"},
    {33629, "MetaMorph UIC2"},
    {33630, "MetaMorph UIC3"},
    {33631, "MetaMorph UIC4"},
    {33723, "IPTC"},
    {33922, "ModelTiepoint"},
    {34118, "SEM metadata"},
    {34377, "Photoshop"},
    {34412, "Zeiss LSM"},
    {34665, "ExifIFD"},
    {34675, "ICCProfile"},
    {34853, "GPSIFD"},
    {36864, "ExifVersion"},
    {36867, "DateTimeOriginal"},
    {37500, "MakerNote"},
    {37510, "UserComment"},
    {40961, "ColorSpace"},
    {40965, "InteropIFD"},
    {42112, "GDAL metadata"},
    {42113, "GDAL nodata"},
    {50838, "IJMetadataByteCounts"},
    {50839, "IJMetadata"},
    {51123, "Micro-Manager metadata"},
};

void den_tiff_tag_label(char *to, size_t size, unsigned tag)
{
    const char *name = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].tag == tag)
            name = names[i].name;
    (void)den_str_format(to, size, "tag %u%s%s", tag, name[0] != '\0' ? " " : "", name);
}
