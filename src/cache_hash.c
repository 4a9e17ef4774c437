/* The content hash of a frame that is being written, to be stored in its manifest: the frame
 * format reads what was written, through a source over the writer's files. */
#include "engine.h"
#include "frames/frames.h"

#include <fcntl.h>
#include <string.h>

typedef struct written {
    const fc__writer *writer;
    const fc__content *content;
    const void *data; /* of segment 0, when it is inline */
    void **maps;      /* [segment_count] */
} written;

/* Not inherited by a fork, as all that a writer maps. */
static void *map_segment(const written *w, uint32_t index) {
    char name[24];
    fc__segment_name(name, w->writer->record, index);
    int fd = fc__fd_segment(w->writer->cache, name, O_RDWR);
    if (fd < 0)
        return NULL;
    void *map = fc__os_map(fd, w->content->segment_bytes[index], FC__MAP_WRITE);
    fc__fd_close(fd);
    return map;
}

static const void *written_segment(void *context, uint32_t index, uint64_t *bytes,
                                   fc_error *error) {
    written *w = context;
    *bytes = w->content->segment_bytes[index];
    if (w->content->inlined)
        return w->data;
    if (!w->maps[index])
        w->maps[index] = map_segment(w, index);
    if (!w->maps[index])
        fc__fail(error, FC_E_NOMEM, "no mapping left to hash a frame");
    return w->maps[index];
}

static void keep(void *context) {
    (void)context; /* it lives as long as the call */
}

static const fc__source source = {written_segment, keep, keep, NULL, NULL};

bool fc__hash_written(const fc__writer *writer, const fc__content *content,
                      const void *body, const void *data, uint8_t out[16]) {
    written w = {writer, content, data, NULL};
    fc__frame_setup setup = {.source = &source,
                             .context = &w,
                             .body = body,
                             .body_bytes = content->body_bytes,
                             .segment_count = content->segment_count,
                             .segment_bytes = content->segment_bytes};
    fc_frame *frame;
    w.maps = fc__calloc((size_t)content->segment_count + 1, sizeof *w.maps);
    if (!w.maps)
        return false;
    int status = fc__frame_open(&frame, &setup, NULL);
    if (!status) {
        status = fc_frame_hash(frame, out, NULL);
        fc__frame_free(frame);
    }
    for (uint32_t i = 0; i < content->segment_count; i++)
        if (w.maps[i])
            fc__os_unmap(w.maps[i], content->segment_bytes[i]);
    fc__free(w.maps);
    return !status;
}
