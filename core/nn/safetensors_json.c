#include "safetensors.h"

#include <string.h>

#include "mem.h"
#include "str.h"

/* Recursive descent without recursion to speak of: the depth of such a header is fixed.
 */
struct parser {
    const char *text;
    size_t at, length;
    struct den_err *err;
};

static bool bad(struct parser *p, const char *what)
{
    return den_err_set(p->err, DEN_E_MALFORMED,
                       "The header of the weights file is damaged at byte %zu: %s.",
                       p->at, what);
}

/* The next character, '\0' at the end (a NUL in the text fits no rule either). */
static char peek(const struct parser *p)
{
    return p->at < p->length ? p->text[p->at] : '\0';
}

static void skip_space(struct parser *p)
{
    while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n' || peek(p) == '\r')
        p->at++;
}

/* Skips white space and then the character, if it is there. */
static bool take(struct parser *p, char c)
{
    skip_space(p);
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

static bool expect(struct parser *p, char c)
{
    char what[] = "'?' is missing";
    what[1] = c;
    return take(p, c) || bad(p, what);
}

/* ---- strings ---- */

/* Length of the well-formed sequence at s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf8   ? 0
               : s[0] >= 0xf0 ? 4
               : s[0] >= 0xe0 ? 3
               : s[0] >= 0xc0 ? 2
                              : 0;
    if (n == 0)
        return 0;
    uint32_t code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[n] || code > 0x10ffff || surrogate ? 0 : n;
}

bool den_utf8_valid(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0') {
        size_t n = utf8_length(s);
        if (n == 0)
            return false;
        s += n;
    }
    return true;
}

/* Bytes written to to[4]. */
static size_t utf8_encode(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)((0xf00u >> n & 0xf0u) | code);
    return n;
}

static bool hex4(struct parser *p, uint32_t *ret)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = peek(p);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return bad(p, "\\u needs four hexadecimal digits");
        code = code << 4 | digit;
    }
    *ret = code;
    return true;
}

/* After "\u": one code point, for which two escapes may be needed. */
static bool unicode_escape(struct parser *p, uint32_t *ret)
{
    uint32_t code, low;
    if (!hex4(p, &code))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (peek(p) != '\\' || p->at + 1 >= p->length || p->text[p->at + 1] != 'u')
            return bad(p, "half of a surrogate pair");
        p->at += 2;
        if (!hex4(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return bad(p, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return bad(p, "half of a surrogate pair");
    }
    if (code == 0)
        return bad(p, "a zero character in a string");
    *ret = code;
    return true;
}

/* After the backslash; writes up to 4 bytes. */
static bool escape(struct parser *p, char *to, size_t *ret_n)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = peek(p);
    const char *found = c == '\0' ? NULL : strchr(from, c);
    uint32_t code = 0;
    if (found != NULL) {
        p->at++;
        to[0] = into[found - from];
        *ret_n = 1;
        return true;
    }
    if (c != 'u')
        return bad(p, "an unknown escape in a string");
    p->at++;
    if (!unicode_escape(p, &code))
        return false;
    *ret_n = utf8_encode(code, to);
    return true;
}

/* A string of at most size - 1 bytes when decoded. */
static bool string(struct parser *p, char *to, size_t size)
{
    size_t n = 0;
    if (!expect(p, '"'))
        return false;
    while (peek(p) != '"') {
        char bytes[4] = {peek(p)};
        size_t more = 1;
        if (p->at >= p->length || (unsigned char)bytes[0] < 0x20)
            return bad(p, "a string is not closed or holds a control character");
        p->at++;
        if (bytes[0] == '\\' && !escape(p, bytes, &more))
            return false;
        if (n + more >= size)
            return bad(p, "a string is too long");
        memcpy(to + n, bytes, more);
        n += more;
    }
    p->at++;
    to[n] = '\0';
    return den_utf8_valid(to) || bad(p, "a string is not UTF-8");
}

void den_json_string(struct den_buf *to, const char *text)
{
    den_buf_puts(to, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            den_buf_printf(to, "\\%c", c);
        else if (c < 0x20)
            den_buf_printf(to, "\\u%04x", c);
        else
            den_buf_add(to, text, 1);
    }
    den_buf_puts(to, "\"");
}

/* ---- numbers ---- */

/* Digits only: no sign, fraction or exponent, and nothing that wraps round. */
static bool whole_number(struct parser *p, size_t *ret)
{
    skip_space(p);
    size_t value = 0, start = p->at;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        if (!den_mul_size(value, 10, &value) ||
            __builtin_add_overflow(value, (size_t)(peek(p) - '0'), &value))
            return bad(p, "a number is too large");
    if (p->at == start)
        return bad(p, "a whole number is missing");
    if (p->text[start] == '0' && p->at - start > 1)
        return bad(p, "a number begins with zero");
    *ret = value;
    return true;
}

/* "[" numbers "]", at most `most` of them. */
static bool number_list(struct parser *p, size_t *to, size_t most, size_t *ret_n)
{
    size_t n = 0;
    if (!expect(p, '['))
        return false;
    if (!take(p, ']')) {
        do {
            if (n == most)
                return bad(p, "a list is too long");
            if (!whole_number(p, &to[n++]))
                return false;
        } while (take(p, ','));
        if (!expect(p, ']'))
            return false;
    }
    *ret_n = n;
    return true;
}

/* ---- the header ---- */

/* Another known type is told from a damaged file. */
static bool type_of(struct parser *p, struct den_tensor *tensor)
{
    static const struct {
        const char *name;
        enum den_tensor_type type;
    } types[] = {{"F32", DEN_TENSOR_F32}, {"I64", DEN_TENSOR_I64}};
    char name[16];
    if (!string(p, name, sizeof name))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) {
            tensor->type = types[i].type;
            return true;
        }
    if (!den_utf8_printable(name))
        return bad(p, "a type has no printable name");
    return den_err_set(p->err, DEN_E_UNSUPPORTED,
                       "Tensor '%s' has type %s; only F32 and I64 can be read.",
                       tensor->name, name);
}

