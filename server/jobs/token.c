/* The text of an access token, and the words around it. */

#include "accounts.h"

#include <nettle/base16.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <string.h>
#include <zlib.h>

#include "audit.h"
#include "base64.h"
#include "rng.h"
#include "str.h"

enum {
    ID_BYTES = 8,
    SECRET_BYTES = 32,
    CRC_BYTES = 4,
    PLAIN_BYTES = ID_BYTES + SECRET_BYTES,
    ALL_BYTES = PLAIN_BYTES + CRC_BYTES,
    CODED = 59, /* base64 of 44 bytes is 60 characters, the last of them '=' */
};
static const char lead[] = "den_", id_lead[] = "tok_";
_Static_assert(sizeof lead + CODED == DEN_TOKEN_TEXT_SIZE, "a token has its size");
_Static_assert(sizeof id_lead + 2 * (size_t)ID_BYTES == DEN_TOKEN_ID_SIZE,
               "an id has its size");

static void write_hash(const void *data, size_t length, char *to)
{
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    sha256_update(&sha, length, data);
    sha256_digest(&sha, sizeof digest, digest);
    base16_encode_update(to, sizeof digest, digest);
    to[DEN_SHA256_SIZE - 1] = '\0';
}

static void write_id(const uint8_t *bytes, char *to)
{
    memcpy(to, id_lead, sizeof id_lead - 1);
    base16_encode_update(to + sizeof id_lead - 1, ID_BYTES, bytes);
    to[DEN_TOKEN_ID_SIZE - 1] = '\0';
}

static uint32_t crc_of(const uint8_t *bytes)
{
    return (uint32_t)crc32(crc32(0, Z_NULL, 0), bytes, PLAIN_BYTES);
}

void den_token_new(char *text, struct den_token_row *row)
{
    uint8_t bytes[ALL_BYTES];
    char coded[BASE64_ENCODE_RAW_LENGTH(ALL_BYTES)];
    struct base64_encode_ctx base64;
    den_random_bytes(bytes, PLAIN_BYTES);
    uint32_t crc = crc_of(bytes);
    for (size_t i = 0; i < CRC_BYTES; i++)
        bytes[PLAIN_BYTES + i] = (uint8_t)(crc >> (24 - 8 * i));
    base64url_encode_init(&base64);
    size_t length = base64_encode_update(&base64, coded, sizeof bytes, bytes);
    base64_encode_final(&base64, coded + length);
    memcpy(text, lead, sizeof lead - 1);
    memcpy(text + sizeof lead - 1, coded, CODED);
    text[DEN_TOKEN_TEXT_SIZE - 1] = '\0';
    write_id(bytes, row->id);
    write_hash(text, DEN_TOKEN_TEXT_SIZE - 1, row->hash);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(coded, sizeof coded);
}

/* The 44 bytes behind the lead. */
static bool decode(const char *text, uint8_t *bytes)
{
    char padded[CODED + 1];
    size_t length = 0;
    memcpy(padded, text, CODED);
    padded[CODED] = '=';
    bool good = den_base64url_decode(padded, sizeof padded, bytes, ALL_BYTES, &length) &&
                length == ALL_BYTES;
    explicit_bzero(padded, sizeof padded);
    return good;
}

bool den_token_read(const char *text, char *id, char *hash)
{
    uint8_t bytes[ALL_BYTES] = {0};
    size_t length = strnlen(text, DEN_TOKEN_TEXT_SIZE);
    bool good = length == DEN_TOKEN_TEXT_SIZE - 1 && den_str_starts(text, lead) &&
                decode(text + sizeof lead - 1, bytes);
    uint32_t crc = 0;
    for (size_t i = 0; i < CRC_BYTES; i++)
        crc = crc << 8 | bytes[PLAIN_BYTES + i];
    good = good && crc == crc_of(bytes);
    if (good)
        write_id(bytes, id);
    write_hash(text, length, hash);
    explicit_bzero(bytes, sizeof bytes);
    return good;
}

bool den_token_id_valid(const char *text)
{
    return strlen(text) == DEN_TOKEN_ID_SIZE - 1 && den_str_starts(text, id_lead) &&
           strspn(text + sizeof id_lead - 1, "0123456789abcdef") ==
               DEN_TOKEN_ID_SIZE - sizeof id_lead;
}

/* ---- names ---- */

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789._-"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool good_word(const char *text, const char *letters, size_t size)
{
    size_t length = strlen(text);
    return length >= 1 && length < size && strspn(text, letters) == length;
}

bool den_owner_check(const char *text, const char *field, struct den_err *err)
{
    if (strcmp(text, DEN_AUDIT_SYSTEM) == 0)
        return den_err_field(err, DEN_E_INVALID, field,
                             "the owner '%s' is the server itself; take another name",
                             text);
    return good_word(text, LOWER, DEN_OWNER_SIZE) ||
           den_err_field(err, DEN_E_INVALID, field,
                         "an owner has 1 to %d characters of a-z 0-9 . _ -",
                         DEN_OWNER_SIZE - 1);
}

bool den_token_name_check(const char *text, const char *field, struct den_err *err)
{
    return good_word(text, LOWER UPPER, DEN_TOKEN_NAME_SIZE) ||
           den_err_field(err, DEN_E_INVALID, field,
                         "the name of a token has 1 to %d characters of A-Z a-z 0-9 . _ "
                         "-",
                         DEN_TOKEN_NAME_SIZE - 1);
}

/* ---- scopes ---- */

static const struct {
    const char *name;
    unsigned bit;
} scopes_known[] = {
    {"read", DEN_SCOPE_READ},
    {"submit", DEN_SCOPE_SUBMIT},
    {"train", DEN_SCOPE_TRAIN},
    {"admin", DEN_SCOPE_ADMIN},
};
enum { SCOPES = sizeof scopes_known / sizeof scopes_known[0] };

unsigned den_scope_find(const char *name)
{
    for (size_t i = 0; i < SCOPES; i++)
        if (strcmp(scopes_known[i].name, name) == 0)
            return scopes_known[i].bit;
    return 0;
}

bool den_scopes_read(const char *text, const char *field, unsigned *ret,
                     struct den_err *err)
{
    unsigned scopes = 0;
    for (const char *at = text;; at++) {
        char word[16] = "";
        size_t length = strcspn(at, ",");
        if (length < sizeof word)
            memcpy(word, at, length);
        unsigned bit = den_scope_find(word);
        if (bit == 0)
            return den_err_field(err, DEN_E_INVALID, field,
                                 "'%.*s' is not a scope; scopes are read, submit, train "
                                 "and admin, with commas between them",
                                 length < 40 ? (int)length : 40, at);
        scopes |= bit;
        at += length;
        if (*at == '\0')
            break;
    }
    *ret = scopes;
    return true;
}

void den_scopes_write(unsigned scopes, char *to)
{
    to[0] = '\0';
    for (size_t i = 0, used = 0; i < SCOPES; i++)
        if ((scopes & scopes_known[i].bit) != 0) {
            (void)den_str_format(to + used, DEN_SCOPES_SIZE - used, "%s%s",
                                 used > 0 ? "," : "", scopes_known[i].name);
            used = strlen(to);
        }
}
