/* The content hash as callers ask for it: of an array, or of a frame, which knows it. */
#include "frame_internal.h"
#include "hash.h"
#include "plan.h"

#include <string.h>

static int hash_and_free(fc__plan *plan, uint8_t out[FC__DIGEST_BYTES], fc_error *error) {
    int status = fc__hash_plan(plan, out, error);

    if (status)
        memset(out, 0, FC__DIGEST_BYTES);
    fc__plan_free(plan);
    return status;
}

int fc_hash(const struct ArrowSchema *schema, const struct ArrowArray *array,
            uint8_t out[16], fc_error *error) {
    fc__plan *plan;

    memset(out, 0, FC__DIGEST_BYTES);
    if (!schema || !array)
        return fc__fail(error, FC_E_INVALID, "fc_hash() takes a schema and an array");
    /* A plan checks both through and through. */
    int status = fc__plan_arrow(&plan, schema, &array, 1, 0, error);
    if (status)
        return status;
    return hash_and_free(plan, out, error);
}

int fc_hash_stream(struct ArrowArrayStream *stream, uint32_t flags, uint8_t out[16],
                   fc_error *error) {
    fc__plan *plan;

    memset(out, 0, FC__DIGEST_BYTES);
    if (flags & ~(uint32_t)FC_PUT_MISSING) {
        if (stream && stream->release)
            stream->release(stream);
        return fc__fail(error, FC_E_INVALID,
                        "fc_hash_stream() takes the flag FC_PUT_MISSING, not %#x", flags);
    }
    int status =
        fc__plan_stream(&plan, stream, flags ? FC__PLAN_MISSING : 0, error);
    return status ? status : hash_and_free(plan, out, error);
}

/* ---- Frames ---- */

/* By its columns; what does not hold is damage, as for any reader. */
static int hash_columns(const fc_frame *frame, uint8_t out[FC__DIGEST_BYTES],
                        fc_error *error) {
    struct ArrowSchema schema;
    struct ArrowArray array;

    int status = fc_frame_export_schema(frame, &schema, error);
    if (status)
        return status;
    /* An export takes a reference and gives it back, so that the frame is as it was. */
    status = fc_frame_export_array((fc_frame *)frame, NULL, &array, error);
    if (!status) {
        status = fc_hash(&schema, &array, out, error);
        array.release(&array);
        if (status == FC_E_INVALID) {
            status = fc__frame_heed(frame, FC_E_CORRUPT);
            fc__fail_prefix(error, status, "the frame is damaged: ");
        }
    }
    schema.release(&schema);
    return status;
}

/* The frame whose rows and columns these are, if it is another. */
static const fc_frame *same_table(const fc_frame *frame) {
    bool whole = frame->kind == FC__FRAME_VIEW && !frame->sliced && !frame->indices;
    return whole ? frame->base : frame;
}

/* Who comes second frees his. */
static void remember(fc_frame *frame, const uint8_t digest[FC__DIGEST_BYTES]) {
    uint8_t *memory = fc__malloc(FC__DIGEST_BYTES), *expected = NULL;

    if (!memory)
        return;
    memcpy(memory, digest, FC__DIGEST_BYTES);
    if (!atomic_compare_exchange_strong(&frame->hash, &expected, memory))
        fc__free(memory);
}

int fc_frame_hash(const fc_frame *frame, uint8_t out[16], fc_error *error) {
    memset(out, 0, FC__DIGEST_BYTES);
    frame = same_table(frame);
    bool changes = frame->base->setup.writable; /* private, or a table in one */
    const uint8_t *known = frame->kind == FC__FRAME_BASE ? frame->setup.hash : NULL;
    if (!known)
        known = atomic_load_explicit(&frame->hash, memory_order_acquire);
    if (known) {
        memcpy(out, known, FC__DIGEST_BYTES);
        return FC_OK;
    }
    int status = hash_columns(frame, out, error);
    if (!status && !changes)
        remember((fc_frame *)frame, out);
    return status;
}
