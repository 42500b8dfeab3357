/* A function for trying out outcomes and limits: does what each event tells it to. The
 * data of an event is {"do": .., "times": ..}, as for the probe in Rust. */
#include "eddyline/eddyline.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_BYTES = 300 };

static volatile unsigned counted;
static void *volatile last_block;

const char *eddy_setup(void) { return eddy_setting("refuse"); }

/* What stands behind a field's name, or nothing. */
static const char *field(const eddy_event *event, const char *name) {
    const char *at = strstr(event->data, eddy_format("\"%s\":", name));
    return at ? at + strlen(name) + 3 : NULL;
}

static const char *word(const eddy_event *event, const char *name, const char *otherwise) {
    const char *at = field(event, name);
    if (!at || *at != '"')
        return otherwise;
    size_t size = strcspn(at + 1, "\"");
    return eddy_format("%.*s", (int)(size < NAME_BYTES ? size : NAME_BYTES), at + 1);
}

static eddy_outcome emit(const char *text) {
    eddy_emit((eddy_emission){.data = text, .size = strlen(text)});
    return eddy_ack();
}

static eddy_outcome json(void) {
    const char *text = "{\"text\":\"größer\",\"n\":7}";
    const eddy_header kind = {"kind", "large"};
    eddy_emit((eddy_emission){
        .content_type = "application/json",
        .headers = &kind,
        .header_count = 1,
        .data = text,
        .size = strlen(text),
    });
    return eddy_ack();
}

static eddy_outcome refused(eddy_kept problem) {
    return eddy_reject(problem == EDDY_KEY ? "key: as told" : "full: as told");
}

/* Counts under a key; with times, keeps so many KiB as well, for a millisecond. */
static eddy_outcome remember(const eddy_event *event) {
    const char *key = word(event, "key", "count"), *kib = field(event, "times");
    size_t was = 0;
    eddy_recall("large", &was);
    const char *before = eddy_recall(key, NULL);
    const char *count = eddy_format("%d", (before ? atoi(before) : 0) + 1);
    eddy_kept kept = eddy_remember(key, count, strlen(count), 0);
    if (kept == EDDY_KEPT && kib) {
        size_t size = strtoul(kib, NULL, 10) << 10;
        kept = eddy_remember("large", memset(eddy_alloc(size), 0, size), size, 1);
    }
    if (kept != EDDY_KEPT)
        return refused(kept);
    if (field(event, "then"))
        return eddy_reject("rejected as told");
    return emit(eddy_format("[%s,%zu]", count, was));
}

/* Volatile, so that the compiler makes no loop of it. */
static unsigned descend(volatile unsigned depth) {
    volatile char room[64];
    room[0] = (char)depth;
    unsigned deeper = depth == UINT_MAX ? 0 : descend(depth + 1);
    return deeper + (unsigned)room[0];
}

static eddy_outcome state(const eddy_event *event, long times) {
    for (long n = 0; n < times; n++) {
        eddy_kept kept = eddy_remember(eddy_format("k%ld", n), NULL, 0, 0);
        if (kept != EDDY_KEPT)
            return refused(kept);
    }
    return eddy_pass(event);
}

/* What ends the call, or floods. */
static eddy_outcome violate(const char *action, long times, const eddy_event *event) {
    if (!strcmp(action, "trap")) {
        fprintf(stderr, "trapped as told\n");
        abort();
    }
    if (!strcmp(action, "loop"))
        for (;;)
            counted ^= 1;
    if (!strcmp(action, "memory"))
        for (;;)
            last_block = memset(eddy_alloc(1 << 20), 1, 1 << 20);
    if (!strcmp(action, "stack"))
        return eddy_reject(eddy_format("%u", descend(0)));
    for (long n = 0; n < times && !strcmp(action, "log"); n++)
        eddy_log(EDDY_INFO, eddy_format("line %ld", n));
    for (long n = 0; n < times && !strcmp(action, "metrics"); n++)
        eddy_count(eddy_format("name_%llu_%ld", (unsigned long long)event->seq, n), 1);
    if (!strcmp(action, "state"))
        return state(event, times);
    return eddy_pass(event);
}

eddy_outcome eddy_handle(const eddy_event *event) {
    const char *action = word(event, "do", ""), *given = field(event, "times");
    long times = given ? strtol(given, NULL, 10) : 1;
    counted++;
    if (!strcmp(action, "drop"))
        return eddy_drop("dropped as told");
    if (!strcmp(action, "reject"))
        return eddy_reject("rejected as told");
    if (!strcmp(action, "retry"))
        return eddy_retry("retried as told", (uint32_t)times);
    if (!strcmp(action, "halt"))
        return eddy_halt("halted as told");
    if (!strcmp(action, "json"))
        return json();
    if (!strcmp(action, "count"))
        return emit(eddy_format("%u", counted));
    if (!strcmp(action, "time"))
        return emit(eddy_format("%lld", (long long)time(NULL)));
    if (!strcmp(action, "remember"))
        return remember(event);
    if (!strcmp(action, "forget"))
        eddy_forget("count");
    if (!strcmp(action, "print")) {
        puts("printed as told");
        return eddy_ack();
    }
    if (!strcmp(action, "emit")) {
        for (long n = 0; n < times; n++)
            emit("told");
        return eddy_ack();
    }
    if (!strcmp(action, "huge")) {
        size_t size = (size_t)times << 20;
        eddy_emit((eddy_emission){.data = memset(eddy_alloc(size), 'x', size), .size = size});
        return eddy_ack();
    }
    return violate(action, times, event);
}
