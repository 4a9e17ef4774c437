/* Compressed blocks: what goes in comes out, for every width and kind of bytes; and a file
 * in which any byte was changed is refused, without a step beyond its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frames/checksum.h"
#include "support_frame.h"

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fill_random(void *data, size_t bytes, uint64_t seed) {
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)data)[i] = (uint8_t)(next_random(&seed) >> 32);
}

/* ---- Shuffle ---- */

/* By definition, byte by byte, with exact allocations. */
static void check_shuffle(size_t bytes, uint32_t width) {
    uint8_t *in = malloc(bytes + !bytes), *out = malloc(bytes + !bytes);
    uint8_t *back = malloc(bytes + !bytes);
    size_t count = bytes / width;

    fill_random(in, bytes, bytes * 31 + width);
    fc__shuffle(out, in, bytes, width);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < width; k++)
            assert_int_equal(out[k * count + i], in[i * width + k]);
    assert_memory_equal(out + count * width, in + count * width, bytes - count * width);
    fc__unshuffle(back, out, bytes, width);
    assert_memory_equal(back, in, bytes);
    free(in);
    free(out);
    free(back);
}

static void shuffle_puts_like_bytes_together_and_unshuffle_undoes_it(void **state) {
    (void)state;
    for (uint32_t width = 1; width <= 33; width++)
        for (size_t bytes = 0; bytes < 700; bytes += 1 + bytes / 40)
            check_shuffle(bytes, width);
    for (uint32_t width = 1; width <= 16; width *= 2)
        check_shuffle(FC__BLOCK_BYTES, width);
}

/* ---- Blocks ---- */

static void *round_trip(fc__block *block, const void *raw) {
    void *work = malloc(FC__CODEC_WORK_BYTES), *room = malloc(FC__BLOCK_BYTES);
    const void *from = fc__codec_encode(block, raw, work);
    void *stored = malloc(block->stored_bytes), *back = malloc(block->raw_bytes);

    memcpy(stored, from, block->stored_bytes);
    assert_int_equal(fc__codec_decode(block, stored, back, room), 0);
    assert_memory_equal(back, raw, block->raw_bytes);
    free(back);
    free(work);
    free(room);
    return stored;
}

static void blocks_come_back_whatever_their_width_and_size(void **state) {
    static const uint32_t sizes[] = {1, 7, 64, 4097, FC__BLOCK_BYTES - 1, FC__BLOCK_BYTES};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint8_t width = 1; width <= 32; width++) {
            int32_t *raw = malloc(sizes[s] + 4);
            for (uint32_t i = 0; i < sizes[s] / 4; i++)
                raw[i] = (int32_t)(i * 3);
            memset((char *)raw + sizes[s] / 4 * 4, 1, 4);
            fc__block block = {.raw_bytes = sizes[s], .width = width};
            free(round_trip(&block, raw));
            free(raw);
        }
}

static void numbers_get_smaller_and_noise_stays_as_it_is(void **state) {
    (void)state;
    double *numbers = malloc(FC__BLOCK_BYTES);
    for (uint32_t i = 0; i < FC__BLOCK_BYTES / 8; i++)
        numbers[i] = 1000 + (double)(i % 977);
    fc__block shuffled = {.raw_bytes = FC__BLOCK_BYTES, .width = 8};
    free(round_trip(&shuffled, numbers));
    assert_int_equal(shuffled.method, FC__BLOCK_LZ4);
    assert_in_range(shuffled.stored_bytes, 1, FC__BLOCK_BYTES / 4);

    fill_random(numbers, FC__BLOCK_BYTES, 7);
    fc__block noise = {.raw_bytes = FC__BLOCK_BYTES, .width = 8};
    free(round_trip(&noise, numbers));
    assert_int_equal(noise.method, FC__BLOCK_RAW);
    assert_int_equal(noise.stored_bytes, FC__BLOCK_BYTES);
    free(numbers);
}

