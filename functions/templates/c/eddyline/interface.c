/* The interface of wit/ by hand: how WebAssembly's canonical ABI lays its values out in
 * memory. What the host hands over is in memory of the call, and so is what it is handed:
 * it says when it has read that. */
#include "inside.h"

#include <string.h>

/* Strings and lists of bytes. */
typedef struct {
    const char *at;
    size_t size;
} text;

typedef struct {
    uint8_t is_there;
    text value;
} maybe_text;

typedef struct {
    text name, value;
} pair;

typedef struct {
    const pair *at;
    size_t count;
} pairs;

/* The variant payload: 0 is text, 1 is bytes. */
typedef struct {
    uint8_t kind;
    text data;
} payload;

typedef struct {
    text tenant, channel, id;
    uint64_t seq;
    double time_ms;
    uint32_t attempt;
    text publisher;
    pairs headers;
    maybe_text content_type;
    payload data;
} event_record;

typedef struct {
    maybe_text channel, content_type;
    pairs headers;
    payload data;
} emission_record;

typedef struct {
    uint8_t kind;
    union {
        struct {
            const emission_record *at;
            size_t count;
        } emissions;
        text reason;
        struct {
            uint8_t has_delay;
            uint32_t delay_ms;
            text reason;
        } later;
    };
} outcome_record;

typedef struct {
    uint8_t is_error;
    text problem;
} setup_record;

_Static_assert(sizeof(event_record) == 88 && sizeof(emission_record) == 44 &&
                   sizeof(outcome_record) == 20 && sizeof(setup_record) == 12,
               "the records of wit/events.wit");

IMPORT("metrics", "count") void metrics_count(const char *at, size_t size, uint64_t delta);
IMPORT("metrics", "gauge") void metrics_gauge(const char *at, size_t size, double value);
IMPORT("metrics", "observe") void metrics_observe(const char *at, size_t size, double value);
IMPORT("state", "get")
void state_get(uint32_t source, const char *at, size_t size, maybe_text *result);
IMPORT("state", "put")
void state_put(uint32_t source, const char *key, size_t key_size, const void *value, size_t size,
               uint64_t ttl_ms, uint8_t *result);
IMPORT("state", "delete") void state_delete(uint32_t source, const char *at, size_t size);

static const char *string(text given) { return given.size ? given.at : ""; }

static text of_string(const char *given) { return (text){given, strlen(given)}; }

static const eddy_header *read_pairs(const pair *given, size_t count) {
    eddy_header *read = eddyline_room(count * sizeof *read);
    for (size_t n = 0; n < count; n++)
        read[n] = (eddy_header){string(given[n].name), string(given[n].value)};
    return read;
}

EXPORT("setup") setup_record *exported_setup(const pair *settings, size_t count) {
    eddyline_settings = read_pairs(settings, count);
    eddyline_setting_count = count;
    const char *problem = eddy_setup();
    setup_record *result = eddyline_room(sizeof *result);
    *result = (setup_record){.is_error = problem != NULL};
    if (problem)
        result->problem = of_string(eddyline_copy(problem, strlen(problem)));
    eddyline_end_lines();
    return result;
}

/* Settings live on. */
EXPORT("cabi_post_setup") void end_setup(setup_record *result) {
    (void)result;
    eddyline_keep_room();
}

static emission_record *emissions;
static size_t emission_count, emission_room;
/* The event that is handled, NULL between events. */
static const eddy_event *current;

static maybe_text maybe(const char *given) {
    if (!given)
        return (maybe_text){.is_there = 0};
    size_t size = strlen(given);
    return (maybe_text){1, {eddyline_copy(given, size), size}};
}

static pairs write_pairs(const eddy_header *headers, size_t count) {
    pair *written = eddyline_room(count * sizeof *written);
    for (size_t n = 0; n < count; n++) {
        const char *name = headers[n].name, *value = headers[n].value;
        size_t name_size = strlen(name), value_size = strlen(value);
        written[n].name = (text){eddyline_copy(name, name_size), name_size};
        written[n].value = (text){eddyline_copy(value, value_size), value_size};
    }
    return (pairs){written, count};
}

void eddy_emit(eddy_emission emission) {
    if (!current)
        eddyline_fail("eddy_emit: no event is handled");
    if (emission_count == emission_room) {
        size_t room = emission_room ? 2 * emission_room : 4;
        emission_record *more = eddyline_room(room * sizeof *more);
        if (emission_count)
            memcpy(more, emissions, emission_count * sizeof *more);
        emissions = more;
        emission_room = room;
    }
    emissions[emission_count++] = (emission_record){
        .channel = maybe(emission.channel),
        .content_type = maybe(emission.content_type),
        .headers = write_pairs(emission.headers, emission.header_count),
        .data = {1, {eddyline_copy(emission.data, emission.size), emission.size}},
    };
}

static outcome_record *write_outcome(eddy_outcome outcome) {
    outcome_record *result = eddyline_room(sizeof *result);
    *result = (outcome_record){.kind = (uint8_t)outcome.kind};
    text reason = of_string(outcome.reason ? outcome.reason : "");
    switch (outcome.kind) {
    case 0:
        result->emissions.at = emissions;
        result->emissions.count = emission_count;
        break;
    case 3:
        result->later.has_delay = outcome.delay_ms > 0;
        result->later.delay_ms = outcome.delay_ms;
        result->later.reason = reason;
        break;
    default:
        result->reason = reason;
    }
    return result;
}

EXPORT("handle") outcome_record *exported_handle(const event_record *given) {
    eddy_event event = {
        .tenant = string(given->tenant),
        .channel = string(given->channel),
        .id = string(given->id),
        .seq = given->seq,
        .time_ms = given->time_ms,
        .attempt = given->attempt,
        .publisher = string(given->publisher),
        .headers = read_pairs(given->headers.at, given->headers.count),
        .header_count = given->headers.count,
        .content_type = given->content_type.is_there ? string(given->content_type.value) : NULL,
        .data = string(given->data.data),
        .size = given->data.data.size,
        .is_text = given->data.kind == 0,
    };
    emissions = NULL;
    emission_count = emission_room = 0;
    current = &event;
    eddyline_time_ns = (uint64_t)(event.time_ms * 1e3 + 0.5) * 1000;
    eddy_outcome outcome = eddy_handle(&event);
    current = NULL;
    eddyline_end_lines();
    return write_outcome(outcome);
}

EXPORT("cabi_post_handle") void end_handle(outcome_record *result) {
    (void)result;
    eddyline_free_room();
}

void eddy_count(const char *name, uint64_t delta) { metrics_count(name, strlen(name), delta); }
void eddy_gauge(const char *name, double value) { metrics_gauge(name, strlen(name), value); }
void eddy_observe(const char *name, double value) { metrics_observe(name, strlen(name), value); }

const char *eddy_recall(const char *key, size_t *size) {
    maybe_text result;
    state_get(0, key, strlen(key), &result);
    if (!result.is_there)
        return NULL;
    if (size)
        *size = result.value.size;
    return string(result.value);
}

eddy_kept eddy_remember(const char *key, const void *value, size_t size, uint64_t ttl_ms) {
    uint8_t result[2] = {0, 0};
    state_put(0, key, strlen(key), value, size, ttl_ms, result);
    return result[0] ? (eddy_kept)(EDDY_KEY + result[1]) : EDDY_KEPT;
}

void eddy_forget(const char *key) { state_delete(0, key, strlen(key)); }
