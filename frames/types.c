/* The parser of Arrow format strings, and the table of layouts. Strict: whatever the C
 * data interface does not name is refused, so that a malformed string never becomes a
 * type. */
#include "types.h"

#define NOT_A_FORMAT "is not a format of the Arrow C data interface"

/* Types whose whole format is one fixed string. */
static const struct {
    const char *format;
    const char *stored_format;
    fc_type type;
    fc__shape given, stored;
    int32_t width, children;
} plain_types[] = {
#define FIXED(format, type, width)                                                       \
    { format, NULL, FC_TYPE_##type, FC__SHAPE_FIXED, FC__SHAPE_FIXED, width, 0 }
#define TURNED(format, into, type, given, stored, children)                              \
    { format, into, FC_TYPE_##type, FC__SHAPE_##given, FC__SHAPE_##stored, 0, children }
    {"n", NULL, FC_TYPE_NA, FC__SHAPE_NULL, FC__SHAPE_NULL, 0, 0},
    {"b", NULL, FC_TYPE_BOOL, FC__SHAPE_BITS, FC__SHAPE_BITS, 0, 0},
    FIXED("c", INT8, 1),
    FIXED("C", UINT8, 1),
    FIXED("s", INT16, 2),
    FIXED("S", UINT16, 2),
    FIXED("i", INT32, 4),
    FIXED("I", UINT32, 4),
    FIXED("l", INT64, 8),
    FIXED("L", UINT64, 8),
    FIXED("e", FLOAT16, 2),
    FIXED("f", FLOAT32, 4),
    FIXED("g", FLOAT64, 8),
    FIXED("tdD", DATE32, 4),
    FIXED("tdm", DATE64, 8),
    FIXED("tts", TIME32, 4),
    FIXED("ttm", TIME32, 4),
    FIXED("ttu", TIME64, 8),
    FIXED("ttn", TIME64, 8),
    FIXED("tDs", DURATION, 8),
    FIXED("tDm", DURATION, 8),
    FIXED("tDu", DURATION, 8),
    FIXED("tDn", DURATION, 8),
    FIXED("tiM", INTERVAL, 4),
    FIXED("tiD", INTERVAL, 8),
    FIXED("tin", INTERVAL, 16),
    TURNED("u", "U", STRING, BYTES32, BYTES64, 0),
    TURNED("U", NULL, STRING, BYTES64, BYTES64, 0),
    TURNED("vu", "U", STRING, BYTE_VIEW, BYTES64, 0),
    TURNED("z", "Z", BINARY, BYTES32, BYTES64, 0),
    TURNED("Z", NULL, BINARY, BYTES64, BYTES64, 0),
    TURNED("vz", "Z", BINARY, BYTE_VIEW, BYTES64, 0),
    TURNED("+l", "+L", LIST, LIST32, LIST64, 1),
    TURNED("+L", NULL, LIST, LIST64, LIST64, 1),
    TURNED("+vl", "+L", LIST, LIST_VIEW32, LIST64, 1),
    TURNED("+vL", "+L", LIST, LIST_VIEW64, LIST64, 1),
    TURNED("+m", NULL, MAP, LIST32, LIST32, 1),
    TURNED("+s", NULL, STRUCT, STRUCT, STRUCT, FC__ANY_CHILDREN),
    TURNED("+r", NULL, RUN_END, RUN_END, RUN_END, 2),
#undef FIXED
#undef TURNED
};

static const fc__shape_info shapes[FC__SHAPE_COUNT] = {
    [FC__SHAPE_NULL] = {0, false, {0}},
    [FC__SHAPE_BITS] = {2, true, {FC__BUFFER_VALIDITY, FC__BUFFER_BITS}},
    [FC__SHAPE_FIXED] = {2, true, {FC__BUFFER_VALIDITY, FC__BUFFER_VALUES}},
    [FC__SHAPE_BYTES32] = {3,
                           true,
                           {FC__BUFFER_VALIDITY, FC__BUFFER_OFFSETS32, FC__BUFFER_BYTES}},
    [FC__SHAPE_BYTES64] = {3,
                           true,
                           {FC__BUFFER_VALIDITY, FC__BUFFER_OFFSETS64, FC__BUFFER_BYTES}},
    [FC__SHAPE_BYTE_VIEW] = {3, true, {FC__BUFFER_VALIDITY, FC__BUFFER_VIEWS}},
    [FC__SHAPE_LIST32] = {2, true, {FC__BUFFER_VALIDITY, FC__BUFFER_OFFSETS32}},
    [FC__SHAPE_LIST64] = {2, true, {FC__BUFFER_VALIDITY, FC__BUFFER_OFFSETS64}},
    [FC__SHAPE_LIST_VIEW32] =
        {3, true, {FC__BUFFER_VALIDITY, FC__BUFFER_PLACES32, FC__BUFFER_SIZES32}},
    [FC__SHAPE_LIST_VIEW64] =
        {3, true, {FC__BUFFER_VALIDITY, FC__BUFFER_PLACES64, FC__BUFFER_SIZES64}},
    [FC__SHAPE_FIXED_LIST] = {1, true, {FC__BUFFER_VALIDITY}},
    [FC__SHAPE_STRUCT] = {1, true, {FC__BUFFER_VALIDITY}},
    [FC__SHAPE_SPARSE] = {1, false, {FC__BUFFER_TYPE_IDS}},
    [FC__SHAPE_DENSE] = {2, false, {FC__BUFFER_TYPE_IDS, FC__BUFFER_PLACES32}},
    [FC__SHAPE_RUN_END] = {0, false, {0}},
};

const fc__shape_info *fc__shape_of(fc__shape shape) {
    return &shapes[shape];
}

bool fc__buffer_need(fc__buffer_kind kind, int32_t width, int64_t rows, uint64_t *bytes) {
    uint64_t count = (uint64_t)rows, each = 1;

    *bytes = 0;
    switch (kind) {
    case FC__BUFFER_VALIDITY:
    case FC__BUFFER_BITS:
        count = count / 8 + (count % 8 != 0);
        break;
    case FC__BUFFER_VALUES:
        each = (uint64_t)width;
        break;
    case FC__BUFFER_OFFSETS32:
        count++, each = 4;
        break;
    case FC__BUFFER_OFFSETS64:
        count++, each = 8;
        break;
    case FC__BUFFER_BYTES:
        each = 0;
        break;
    case FC__BUFFER_TYPE_IDS:
        break;
    case FC__BUFFER_PLACES32:
    case FC__BUFFER_SIZES32:
        each = 4;
        break;
    case FC__BUFFER_PLACES64:
    case FC__BUFFER_SIZES64:
        each = 8;
        break;
    case FC__BUFFER_VIEWS:
        each = 16;
        break;
    }
    return rows >= 0 && !__builtin_mul_overflow(count, each, bytes) &&
           *bytes <= INT64_MAX;
}

bool fc__type_is_integer(fc_type type) {
    return type >= FC_TYPE_INT8 && type <= FC_TYPE_UINT64;
}

/* A decimal number without sign, blanks or leading zeros; at most `limit`. Moves *at. */
static bool parse_number(const char **at, int32_t limit, int32_t *out) {
    const char *digit = *at;
    int64_t value = 0;

    if (*digit < '0' || *digit > '9' ||
        (*digit == '0' && digit[1] >= '0' && digit[1] <= '9'))
        return false;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        value = value * 10 + (*digit - '0');
        if (value > limit)
            return false;
    }
    *at = digit;
    *out = (int32_t)value;
    return true;
}

/* "d:precision,scale" with ",bits" behind it unless that is 128. */
static const char *parse_decimal(fc__type *out, const char *at) {
    int32_t precision, scale, bits = 128, most;

    if (!parse_number(&at, 1000, &precision) || *at++ != ',')
        return "is not a decimal: d:precision,scale[,bits]";
    at += *at == '-';
    if (!parse_number(&at, 1000, &scale) ||
        (*at == ',' && (at++, !parse_number(&at, 256, &bits))) || *at)
        return "is not a decimal: d:precision,scale[,bits]";
    switch (bits) {
    case 32:
        most = 9;
        break;
    case 64:
        most = 18;
        break;
    case 128:
        most = 38;
        break;
    case 256:
        most = 76;
        break;
    default:
        return "is a decimal of a width that is not 32, 64, 128 or 256 bits";
    }
    if (precision < 1 || precision > most)
        return "is a decimal whose precision does not fit its bits";
    *out =
        (fc__type){FC_TYPE_DECIMAL, FC__SHAPE_FIXED, FC__SHAPE_FIXED, bits / 8, 0, NULL};
    return NULL;
}

/* "ts", a unit, ":" and a time zone or nothing. */
static const char *parse_timestamp(fc__type *out, const char *at) {
    if (!*at || !strchr("smun", *at) || at[1] != ':')
        return "is not a timestamp: ts, a unit of s, m, u or n, a colon, a time zone";
    *out = (fc__type){FC_TYPE_TIMESTAMP, FC__SHAPE_FIXED, FC__SHAPE_FIXED, 8, 0, NULL};
    return NULL;
}

/* "w:width" and "+w:rows". */
static const char *parse_fixed(fc__type *out, const char *at, fc_type type,
                               fc__shape shape, int32_t children) {
    int32_t width;

    if (!parse_number(&at, INT32_MAX, &width) || *at)
        return "needs a width of 0 to 2147483647 behind its colon";
    *out = (fc__type){type, shape, shape, width, children, NULL};
    return NULL;
}

/* Type ids from 0 to 127 behind the colon, none twice; -1 if that is not so. */
static int parse_ids(const char *at, int8_t ids[FC__UNION_IDS]) {
    bool seen[FC__UNION_IDS] = {false};
    int count = 0;
    int32_t id;

    for (; *at; count++) {
        if (count && *at++ != ',')
            return -1;
        if (!parse_number(&at, FC__UNION_IDS - 1, &id) || seen[id])
            return -1;
        seen[id] = true;
        ids[count] = (int8_t)id;
    }
    return count;
}

int fc__union_ids(const char *format, int8_t ids[FC__UNION_IDS]) {
    return parse_ids(format + strlen("+ud:"), ids);
}

static const char *parse_union(fc__type *out, const char *at, fc_type type,
                               fc__shape shape) {
    int8_t ids[FC__UNION_IDS];
    int count = parse_ids(at, ids);

    if (count < 0)
        return "is a union whose type ids are not different numbers from 0 to 127";
    *out = (fc__type){type, shape, shape, 0, count, NULL};
    return NULL;
}

static const char *parse_plain(fc__type *out, const char *format) {
    for (size_t i = 0; i < sizeof plain_types / sizeof *plain_types; i++) {
        if (strcmp(format, plain_types[i].format))
            continue;
        *out = (fc__type){plain_types[i].type,     plain_types[i].given,
                          plain_types[i].stored,   plain_types[i].width,
                          plain_types[i].children, plain_types[i].stored_format};
        return NULL;
    }
    return NOT_A_FORMAT;
}

const char *fc__type_parse(fc__type *out, const char *format) {
    *out = (fc__type){0};
    if (!strncmp(format, "d:", 2))
        return parse_decimal(out, format + 2);
    if (!strncmp(format, "ts", 2))
        return parse_timestamp(out, format + 2);
    if (!strncmp(format, "w:", 2))
        return parse_fixed(out, format + 2, FC_TYPE_FIXED_BINARY, FC__SHAPE_FIXED, 0);
    if (!strncmp(format, "+w:", 3))
        return parse_fixed(out, format + 3, FC_TYPE_FIXED_LIST, FC__SHAPE_FIXED_LIST, 1);
    if (!strncmp(format, "+us:", 4))
        return parse_union(out, format + 4, FC_TYPE_SPARSE_UNION, FC__SHAPE_SPARSE);
    if (!strncmp(format, "+ud:", 4))
        return parse_union(out, format + 4, FC_TYPE_DENSE_UNION, FC__SHAPE_DENSE);
    return parse_plain(out, format);
}
