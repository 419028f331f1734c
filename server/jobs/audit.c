#include "audit.h"

#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <string.h>

#include "str.h"

/* The length keeps "ab","c" and "a","bc" apart. */
static void add_text(struct sha256_ctx *sha, const char *text)
{
    uint8_t length[8];
    size_t bytes = strlen(text);
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)((uint64_t)bytes >> (56 - 8 * i));
    sha256_update(sha, sizeof length, length);
    sha256_update(sha, bytes, (const uint8_t *)text);
}

static void add_number(struct sha256_ctx *sha, int64_t number)
{
    char text[24];
    (void)den_str_format(text, sizeof text, "%lld", (long long)number);
    add_text(sha, text);
}

void den_audit_hash(const struct den_audit_row *row, char *hash)
{
    const char *const texts[] = {row->owner,  row->token,  row->action,
                                 row->object, row->result, row->request};
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    add_text(&sha, row->prev);
    add_number(&sha, row->seq);
    add_number(&sha, row->time_ms);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        add_text(&sha, texts[i]);
    sha256_digest(&sha, sizeof digest, digest);
    base16_encode_update(hash, sizeof digest, digest);
    hash[DEN_SHA256_SIZE - 1] = '\0';
}

bool den_audit_follows(struct den_audit_walk *walk, const struct den_audit_row *row)
{
    char hash[DEN_SHA256_SIZE];
    den_audit_hash(row, hash);
    if (row->odd || row->seq != walk->seq + 1 || strcmp(row->prev, walk->hash) != 0 ||
        strcmp(row->hash, hash) != 0)
        return false;
    walk->seq = row->seq;
    memcpy(walk->hash, hash, sizeof hash);
    return true;
}