enum { HAS_TYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

static bool tensor_field(struct parser *p, struct den_header_tensor *t, unsigned *has)
{
    char key[16];
    size_t offsets[2], n;
    unsigned field;
    if (!string(p, key, sizeof key) || !expect(p, ':'))
        return false;
    if (strcmp(key, "dtype") == 0) {
        field = HAS_TYPE;
        if (!type_of(p, &t->tensor))
            return false;
    } else if (strcmp(key, "shape") == 0) {
        field = HAS_SHAPE;
        if (!number_list(p, t->tensor.dims, 4, &t->tensor.ndim))
            return false;
    } else if (strcmp(key, "data_offsets") == 0) {
        field = HAS_OFFSETS;
        if (!number_list(p, offsets, 2, &n))
            return false;
        if (n != 2)
            return bad(p, "data_offsets needs two numbers");
        t->begin = offsets[0];
        t->end = offsets[1];
    } else {
        return bad(p, "an unknown key in a tensor");
    }
    if ((*has & field) != 0)
        return bad(p, "a key appears twice");
    *has |= field;
    return true;
}

/* The three keys in any order, each once. */
static bool tensor_object(struct parser *p, struct den_header_tensor *t)
{
    unsigned has = 0;
    if (!expect(p, '{'))
        return false;
    do
        if (!tensor_field(p, t, &has))
            return false;
    while (take(p, ','));
    return expect(p, '}') &&
           (has == HAS_ALL || bad(p, "a tensor lacks dtype, shape or data_offsets"));
}

static bool meta_entry(struct parser *p, struct den_header *to)
{
    if (to->metas == DEN_META_MAX)
        return bad(p, "too many entries in __metadata__");
    struct den_meta *meta = &to->meta[to->metas];
    if (!string(p, meta->key, sizeof meta->key) || !expect(p, ':') ||
        !string(p, meta->value, sizeof meta->value))
        return false;
    for (size_t i = 0; i < to->metas; i++)
        if (strcmp(to->meta[i].key, meta->key) == 0)
            return bad(p, "a key of __metadata__ appears twice");
    to->metas++;
    return true;
}

static bool meta_object(struct parser *p, struct den_header *to)
{
    if (to->meta != NULL)
        return bad(p, "__metadata__ appears twice");
    to->meta = den_new(DEN_META_MAX, sizeof *to->meta, p->err);
    if (to->meta == NULL || !expect(p, '{'))
        return false;
    if (take(p, '}'))
        return true;
    do
        if (!meta_entry(p, to))
            return false;
    while (take(p, ','));
    return expect(p, '}');
}

static bool make_room(struct parser *p, struct den_header *to)
{
    if (to->size < to->capacity)
        return true;
    if (to->size >= DEN_TENSORS_MAX)
        return den_err_limit(
            p->err, DEN_E_TOO_LARGE, DEN_TENSORS_MAX, (int64_t)to->size + 1,
            "The weights file holds more than %d tensors.", DEN_TENSORS_MAX);
    size_t capacity = to->capacity == 0 ? 64 : 2 * to->capacity;
    struct den_header_tensor *tensors =
        den_realloc(to->tensors, capacity, sizeof *tensors);
    if (tensors == NULL)
        return den_err_set(p->err, DEN_E_NO_MEMORY,
                           "Not enough memory for the header of the weights file.");
    to->tensors = tensors;
    to->capacity = capacity;
    return true;
}

static bool entry(struct parser *p, struct den_header *to)
{
    struct den_header_tensor t = {0};
    if (!string(p, t.tensor.name, sizeof t.tensor.name) || !expect(p, ':'))
        return false;
    if (strcmp(t.tensor.name, DEN_METADATA) == 0)
        return meta_object(p, to);
    /* The name appears in sentences for the user. */
    if (t.tensor.name[0] == '\0' || !den_utf8_printable(t.tensor.name))
        return bad(p, "a tensor has no printable name");
    if (!make_room(p, to) || !tensor_object(p, &t))
        return false;
    to->tensors[to->size++] = t;
    return true;
}

static bool header(struct parser *p, struct den_header *to)
{
    if (peek(p) != '{')
        return bad(p, "it does not begin with '{'");
    p->at++;
    if (!take(p, '}')) {
        do
            if (!entry(p, to))
                return false;
        while (take(p, ','));
        if (!expect(p, '}'))
            return false;
    }
    while (peek(p) == ' ')
        p->at++;
    return p->at == p->length || bad(p, "something follows the closing '}'");
}

bool den_header_parse(const char *text, size_t length, struct den_header *ret,
                      struct den_err *err)
{
    struct parser p = {text, 0, length, err};
    struct den_header got = {0};
    if (!header(&p, &got)) {
        den_header_release(&got);
        return false;
    }
    *ret = got;
    return true;
}

void den_header_release(struct den_header *it)
{
    den_free(it->tensors);
    den_free(it->meta);
    memset(it, 0, sizeof *it);
}