static void a_block_with_any_byte_changed_is_corrupt(void **state) {
    uint8_t raw[4096], back[4096], *room = malloc(FC__BLOCK_BYTES);
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i / 16);
    for (uint8_t width = 1; width <= 8; width *= 2) {
        fc__block block = {.raw_bytes = sizeof raw, .width = width};
        uint8_t *stored = round_trip(&block, raw);
        for (uint32_t i = 0; i < block.stored_bytes; i++) {
            stored[i] ^= 0x41;
            assert_int_equal(fc__codec_decode(&block, stored, back, room), FC_E_CORRUPT);
            stored[i] ^= 0x41;
        }
        free(stored);
    }
    free(room);
}

/* Whoever writes the checksum too cannot make a reader step out of its memory. */
static void wild_bytes_with_a_right_checksum_never_pass_the_raw_length(void **state) {
    uint64_t seed = 99;
    void *room = malloc(FC__BLOCK_BYTES);
    (void)state;
    for (int round = 0; round < 20000; round++) {
        fc__block block = {.method = FC__BLOCK_LZ4,
                           .width = (uint8_t)(1 + next_random(&seed) % 9),
                           .raw_bytes = (uint32_t)(1 + next_random(&seed) % 600),
                           .stored_bytes = (uint32_t)(1 + next_random(&seed) % 300)};
        uint8_t *stored = malloc(block.stored_bytes), *back = malloc(block.raw_bytes);
        fill_random(stored, block.stored_bytes, seed | 1);
        block.checksum = fc__checksum(stored, block.stored_bytes);
        int status = fc__codec_decode(&block, stored, back, room);
        assert_true(status == 0 || status == FC_E_CORRUPT);
        free(stored);
        free(back);
    }
    free(room);
}

/* ---- Frames and tables ---- */

typedef struct file {
    fc__cold_header header;
    fc__codec_plan plan;
    uint64_t segment_bytes[MEMORY_SEGMENTS];
    uint32_t segment_count;
} file;

static const uint64_t identity[2] = {11, 22};

/* Codes all blocks of a frame, checks that they come back, and seals the table. */
static void code_frame(file *f, memory_frame *memory) {
    void *work = malloc(FC__CODEC_WORK_BYTES), *room = malloc(FC__BLOCK_BYTES);
    void *back = malloc(FC__BLOCK_BYTES);

    assert_int_equal(fc__codec_plan_frame(&f->plan, memory->frame, NULL), 0);
    uint64_t end = fc__codec_head_bytes(f->plan.count);
    for (size_t i = 0; i < f->plan.count; i++) {
        fc__block *block = &f->plan.blocks[i];
        const char *raw = (char *)memory->segments[block->segment] + block->offset;
        const void *stored = fc__codec_encode(block, raw, work);
        assert_int_equal(fc__codec_decode(block, stored, back, room), 0);
        assert_memory_equal(back, raw, block->raw_bytes);
        block->place = end;
        end += block->stored_bytes;
    }
    fc__codec_seal(&f->header, f->plan.blocks, f->plan.count, identity, end);
    f->segment_count = memory->segment_count;
    memcpy(f->segment_bytes, memory->segment_bytes, sizeof f->segment_bytes);
    free(work);
    free(room);
    free(back);
}

static const char *check_file(const file *f, const fc__cold_header *header,
                              const fc__block *blocks) {
    const char *wrong = fc__codec_check_header(header, f->header.file_bytes, identity);
    return wrong || header->block_count != f->plan.count
               ? "header"
               : fc__codec_check_table(header, blocks, f->segment_count, f->segment_bytes);
}

static void frames_of_all_types_are_covered_and_come_back(void **state) {
    static const int64_t rows[] = {0, 1, 1000, 6000};
    (void)state;
    for (int i = 0; i < 4; i++) {
        memory_frame *memory = everything(rows[i], false);
        file f;
        code_frame(&f, memory);
        assert_null(check_file(&f, &f.header, f.plan.blocks));
        fc__codec_plan_free(&f.plan);
        memory_release(memory);
    }
}

