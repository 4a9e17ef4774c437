/* Who holds what. A lease is the mapping of a manifest, so a process that maps one holds the
 * frame; /proc/<pid>/maps shows it. Nothing is locked, and nobody notices. */
#include "engine.h"
#include "os_procs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct live { /* a frame under its key */
    uint32_t record;
    uint64_t inode, bytes;
    uint8_t *key;
    size_t key_bytes;
} live;

typedef struct held { /* by the process that is looked at */
    uint32_t record;
    uint64_t inode; /* of the manifest; 0: none mapped so far */
    bool ours;      /* in this cache's directory, by its path */
    uint64_t bytes; /* mapped */
} held;

typedef struct search {
    fc_cache *cache;
    fc_holder_fn each;
    void *context;
    live *frames; /* by record */
    size_t frame_count, frame_room;
    held *holds;
    size_t hold_count, hold_room;
    int64_t pid;
    int status; /* not 0: no memory, or what `each` has returned: */
    int ended;
    uint64_t device; /* of this cache's files; other caches have such paths and inodes, too */
    bool any_device; /* it cannot be told */
    char prefix[4200]; /* of the paths in this cache's frames/ */
} search;

static int no_memory(fc_error *error) {
    return fc__fail(error, FC_E_NOMEM, "out of memory to look for holders");
}

/* Room for one more of `bytes` each; NULL when out of memory. */
static void *grow(void *list, size_t count, size_t *room, size_t bytes) {
    if (count < *room)
        return list;
    size_t more = *room ? 2 * *room : 16;
    void *moved = fc__realloc(list, more * bytes);
    if (moved)
        *room = more;
    return moved;
}

/* ---- The frames ---- */

static int add_live(search *s, const fc_info *info, fc_error *error) {
    char name[16];
    struct stat file;
    fc__manifest_name(name, info->record);
    if (fc__os_stat_at(s->cache->frames, name, &file) < 0)
        return 0; /* it has gone meanwhile */
    live *more = grow(s->frames, s->frame_count, &s->frame_room, sizeof *more);
    if (!more)
        return no_memory(error);
    s->frames = more;
    live *frame = &s->frames[s->frame_count];
    *frame = (live){info->record, (uint64_t)file.st_ino, info->bytes,
                    fc__malloc(info->key.size), info->key.size};
    if (!frame->key)
        return no_memory(error);
    memcpy(frame->key, info->key.data, info->key.size);
    s->frame_count++;
    return 0;
}

static int by_record(const void *a, const void *b) {
    uint32_t left = ((const live *)a)->record, right = ((const live *)b)->record;
    return (left > right) - (left < right);
}

static int list_frames(search *s, fc_error *error) {
    fc_cursor *cursor;
    fc_info info = {.size = offsetof(fc_info, leased)}; /* which it need not look for */
    int status = fc_cursor_open(s->cache, (fc_bytes){"", 0}, &cursor, error);
    while (!status && !(status = fc_cursor_next(cursor, &info, error)))
        status = add_live(s, &info, error);
    fc_cursor_close(cursor);
    if (s->frame_count)
        qsort(s->frames, s->frame_count, sizeof *s->frames, by_record);
    return status == FC_DONE ? 0 : status;
}

static const live *find_live(const search *s, const held *hold) {
    live key = {.record = hold->record};
    const live *frame = s->frame_count ? bsearch(&key, s->frames, s->frame_count,
                                                 sizeof *s->frames, by_record)
                                       : NULL;
    return frame && frame->inode == hold->inode ? frame : NULL;
}

/* ---- The processes ---- */

/* What the process that was looked at holds. False: enough. */
static bool tell(search *s) {
    char command[256];
    for (size_t i = 0; i < s->hold_count && !s->status; i++) {
        const held *hold = &s->holds[i];
        const live *frame = find_live(s, hold);
        if (!hold->inode || (!frame && !hold->ours))
            continue;
        fc__os_command(s->pid, command, sizeof command);
        fc_holder holder = {.pid = s->pid,
                            .command = command,
                            .record = hold->record,
                            .bytes = frame ? frame->bytes : hold->bytes};
        if (frame)
            holder.key = (fc_bytes){frame->key, frame->key_bytes};
        s->ended = s->status = s->each(s->context, &holder);
    }
    s->hold_count = 0;
    return !s->status;
}

static held *hold_of(search *s, uint32_t record, bool ours) {
    for (size_t i = 0; i < s->hold_count; i++)
        if (s->holds[i].record == record && s->holds[i].ours == ours)
            return &s->holds[i];
    held *more = grow(s->holds, s->hold_count, &s->hold_room, sizeof *more);
    if (!more)
        return NULL;
    s->holds = more;
    s->holds[s->hold_count] = (held){.record = record, .ours = ours};
    return &s->holds[s->hold_count++];
}

/* The record and segment (-1: manifest) of a path in some frames/ directory. */
static bool parse_path(const char *path, uint32_t *record, int64_t *segment) {
    static const char folder[] = "/frames/";
    const char *name = strrchr(path, '/');
    char copy[32];
    size_t before = sizeof folder - 2; /* up to the last slash */
    if (!name || (size_t)(name - path) < before ||
        strncmp(name - before, folder, before + 1) != 0)
        return false;
    size_t length = strcspn(++name, " ");
    if (length >= sizeof copy)
        return false;
    memcpy(copy, name, length);
    copy[length] = 0;
    return fc__parse_name(copy, record, segment);
}

static bool visit(void *context, int64_t pid, const fc__mapped *map) {
    search *s = context;
    uint32_t record;
    int64_t segment;
    if (pid != s->pid && !tell(s))
        return false;
    s->pid = pid;
    if ((!s->any_device && map->device != s->device) ||
        !parse_path(map->path, &record, &segment))
        return true;
    bool ours = s->prefix[0] && !strncmp(map->path, s->prefix, strlen(s->prefix));
    held *hold = hold_of(s, record, ours);
    if (!hold) {
        s->status = FC_E_NOMEM;
        return false;
    }
    if (segment < 0)
        hold->inode = map->inode;
    hold->bytes += map->bytes;
    return true;
}

static int look(search *s, bool *all, fc_error *error) {
    int status = list_frames(s, error);
    if (status)
        return status;
    if (fc__os_path_of(s->cache->frames, s->prefix, sizeof s->prefix - 1))
        strcat(s->prefix, "/");
    s->any_device = !fc__os_device_at(s->cache->control, &s->device);
    *all = fc__os_sees_all_processes();
    if (fc__os_each_mapped(visit, s, all) < 0)
        return fc__fail_errno(error, FC_E_UNSUPPORTED, errno, "who holds frames is read "
                              "from /proc, which cannot be read here: mount it");
    if (!s->status)
        tell(s);
    return s->status;
}

int fc_cache_holders(fc_cache *cache, fc_holder_fn each, void *context, bool *all,
                     fc_error *error) {
    search s = {.cache = cache, .each = each, .context = context};
    bool unused;
    if (!each)
        return fc__fail(error, FC_E_INVALID, "fc_cache_holders() takes a function");
    if (!all)
        all = &unused;
    *all = false;
    int status = look(&s, all, error);
    if (s.ended)
        fc__ended(error, s.ended, "fc_cache_holders");
    else if (status == FC_E_NOMEM)
        no_memory(error);
    for (size_t i = 0; i < s.frame_count; i++)
        fc__free(s.frames[i].key);
    fc__free(s.frames);
    fc__free(s.holds);
    return status;
}
