/* The k least of a stream, by a bounded max-heap. See evict.h. */
#include "evict.h"

#include <stdlib.h>

static void sift_down(fc__candidate *heap, size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1].priority > heap[child].priority)
            child++;
        if (heap[at].priority >= heap[child].priority)
            return;
        fc__candidate swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

void fc__victims_offer(fc__victims *victims, const fc__candidate *candidate) {
    fc__candidate *heap = victims->heap;
    if (victims->count < victims->limit) {
        heap[victims->count++] = *candidate;
        if (victims->count == victims->limit)
            for (size_t i = victims->count / 2; i-- > 0;)
                sift_down(heap, victims->count, i);
    } else if (candidate->priority < heap[0].priority) {
        heap[0] = *candidate;
        sift_down(heap, victims->count, 0);
    }
}

static int by_priority(const void *a, const void *b) {
    double left = ((const fc__candidate *)a)->priority;
    double right = ((const fc__candidate *)b)->priority;
    return (left > right) - (left < right);
}

void fc__victims_sort(fc__victims *victims) {
    qsort(victims->heap, victims->count, sizeof *victims->heap, by_priority);
}
