/* What a handler sees: events, outcomes, log, metrics, settings and what it remembers.
 *
 * A handler is called, computes, and returns. There are no files, no network, no timers
 * and no threads.
 *
 * Whatever is handed to a handler, or comes back from a function of this file, lives until
 * the call of eddy_handle returns, and is freed then; only settings live as long as the
 * instance. Whatever is handed to a function of this file is copied. So nothing is freed
 * by hand. What has to last is copied by the handler, and what must not be lost is
 * remembered: an instance is a cache.
 *
 * Every text ends with a zero byte that is not counted in its size. */
#ifndef EDDYLINE_H
#define EDDYLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;
    const char *value;
} eddy_header;

typedef struct {
    const char *tenant;
    const char *channel;
    const char *id; /* unique in the stream */
    uint64_t seq;   /* in the stream that the function reads */
    double time_ms; /* when the stream stored it, since 1970: the same at every replay */
    uint32_t attempt; /* 1 for the first */
    const char *publisher; /* the user */
    const eddy_header *headers;
    size_t header_count;
    const char *content_type; /* NULL where the publisher named none */
    const char *data;
    size_t size;
    bool is_text; /* the data is UTF-8, and the publisher said that it is text or JSON */
} eddy_event;

/* An event to emit. What is not said is NULL or 0. */
typedef struct {
    const char *channel;      /* NULL: the event's */
    const char *content_type; /* NULL: the event's */
    const eddy_header *headers; /* those of the event are not inherited */
    size_t header_count;
    const void *data;
    size_t size;
} eddy_emission;

/* What is to happen with an event: made by the functions below. */
typedef struct {
    uint32_t kind;
    uint32_t delay_ms;
    const char *reason;
} eddy_outcome;

/* The author's: called once for each instance. NULL, or why the settings are wrong, which
 * is a faulty deployment. */
const char *eddy_setup(void);

/* The author's: called for each event, in order. */
eddy_outcome eddy_handle(const eddy_event *event);

/* One of the settings that were deployed with the function; NULL where it is not set. */
const char *eddy_setting(const char *key);

/* Adds to what the event emits; it counts only if the outcome is eddy_ack. */
void eddy_emit(eddy_emission emission);

/* Done; what was emitted is stored. A gate that emits nothing has dropped the event. */
eddy_outcome eddy_ack(void);
/* Lets the event go on as it is. */
eddy_outcome eddy_pass(const eddy_event *event);
/* Filters the event out; a gate's publisher is told why. */
eddy_outcome eddy_drop(const char *reason);
/* For what can never be good: a dead letter now; a gate's publisher is told why. */
eddy_outcome eddy_reject(const char *reason);
/* Again later, with 0 when the host thinks best; the channel waits, others go on. */
eddy_outcome eddy_retry(const char *reason, uint32_t delay_ms);
/* Stops the function on this lane until somebody intervenes. */
eddy_outcome eddy_halt(const char *reason);

/* The value of one of the event's headers; NULL where it is not there. */
const char *eddy_header_of(const eddy_event *event, const char *name);

/* Memory until the call returns. */
void *eddy_alloc(size_t size);
/* A text made as printf does, until the call returns. */
const char *eddy_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef enum { EDDY_TRACE, EDDY_DEBUG, EDDY_INFO, EDDY_WARN, EDDY_ERROR } eddy_level;

/* A line of the function's log. Standard output goes there too, as EDDY_INFO, and standard
 * error as EDDY_ERROR: a line when it ends. */
void eddy_log(eddy_level level, const char *line);

/* Metrics under the function's name. */
void eddy_count(const char *name, uint64_t delta);
void eddy_gauge(const char *name, double value);
void eddy_observe(const char *name, double value);

typedef enum {
    EDDY_KEPT,
    EDDY_KEY,  /* the key is not 1 to 256 bytes */
    EDDY_FULL, /* the channel's memory would have too many keys or bytes */
} eddy_kept;

/* What the event's channel remembers under a key; NULL where there is nothing. */
const char *eddy_recall(const char *key, size_t *size);
/* Keeps a value for the event's channel, for so long by the time of events; 0 is for ever.
 * It is stored with what the event emits, if its outcome is eddy_ack. */
eddy_kept eddy_remember(const char *key, const void *value, size_t size, uint64_t ttl_ms);
/* Drops a key of the event's channel. */
void eddy_forget(const char *key);

#endif