static void a_large_column_is_shuffled_by_its_width(void **state) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("g", "x", 0));
    int64_t rows = 400000;
    fc__codec_plan plan;
    size_t shuffled = 0;
    (void)state;
    memory_frame *memory = memory_new();
    fc__ground ground = memory_ground(memory);
    fc_build *build;
    assert_int_equal(fc__build_new(&build, schema, rows, &ground, NULL, NULL), 0);
    double *values = fc_build_column(build, 0)->values;
    for (int64_t i = 0; i < rows; i++)
        values[i] = 500 + (double)(i % 1000) / 8;
    memory_commit(memory, build, rows, false);
    assert_int_equal(fc__codec_plan_frame(&plan, memory->frame, NULL), 0);
    for (size_t i = 0; i < plan.count; i++)
        shuffled += plan.blocks[i].width == 8;
    assert_in_range(shuffled, (uint64_t)rows * 8 / FC__BLOCK_BYTES, plan.count);
    assert_in_range(plan.estimated_bytes, 1, plan.raw_bytes / 2);
    fc__codec_plan_free(&plan);
    memory_release(memory);
    schema_free(schema);
}

static void a_table_with_any_byte_changed_is_refused(void **state) {
    memory_frame *memory = everything(6000, false);
    file f;
    (void)state;
    code_frame(&f, memory);
    fc__cold_header header = f.header;
    for (size_t i = 0; i < sizeof header; i++) {
        ((uint8_t *)&header)[i] ^= 0x11;
        assert_non_null(check_file(&f, &header, f.plan.blocks));
        ((uint8_t *)&header)[i] ^= 0x11;
    }
    for (size_t i = 0; i < f.plan.count * sizeof(fc__block); i++) {
        ((uint8_t *)f.plan.blocks)[i] ^= 0x11;
        assert_non_null(check_file(&f, &header, f.plan.blocks));
        ((uint8_t *)f.plan.blocks)[i] ^= 0x11;
    }
    assert_null(check_file(&f, &header, f.plan.blocks));
    fc__codec_plan_free(&f.plan);
    memory_release(memory);
}

/* Sealed again after the change, so that only the bounds can refuse it. */
static void a_table_that_does_not_cover_the_segments_is_refused(void **state) {
    memory_frame *memory = everything(6000, false);
    file f;
    (void)state;
    code_frame(&f, memory);
    assert_in_range(f.plan.count, 2, 1u << 20);
    for (int what = 0; what < 9; what++) {
        fc__block *blocks = malloc(f.plan.count * sizeof *blocks);
        fc__cold_header header;
        memcpy(blocks, f.plan.blocks, f.plan.count * sizeof *blocks);
        fc__block *b = &blocks[f.plan.count / 2];
        switch (what) {
        case 0: b->offset += 64; break;
        case 1: b->segment++; break;
        case 2: b->raw_bytes--; break;
        case 3: b->raw_bytes = FC__BLOCK_BYTES + 1; break;
        case 4: b->place = f.header.file_bytes - b->stored_bytes + 1; break;
        case 5: b->place = 8; break;
        case 6: b->stored_bytes = 0; break;
        case 7: b->width = 0; break;
        default: b->method = 9; break;
        }
        fc__codec_seal(&header, blocks, f.plan.count, identity, f.header.file_bytes);
        assert_non_null(check_file(&f, &header, blocks));
        free(blocks);
    }
    fc__cold_header shorter;
    fc__codec_seal(&shorter, f.plan.blocks, f.plan.count - 1, identity, f.header.file_bytes);
    assert_non_null(fc__codec_check_table(&shorter, f.plan.blocks, f.segment_count,
                                          f.segment_bytes));
    fc__codec_plan_free(&f.plan);
    memory_release(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffle_puts_like_bytes_together_and_unshuffle_undoes_it),
        cmocka_unit_test(blocks_come_back_whatever_their_width_and_size),
        cmocka_unit_test(numbers_get_smaller_and_noise_stays_as_it_is),
        cmocka_unit_test(a_block_with_any_byte_changed_is_corrupt),
        cmocka_unit_test(wild_bytes_with_a_right_checksum_never_pass_the_raw_length),
        cmocka_unit_test(frames_of_all_types_are_covered_and_come_back),
        cmocka_unit_test(a_large_column_is_shuffled_by_its_width),
        cmocka_unit_test(a_table_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_table_that_does_not_cover_the_segments_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
