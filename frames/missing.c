/* Finding missing values: the loops, and what a plan makes of them. */
#include "missing.h"

#include "bits.h"
#include "normalise.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LOOK_BYTES   ((size_t)4096) /* between two decisions */
#define SHORT_ROWS   65536          /* up to here all are looked at, as for the range */
#define SAMPLES      256            /* places in a longer column */
#define SAMPLE_BYTES 64             /* a line of the cache each */

/* ---- Plain loops ---- */

/* `sum` is as wide as a value, for the vectoriser. Values need not be aligned. */
#define LOOPS(name, type, sum, is_missing)                                               \
    static inline bool name##_at(const void *from, int64_t row) {                        \
        type value;                                                                      \
        memcpy(&value, (const char *)from + row * (int64_t)sizeof value, sizeof value);  \
        return is_missing;                                                               \
    }                                                                                    \
    static bool name##_each(const void *from, size_t bytes) {                            \
        int64_t rows = (int64_t)(bytes / sizeof(type)), row = 0, end;                    \
        const int64_t look = LOOK_BYTES / sizeof(type);                                  \
        while (row < rows) {                                                             \
            sum found = 0;                                                               \
            for (end = rows - row < look ? rows : row + look; row < end; row++)          \
                found = (sum)(found + name##_at(from, row));                             \
            if (found)                                                                   \
                return true;                                                             \
        }                                                                                \
        return false;                                                                    \
    }                                                                                    \
    static int64_t name##_few(uint8_t *bits, int64_t bit, const void *from, int64_t row, \
                              int64_t end) {                                             \
        int64_t met = 0;                                                                 \
        for (; row < end; row++) {                                                       \
            bool missing = name##_at(from, row);                                         \
            bits[(bit + row) >> 3] |= (uint8_t)(!missing << ((bit + row) & 7));          \
            met += missing;                                                              \
        }                                                                                \
        return met;                                                                      \
    }                                                                                    \
    static int64_t name##_mark(uint8_t *bits, int64_t bit, const void *from,             \
                               int64_t rows) {                                           \
        int64_t row = (-bit & 7) < rows ? (-bit & 7) : rows;                             \
        int64_t met = name##_few(bits, bit, from, 0, row);                               \
        for (; row + 8 <= rows; row += 8) {                                              \
            unsigned byte = 0;                                                           \
            for (int i = 0; i < 8; i++)                                                  \
                byte |= (unsigned)!name##_at(from, row + i) << i;                        \
            bits[(bit + row) >> 3] = (uint8_t)byte;                                      \
            met += 8 - __builtin_popcount(byte);                                         \
        }                                                                                \
        return met + name##_few(bits, bit, from, row, rows);                             \
    }

LOOPS(half, uint16_t, uint16_t, (value & 0x7fff) > 0x7c00)
LOOPS(single, float, uint32_t, value != value)
LOOPS(real, double, uint64_t, value != value)
LOOPS(time, int64_t, uint64_t, value == INT64_MIN)

/* ---- Copies ---- */

#ifdef __SSE2__
/* Vectors whose lanes are all ones where a value is missing. */
static inline __m128i half_met(__m128i a) {
    __m128i size = _mm_and_si128(a, _mm_set1_epi16(0x7fff));
    return _mm_cmpgt_epi16(size, _mm_set1_epi16(0x7c00));
}

static inline __m128i single_met(__m128i a) {
    __m128 v = _mm_castsi128_ps(a);
    return _mm_castps_si128(_mm_cmpunord_ps(v, v));
}

static inline __m128i real_met(__m128i a) {
    __m128d v = _mm_castsi128_pd(a);
    return _mm_castpd_si128(_mm_cmpunord_pd(v, v));
}

static inline __m128i time_met(__m128i a) {
    __m128i same = _mm_cmpeq_epi32(a, _mm_set_epi32(INT32_MIN, 0, INT32_MIN, 0));
    return _mm_and_si128(same, _mm_shuffle_epi32(same, _MM_SHUFFLE(2, 3, 0, 1)));
}

