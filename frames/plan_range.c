/* Minimum and maximum, where they cost next to nothing: numbers and times of up to 8
 * bytes in columns of up to 65,536 rows. */
#include "bits.h"
#include "normalise.h"

#define MOST_ROWS 65536

/* NaN is no part of the order; no value but NaN differs from itself. */
#define SCAN(ctype, is_nan)                                                              \
    {                                                                                    \
        ctype low = 0, high = 0, value;                                                  \
        for (size_t i = 0; i < node->piece_count; i++) {                                 \
            const fc__piece *piece = &node->pieces[i];                                   \
            const uint8_t *validity = fc__piece_validity(piece);                         \
            const char *at = fc__piece_buffer(piece, 1);                                 \
            for (int64_t row = piece->first; row < piece->first + piece->rows; row++) {  \
                memcpy(&value, at + row * (int64_t)sizeof value, sizeof value);          \
                if ((validity && !fc__bit(validity, row)) || (is_nan))                   \
                    continue;                                                            \
                if (!node->has_range || value < low)                                     \
                    low = value;                                                         \
                if (!node->has_range || value > high)                                    \
                    high = value;                                                        \
                node->has_range = true;                                                  \
            }                                                                            \
        }                                                                                \
        memcpy(node->min, &low, sizeof low);                                             \
        memcpy(node->max, &high, sizeof high);                                           \
        return;                                                                          \
    }

static void scan_wide(fc__node *node) {
    if (node->width == 4)
        SCAN(int32_t, false)
    else if (node->width == 8)
        SCAN(int64_t, node->missing && value == INT64_MIN)
}

void fc__plan_range(fc__node *node) {
    if (node->rows > MOST_ROWS || node->is_run_ends)
        return;
    switch (node->field->type) {
    case FC_TYPE_INT8:
        SCAN(int8_t, false)
    case FC_TYPE_UINT8:
        SCAN(uint8_t, false)
    case FC_TYPE_INT16:
        SCAN(int16_t, false)
    case FC_TYPE_UINT16:
        SCAN(uint16_t, false)
    case FC_TYPE_UINT32:
        SCAN(uint32_t, false)
    case FC_TYPE_UINT64:
        SCAN(uint64_t, false)
    case FC_TYPE_FLOAT32:
        SCAN(float, value != value)
    case FC_TYPE_FLOAT64:
        SCAN(double, value != value)
    case FC_TYPE_INT32:
    case FC_TYPE_INT64:
    case FC_TYPE_DECIMAL:
    case FC_TYPE_DATE32:
    case FC_TYPE_DATE64:
    case FC_TYPE_TIME32:
    case FC_TYPE_TIME64:
    case FC_TYPE_TIMESTAMP:
    case FC_TYPE_DURATION:
        scan_wide(node);
        return;
    default:
        return;
    }
}
