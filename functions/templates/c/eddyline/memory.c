/* Memory of a call: taken piece by piece, given back at once when the call is over. */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

/* The newest first; one is kept from call to call. */
typedef struct block {
    struct block *before;
    size_t size, used;
    char bytes[] __attribute__((aligned(16)));
} block;

enum { BLOCK_BYTES = 16 << 10, ALIGNMENT = 16 };

static block *blocks;

_Noreturn void eddyline_fail(const char *reason) {
    eddy_log(EDDY_ERROR, reason);
    abort();
}

void *eddyline_room(size_t size) {
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded < size)
        eddyline_fail("out of memory");
    if (!blocks || blocks->size - blocks->used < rounded) {
        size_t room = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block *fresh = room < SIZE_MAX - sizeof(block) ? malloc(sizeof(block) + room) : NULL;
        if (!fresh)
            eddyline_fail("out of memory");
        *fresh = (block){.before = blocks, .size = room};
        blocks = fresh;
    }
    void *at = blocks->bytes + blocks->used;
    blocks->used += rounded;
    return at;
}

const char *eddyline_copy(const void *at, size_t size) {
    char *copy = eddyline_room(size + 1);
    if (size)
        memcpy(copy, at, size);
    copy[size] = 0;
    return copy;
}

void eddyline_keep_room(void) { blocks = NULL; }

void eddyline_free_room(void) {
    while (blocks && blocks->before) {
        block *before = blocks->before;
        free(blocks);
        blocks = before;
    }
    if (blocks && blocks->size > BLOCK_BYTES) {
        free(blocks);
        blocks = NULL;
    }
    if (blocks)
        blocks->used = 0;
}

/* Where the host puts what it hands over. Each gets a zero byte behind it, so that a
 * string is one of C's. */
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)align;
    char *at = eddyline_room(size + 1);
    if (old_size)
        memcpy(at, old, old_size < size ? old_size : size);
    at[size] = 0;
    return at;
}
