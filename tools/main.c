/* The framecache command: looks into a cache and tidies it up. */
#include <framecache/framecache.h>

#include <stdio.h>

int main(void) {
    printf("framecache %s\n", fc_version());
    return 0;
}