/* Of 64 bytes at `in`, into `met`. */
#define LOOK(name, in, met)                                                              \
    met = _mm_or_si128(met,                                                              \
                       _mm_or_si128(_mm_or_si128(name##_met(_mm_loadu_si128(in)),        \
                                                 name##_met(_mm_loadu_si128(in + 1))),   \
                                    _mm_or_si128(name##_met(_mm_loadu_si128(in + 2)),    \
                                                 name##_met(_mm_loadu_si128(in + 3)))))

#define ANY(name)                                                                        \
    static bool name##_any(const void *from, size_t bytes) {                             \
        const __m128i *in = from;                                                        \
        while (bytes >= 64) {                                                            \
            size_t lines = bytes < LOOK_BYTES ? bytes / 64 : LOOK_BYTES / 64;            \
            __m128i met = _mm_setzero_si128();                                           \
            for (size_t i = 0; i < lines; i++, in += 4)                                  \
                LOOK(name, in, met);                                                     \
            if (_mm_movemask_epi8(met))                                                  \
                return true;                                                             \
            bytes -= lines * 64;                                                         \
        }                                                                                \
        return name##_each(in, bytes);                                                   \
    }

/* One loop for both: what is in a register is looked at for next to nothing. */
#define COPY(name)                                                                       \
    static bool name##_copy(void *to, const void *from, size_t bytes) {                  \
        const __m128i *in = from;                                                        \
        __m128i *out = to, met = _mm_setzero_si128(), more = met;                        \
        size_t lines = bytes / 64;                                                       \
        for (size_t i = 0; i < lines; i++, in += 4, out += 4) {                          \
            __m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1);                \
            __m128i c = _mm_loadu_si128(in + 2), d = _mm_loadu_si128(in + 3);            \
            _mm_stream_si128(out, a);                                                    \
            _mm_stream_si128(out + 1, b);                                                \
            _mm_stream_si128(out + 2, c);                                                \
            _mm_stream_si128(out + 3, d);                                                \
            met = _mm_or_si128(met, _mm_or_si128(name##_met(a), name##_met(b)));         \
            more = _mm_or_si128(more, _mm_or_si128(name##_met(c), name##_met(d)));       \
        }                                                                                \
        size_t rest = bytes - lines * 64;                                                \
        memcpy(out, in, rest);                                                           \
        _mm_sfence(); /* before the frame is published */                                \
        return _mm_movemask_epi8(_mm_or_si128(met, more)) || name##_any(out, rest);      \
    }
#else
#define ANY(name)                                                                        \
    static bool name##_any(const void *from, size_t bytes) {                             \
        return name##_each(from, bytes);                                                 \
    }

#define COPY(name)                                                                       \
    static bool name##_copy(void *to, const void *from, size_t bytes) {                  \
        bool found = false;                                                              \
        for (size_t at = 0, part; at < bytes; at += part) {                              \
            part = bytes - at < LOOK_BYTES ? bytes - at : LOOK_BYTES;                    \
            memcpy((char *)to + at, (const char *)from + at, part);                      \
            found |= name##_any((const char *)to + at, part);                            \
        }                                                                                \
        return found;                                                                    \
    }
#endif

ANY(half)
ANY(single)
ANY(real)
ANY(time)
COPY(half)
COPY(single)
COPY(real)
COPY(time)

/* ---- Which, and when ---- */

#define KIND(name)                                                                       \
    { name##_any, name##_copy, name##_mark }
static const fc__missing halves = KIND(half), singles = KIND(single), reals = KIND(real),
                         times = KIND(time);

const fc__missing *fc__missing_of(const fc__field *field) {
    if (field->dictionary)
        return NULL;
    switch (field->type) {
    case FC_TYPE_FLOAT16:
        return &halves;
    case FC_TYPE_FLOAT32:
        return &singles;
    case FC_TYPE_FLOAT64:
        return &reals;
    case FC_TYPE_TIMESTAMP:
    case FC_TYPE_DURATION:
        return &times;
    default:
        return NULL;
    }
}

static bool is_left_to_us(const fc__node *node) {
    for (size_t i = 0; i < node->piece_count; i++) {
        const struct ArrowArray *array = node->pieces[i].array;
        if (array->null_count != -1 || array->buffers[0] ||
            (node->pieces[i].rows && !array->buffers[1]))
            return false;
    }
    return node->rows > 0;
}

/* Lines at places without a period, so that no pattern of rows is stepped over. */
static bool sample(const fc__missing *kind, const char *values, uint64_t bytes) {
    uint64_t stride = bytes / SAMPLES / SAMPLE_BYTES * SAMPLE_BYTES, random = 1;

    if (kind->any(values, SAMPLE_BYTES) ||
        kind->any(values + bytes - SAMPLE_BYTES, SAMPLE_BYTES))
        return true;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t within = (random >> 33) % (stride / SAMPLE_BYTES) * SAMPLE_BYTES;
        if (kind->any(values + i * stride + within, SAMPLE_BYTES))
            return true;
    }
    return false;
}

bool fc__plan_missing(fc__node *node) {
    const fc__missing *kind = fc__missing_of(node->field);
    bool found = false;

    if (!kind || !is_left_to_us(node))
        return false;
    for (size_t i = 0; i < node->piece_count && !found; i++) {
        const fc__piece *piece = &node->pieces[i];
        const char *values = fc__piece_buffer(piece, 1) + piece->first * node->width;
        uint64_t bytes = (uint64_t)piece->rows * (uint64_t)node->width;
        if (!piece->rows)
            continue;
        bool whole = node->rows <= SHORT_ROWS || bytes < 2 * SAMPLES * SAMPLE_BYTES;
        found = whole ? kind->any(values, bytes) : sample(kind, values, bytes);
    }
    if (found || node->rows > SHORT_ROWS)
        node->missing = kind; /* to be marked, or to be looked for */
    return found;
}

/* ---- Again ---- */

static bool is_marked(const fc__plan *plan, const fc__node *node) {
    return plan->feeds[node->first_buffer].how == FC__HOW_MISSING;
}

bool fc__plan_stands(const fc__plan *plan) {
    for (uint32_t i = 0; plan->missing && i <= plan->root->child_count; i++) {
        const fc__node *node = &plan->nodes[i];
        if (node->missing && !is_marked(plan, node) && atomic_load(&node->met))
            return false;
    }
    return true;
}

int fc__plan_again(fc__plan *plan, fc_error *error) {
    for (uint32_t i = 0; i <= plan->root->child_count; i++) {
        fc__node *node = &plan->nodes[i];
        int code = 0;
        if (node->missing && !is_marked(plan, node) && atomic_load(&node->met))
            code = fc__plan_mark(plan, node, error);
        if (code)
            return code;
        atomic_store(&node->met, 0);
    }
    return fc__plan_lay_out(plan, NULL, 0, error);
}
