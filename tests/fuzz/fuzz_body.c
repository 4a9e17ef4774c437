/* Feeds damaged bodies and segments to the reader. An input is either edits to a frame
 * with a column of every kind, or a body from its first byte on.
 *
 *     fuzz_body CORPUS...     with libFuzzer (FC_LIBFUZZER)
 *     fuzz_body FILE...       else: runs each file once, to see a crash again */
#include <stdio.h>
#include <stdlib.h>

#include "exercise.h"
#include "frames/body.h"

#define ROWS 40

typedef struct edit { /* as in the input, packed: 4 bytes */
    uint8_t low, high, kind, value;
} edit;

/* Built once; each run edits copies. */
static memory_frame *original(void) {
    static memory_frame *frame;

    if (!frame)
        frame = everything(ROWS, false);
    return frame;
}

static void apply(uint8_t *at, edit e) {
    switch (e.kind & 3) {
    case 0:
        *at = e.value;
        break;
    case 1:
        *at ^= e.value;
        break;
    case 2:
        *at = (uint8_t)(*at + e.value);
        break;
    default:
        *at = 0xff;
    }
}

/* Positions count through the body and on into the segment. */
static memory_frame *edited(const uint8_t *data, size_t size) {
    const memory_frame *from = original();
    memory_frame *memory = memory_of(from->body, from->body_bytes, from->segments[0],
                                     from->segment_bytes[0]);

    for (; size >= sizeof(edit); data += sizeof(edit), size -= sizeof(edit)) {
        edit e;
        memcpy(&e, data, sizeof e);
        uint64_t at = ((uint64_t)e.high << 8 | e.low) %
                      (memory->body_bytes + memory->segment_bytes[0]);
        if (at < memory->body_bytes)
            apply((uint8_t *)memory->body + at, e);
        else
            apply((uint8_t *)memory->segments[0] + (at - memory->body_bytes), e);
    }
    return memory;
}

/* With the header's lengths put right, which no fuzzer should have to find. */
static memory_frame *raw(const uint8_t *data, size_t size) {
    memory_frame *memory = memory_of(data, size, data, size & ~(size_t)63);
    fc__body_header *header = memory->body;

    if (size < sizeof *header)
        return memory;
    header->magic = FC__BODY_MAGIC;
    header->version = FC__BODY_VERSION;
    header->body_bytes = size;
    header->segment_count = 1;
    return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    memory_frame *memory =
        data[0] & 1 ? raw(data + 1, size - 1) : edited(data + 1, size - 1);
    if (!memory_open(memory, NULL))
        exercise_frame(memory->frame, data[0] & 2 ? data[0] >> 2 : -1);
    memory_release(memory);
    return 0;
}

#ifndef FC_LIBFUZZER
static void run_file(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    printf("%s: %zu bytes\n", path, size);
    LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    return 0;
}
#endif
