/* A cache of 60,000 frames against one of 10, side by side: gets and puts of ten keys;
 * and first gets of keys that were not used since they were put, so that what the kernel
 * and the cache know of them has left the processor's own caches.
 *
 *     many_frames DIR */
#include "bench.h"
#include <stdlib.h>

enum { MANY = 60000, FEW = 10, ROUNDS = 11, WARM_GETS = 500000, PUTS = 200 };

typedef struct side {
    const char *dir;
    fc_cache *cache;
    int frames;
    samples warm, first, cold, replace, new;
} side;

static const double one = 1;

/* FEW keys of either side, spread over what is there. Shift 0: the same ten always. */
static void pick(const side *s, int i, int shift, char key[32]) {
    int step = s->frames / FEW;
    snprintf(key, 32, "key-%d", i % FEW * step + (step > 1 ? shift % step : 0));
}

static void fill(side *s) {
    char key[32];
    table t;

    table_init(&t, &one, 1);
    s->cache = bench_open(s->dir, "1GiB", NULL);
    for (int i = 0; i < s->frames; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        bench_put(s->cache, key, &t);
    }
    bench_put(s->cache, "warm", &t);
    fc_cache_close(s->cache);
    table_free(&t);
}

static double get(fc_cache *cache, const char *key) {
    fc_frame *frame;
    fc_error error;

    double start = bench_now_ns();
    bench_must(fc_get(cache, fc_str(key), 0, &frame, &error), &error, key);
    double value = bench_first_value(frame), end = bench_now_ns();
    fc_frame_release(frame);
    bench_must_sys(value == one, "the value");
    return end - start;
}

static void gets(side *s, int round) {
    char keys[FEW][32];
    fc_frame *frame;
    fc_error error;

    get(s->cache, "warm");
    for (int i = 0; i < FEW; i++) {
        pick(s, i, 0, keys[i]);
        samples_add(&s->first, get(s->cache, keys[i]));
    }
    if (s->frames > FEW)
        for (int i = 0; i < FEW; i++) {
            char key[32];
            pick(s, i, round + 1, key);
            samples_add(&s->cold, get(s->cache, key));
        }
    double start = bench_now_ns();
    for (int i = 0; i < WARM_GETS; i++) {
        bench_must(fc_get(s->cache, fc_str(keys[i % FEW]), 0, &frame, &error), &error,
                   "get");
        fc_frame_release(frame);
    }
    samples_add(&s->warm, (bench_now_ns() - start) / WARM_GETS);
}

static void puts_of(side *s) {
    char key[32];
    fc_error error;
    table t;

    table_init(&t, &one, 1);
    double start = bench_now_ns();
    for (int i = 0; i < PUTS; i++) {
        pick(s, i, 0, key);
        bench_put(s->cache, key, &t);
    }
    samples_add(&s->replace, (bench_now_ns() - start) / PUTS);
    start = bench_now_ns();
    for (int i = 0; i < PUTS; i++) {
        snprintf(key, sizeof key, "new-%d", i);
        bench_put(s->cache, key, &t);
    }
    samples_add(&s->new, (bench_now_ns() - start) / PUTS);
    for (int i = 0; i < PUTS; i++) {
        snprintf(key, sizeof key, "new-%d", i);
        bench_must(fc_delete(s->cache, fc_str(key), &error), &error, "delete");
    }
    table_free(&t);
}

static void compare(const char *figure, samples *many, samples *few) {
    char name[64];
    snprintf(name, sizeof name, "60000_frames/%s", figure);
    bench_figure(name, "ns", samples_median(many), samples_median(few),
                 "the same with 10 frames");
}

int main(int argc, char **argv) {
    if (argc != 2)
        return fprintf(stderr, "usage: many_frames DIR\n"), 2;
    char *few_dir = bench_path(argv[1], "few"), *many_dir = bench_path(argv[1], "many");
    side sides[] = {{.dir = few_dir, .frames = FEW}, {.dir = many_dir, .frames = MANY}};
    side *few = &sides[0], *many = &sides[1];

    fill(few);
    fill(many);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++) { /* attached anew: nothing is mapped */
            sides[i].cache = bench_open(sides[i].dir, "1GiB", NULL);
            gets(&sides[i], round);
            puts_of(&sides[i]);
            fc_cache_close(sides[i].cache);
        }
    compare("warm_get", &many->warm, &few->warm);
    compare("first_get", &many->first, &few->first);
    compare("first_get_cold", &many->cold, &few->first);
    compare("put_replace", &many->replace, &few->replace);
    compare("put_new", &many->new, &few->new);
    free(few_dir);
    free(many_dir);
    return 0;
}
