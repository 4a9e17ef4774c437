/* Arrays whose offsets, sizes, codes, type ids, run ends, views and bitmaps are noise:
 * each is refused, or becomes a frame that verifies. Under a sanitizer no byte beyond an
 * array is read. The lengths of arrays and buffers are true; the C data interface has no
 * other way to know them. */
#include "support_array.h"
#include "support_frame.h"

#include "src/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { children_rows = 24, most_rows = 12 };

static uint64_t seed;

static uint32_t any(uint32_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* Numbers of these many bytes, mostly small, mostly growing, sometimes wild. */
static array_buffer noise(int64_t count, int bytes, int64_t most) {
    static char memory[8][4096];
    static int turn;
    char *out = memory[turn++ % 8];
    int64_t value = any(3), wild = any(4) ? -1 : (int64_t)any(40);
    bool grows = any(4);

    for (int64_t i = 0; i < count; i++) {
        value = grows ? value + any(3) : any((uint32_t)most + 1);
        int64_t now = i == wild ? (int64_t)any(1u << 31) - (1 << 30) : value;
        memcpy(out + i * bytes, &now, (size_t)bytes);
    }
    return (array_buffer){out, (size_t)(count * bytes)};
}

static array_buffer bitmap(int64_t rows) {
    static const uint8_t bits[16] = {0xb7, 0xfd, 0x7e, 0xdb, 0xff, 0x6f};
    return any(2) ? NO_BUFFER : (array_buffer){bits, (size_t)(rows + 7) / 8};
}

static struct ArrowArray *items(int64_t rows) {
    return ARRAY(rows, bitmap(rows), noise(rows, 1, 100));
}

static struct ArrowArray *string_views(int64_t rows) {
    int32_t views[children_rows][4];

    for (int64_t i = 0; i < rows; i++) {
        views[i][0] = (int32_t)any(24) - (any(30) ? 0 : 4);
        views[i][1] = 0;
        views[i][2] = (int32_t)any(20) ? 0 : 1;
        views[i][3] = (int32_t)any(5) - (any(30) ? 0 : 2);
    }
    return ARRAY(rows, bitmap(rows), ((array_buffer){views, (size_t)rows * 16}),
                 TEXT("twenty-six letters of text"), BUFFER(int64_t, 26));
}

typedef struct kind {
    struct ArrowSchema *(*schema)(const char *name);
    struct ArrowArray *(*array)(int64_t rows);
} kind;

static struct ArrowSchema *item_schema(void) {
    return schema_of("c", "item", 0);
}

static struct ArrowSchema *list_schema(const char *name) {
    return schema_of("+l", name, 1, item_schema());
}

static struct ArrowArray *list(int64_t rows) {
    return array_with(ARRAY(rows, bitmap(rows), noise(rows + 1, 4, children_rows)), 1,
                      items(children_rows));
}

static struct ArrowSchema *view_schema(const char *name) {
    return schema_of("+vL", name, 1, schema_of("vu", "item", 0));
}

static struct ArrowArray *list_view(int64_t rows) {
    return array_with(
        ARRAY(rows, bitmap(rows), noise(rows, 8, children_rows), noise(rows, 8, 3)), 1,
        string_views(children_rows));
}

static struct ArrowSchema *dense_schema(const char *name) {
    return schema_of("+ud:2,0", name, 2, item_schema(), list_schema("lists"));
}

static struct ArrowArray *dense(int64_t rows) {
    return array_with(ARRAY(rows, noise(rows, 1, 2), noise(rows, 4, children_rows)), 2,
                      items(children_rows), list(most_rows));
}

static struct ArrowSchema *run_schema(const char *name) {
    return schema_of("+r", name, 2, schema_of("i", "run_ends", 0), item_schema());
}

static struct ArrowArray *run_ends(int64_t rows) {
    int32_t ends[children_rows], end = 0;

    for (int i = 0; i < children_rows; i++)
        ends[i] = end += any(100) ? 1 + (int32_t)any(2) : -(int32_t)any(3);
    return array_with(
        ARRAY_BARE(rows), 2,
        ARRAY(children_rows, NO_BUFFER, ((array_buffer){ends, sizeof ends})),
        items(children_rows - any(14)));
}

static struct ArrowSchema *coded_schema(const char *name) {
    return schema_dictionary("s", name, schema_of("vz", "", 0));
}

static struct ArrowArray *coded(int64_t rows) {
    return array_coded(ARRAY(rows, bitmap(rows), noise(rows, 2, most_rows)),
                       string_views(most_rows));
}

static const kind kinds[] = {{list_schema, list},
                             {view_schema, list_view},
                             {dense_schema, dense},
                             {run_schema, run_ends},
                             {coded_schema, coded}};

/* Two chunks, each a slice of noise. True if they became a frame. */
static bool put_noise(const kind *of, bool checksums) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, of->schema("x"));
    const struct ArrowArray *chunks[2];
    fc__plan *plan;
    fc_error error;

    for (int i = 0; i < 2; i++) {
        int64_t from = any(most_rows), rows = any((uint32_t)(most_rows - from) + 1);
        chunks[i] = array_slice(
            array_with(ARRAY(most_rows, NO_BUFFER), 1, of->array(most_rows)), from, rows);
    }
    int code = fc__plan_arrow(&plan, schema, chunks, 2, checksums, &error);
    if (code) {
        assert_int_equal(code, FC_E_INVALID);
        assert_non_null(strstr(error.message, "column 'x"));
    } else {
        memory_frame *memory = memory_new();
        memory_write(memory, plan);
        memory->verify = true;
        assert_int_equal(memory_open(memory, &error), 0);
        if (fc__frame_verify(memory->frame, &error))
            fail_msg("%s", error.message);
        memory_release(memory);
        fc__plan_free(plan);
    }
    for (int i = 0; i < 2; i++)
        array_free((struct ArrowArray *)chunks[i]);
    schema_free(schema);
    assert_int_equal(arrays_alive, 0);
    return !code;
}

static void noise_is_refused_or_becomes_a_frame_that_verifies(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int taken = 0, count = 600;
        for (int i = 0; i < count; i++) {
            seed = (uint64_t)i * 977 + k;
            taken += put_noise(&kinds[k], i % 2);
        }
        if (taken < count / 50 || taken > count - count / 50)
            fail_msg("of kind %zu, %d of %d were taken: this tests too little", k, taken,
                     count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_refused_or_becomes_a_frame_that_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
