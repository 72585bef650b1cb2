/* The limits of the relay: nothing that comes over a socket grows without one. */
#ifndef APPLICATION_RELAY_RELAY_LIMITS_H
#define APPLICATION_RELAY_RELAY_LIMITS_H

enum relay_limit {
    RELAY_HEAD_BYTES = 65536,     /* longest head of a request or response, trailers too */
    RELAY_EVENT_BYTES = 8388608,  /* largest event that is held to be inspected; Lambda's is 6 MB */
    RELAY_ANSWER_BYTES = 65536,   /* largest answer of a handler that is looked at */
    RELAY_CONNECTIONS = 256,      /* runtime connections at once */
    RELAY_THREAD_STACK = 131072,  /* bytes of stack of a connection's thread */
    RELAY_REQUEST_ID_BYTES = 64,  /* Lambda's are UUIDs of 36 */
    RELAY_IN_FLIGHT = 256,        /* invocations whose answer is awaited */
    RELAY_BUDGET_MS = 100,        /* default of the time an event may be held */
    RELAY_BUDGET_DIVISOR = 20,    /* and never more than this part of what remains: 5 % */
    RELAY_OUTBOX_EVENTS = 64,     /* events kept for the console; more become lines at once */
    RELAY_INCIDENT_BYTES = 32768, /* longest event */
    RELAY_EXTENSION_BYTES = 65536, /* longest answer of the Extensions API */
};

#endif
